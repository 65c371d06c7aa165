// One container: what it may use, what it uses, what happened to it.

import * as api from "./api";
import type { Container, Event } from "./api";
import { ChartPanel, charts } from "./charts";
import { el, text } from "./dom";
import * as format from "./format";
import { Log } from "./log";

const spans: [string, number][] = [["5 min", 300], ["1 h", 3600], ["6 h", 21600], ["2 d", 172800], ["31 d", 2678400]];

export class Detail {
  readonly element = el("div");
  private readonly head = el("div", { class: "bar" });
  private readonly badge = el("span", { class: "badge none" }, "none");
  private readonly facts = el("span", { class: "soft" });
  private readonly limits = el("tbody");
  private readonly limitsPanel = el("section", { class: "panel" });
  private readonly log = new Log(200);
  private readonly missing = el("div", { class: "note bad", hidden: "" }, "This container is gone; its charts stay as they were.");
  private readonly panels = charts.map((chart) => new ChartPanel(chart));
  private readonly buttons: HTMLButtonElement[] = [];
  private readonly resizer = new ResizeObserver(() => this.panels.forEach((p) => p.resize()));
  private span = 300;
  private loads = 0;

  constructor(readonly path: string, container: Container | undefined, events: Event[]) {
    const picker = el("div", { class: "spans", role: "group", "aria-label": "Time span" });
    for (const [name, seconds] of spans) {
      const button = el("button", { type: "button", click: () => this.setSpan(seconds) }, name);
      this.buttons.push(button);
      picker.append(button);
    }
    this.head.append(el("a", { class: "back", href: "#" }, "← all containers"), el("h1", {}, container?.name ?? path), this.badge, this.facts, el("span", { class: "grow" }), picker);
    const grid = el("div", { class: "charts" }, ...this.panels.map((p) => p.element));
    const table = el("table", { class: "facts" }, el("thead", {}, el("tr", {}, el("th", {}, "limit"), el("th", {}, "in force"), el("th", {}, "the quota asks for"))), this.limits);
    this.limitsPanel.append(el("h2", {}, "Limits"), table);
    const columns = el("div", { class: "columns" },
      this.limitsPanel,
      el("section", { class: "panel" }, el("h2", {}, "Events"), this.log.element));
    this.element.append(this.head, this.missing, grid, columns);
    this.resizer.observe(grid);
    for (const event of events) this.addEvent(event);
    this.mark();
  }

  // To be called once the element stands in the document: charts need their width.
  start(container: Container | undefined): void {
    if (container) this.update(container);
    void this.load();
  }

  update(c: Container): void {
    this.missing.hidden = true;
    const now = c.sample?.time ?? Date.now() / 1000;
    for (const panel of this.panels) panel.add(c, now - this.span, now);
    this.badge.className = `badge ${c.level}`;
    text(this.badge, c.level === "none" ? "no memory pressure" : `memory pressure: ${c.level}`);
    text(this.facts, c.kind === "host" ? "the whole host" : this.about(c, now));
    this.limitsPanel.hidden = c.kind === "host";
    this.showLimits(c);
  }

  private about(c: Container, now: number): string {
    const parts = [c.quota ? `quota ${c.quota}` : "no quota", `here for ${format.age(now - c.born)}`];
    if (c.runtime !== "cgroup") parts.unshift(c.runtime);
    if (c.name !== c.path) parts.unshift(c.path);
    if (c.settling) parts.push("settling");
    if (c.adopted.length) parts.push(`left as somebody else set them: ${c.adopted.join(", ")}`);
    return parts.join(" · ");
  }

  gone(): void {
    this.missing.hidden = false;
  }

  addEvent(event: Event): void {
    if ((event.path ?? "/") === this.path) this.log.add(event);
  }

  pick(index: number): void {
    const span = spans[index];
    if (span) this.setSpan(span[1]);
  }

  destroy(): void {
    this.resizer.disconnect();
    for (const panel of this.panels) panel.destroy();
  }

  private setSpan(seconds: number): void {
    this.span = seconds;
    this.mark();
    for (const panel of this.panels) panel.clear();
    void this.load();
  }

  private mark(): void {
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(spans[i]![1] === this.span)));
  }

  // A container that is younger than the archive has no history yet: its charts begin with the stream.
  private async load(): Promise<void> {
    const load = ++this.loads;
    const to = Math.floor(Date.now() / 1000);
    const from = to - this.span;
    for (const panel of this.panels) {
      const found = new Map<string, api.History>();
      await Promise.all(panel.metrics.map(async (metric) => {
        const history = await api.history(this.path, metric, from, to).catch(() => undefined);
        if (history) found.set(metric, history);
      }));
      if (load !== this.loads) return;
      if (found.size) panel.setHistory(found);
    }
  }

  private showLimits(c: Container): void {
    const rows: [string, string, string][] = [];
    const add = (key: string, name: string, inForce: number | null | undefined, wanted: number | null | undefined) =>
      rows.push([name, format.knob(key, inForce), wanted === undefined ? "" : format.knob(key, wanted)]);
    const numbers = (l: api.Limits) => Object.entries(l).filter((e): e is [string, number | null] => e[0] !== "io");
    for (const [key, value] of numbers(c.limits)) add(key, key, value, c.wanted[key] as number | null | undefined);
    for (const [device, io] of Object.entries(c.limits.io ?? {}))
      for (const [key, value] of Object.entries(io)) add(key, `io ${device} ${key}${c.io_per_leaf ? " (per leaf)" : ""}`, value, c.wanted.io?.[device]?.[key]);
    this.limits.replaceChildren(...rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell)))));
  }
}
