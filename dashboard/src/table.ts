// The list of containers: one row each, kept and updated in place, sorted by any column.

import * as api from "./api";
import type { Container } from "./api";
import { el, text } from "./dom";
import * as format from "./format";
import { Spark, Trail } from "./spark";

const severity = { none: 0, low: 1, medium: 2, critical: 3, oom: 4 };

interface Column {
  key: string;
  title: string;
  help: string;
  number?: boolean;
  curve?: { metric: string; floor(c: Container): number }; // the last minutes of what it is sorted by
  value(c: Container): number | string | undefined; // what it is sorted by
  show(c: Container, cell: HTMLTableCellElement): void;
}

const metric = (c: Container, name: string) => c.sample?.metrics[name];
const rate = (c: Container, name: string) => c.sample?.rates?.[name];

export function throttled(c: Container): number | undefined {
  const periods = rate(c, "cpu_periods");
  const lost = rate(c, "cpu_throttled_periods");
  if (lost === undefined || periods === undefined) return undefined;
  return periods > 0 ? Math.min(1, lost / periods) : 0;
}

interface Meter {
  kind: string;
  shown: string;
  used: number | undefined;
  limit: number | undefined;
  spare?: number; // the part of what is used that can be taken back: it alarms nobody
  help?: string;
}

function meter(cell: HTMLTableCellElement, m: Meter): void {
  if (!cell.firstChild) cell.append(el("span"), el("span", { class: "meter" }, el("i"), el("i", { class: "spare" })));
  const [label, track] = cell.children as unknown as [HTMLElement, HTMLElement];
  text(label, m.shown);
  const part = (amount: number) => (m.limit ? Math.max(0, Math.min(1, amount / m.limit)) : 0);
  const spare = m.spare ?? 0;
  const known = m.used !== undefined && m.limit;
  const firm = part((m.used ?? 0) - spare);
  track.className = `meter ${m.kind} ${!known ? "open" : firm >= 0.97 ? "full" : firm >= 0.85 ? "hot" : ""}`;
  cell.title = known ? `${format.percent(part(m.used ?? 0))} of the limit${m.help ? `, ${m.help}` : ""}` : "no limit";
  const [solid, light] = track.children as unknown as [HTMLElement, HTMLElement];
  solid.style.width = `${firm * 100}%`;
  light.style.width = `${Math.min(part(spare), 1 - firm) * 100}%`;
}

// The page cache that is charged and can be dropped: files in memory that are not tmpfs.
function cache(c: Container): number {
  return Math.max(0, (metric(c, "memory_file") ?? 0) - (metric(c, "memory_shmem") ?? 0));
}

function plain(show: (c: Container) => string) {
  return (c: Container, cell: HTMLTableCellElement) => text(cell, show(c));
}

const columns: Column[] = [
  {
    key: "name", title: "Container", help: "Name, runtime and group", value: (c) => c.name.toLowerCase(),
    show(c, cell) {
      if (!cell.firstChild) cell.append(el("a", { href: `#${encodeURIComponent(c.path)}`, tabindex: "-1" }), el("small"));
      const [link, small] = cell.children as unknown as [HTMLElement, HTMLElement];
      text(link, c.name);
      text(small, c.runtime === "cgroup" ? "" : c.runtime);
      cell.title = c.path;
    },
  },
  {
    key: "quota", title: "Quota", help: "The quota of the policy that holds it", value: (c) => c.quota ?? "",
    show(c, cell) {
      text(cell, c.quota ?? "");
      cell.classList.toggle("soft", !c.managed);
    },
  },
  {
    key: "cpu", title: "CPU", help: "Cores in use, how much of the limit, and the last three minutes", number: true,
    value: (c) => rate(c, "cpu_usage"), curve: { metric: "cpu_usage", floor: (c) => Math.max(0.02, (metric(c, "cpu_limit") ?? 0) * 0.25) },
    show: (c, cell) =>
      meter(cell, { kind: "cpu", shown: format.cores(rate(c, "cpu_usage")), used: rate(c, "cpu_usage"), limit: metric(c, "cpu_limit") }),
  },
  {
    key: "throttled", title: "Throttled", help: "Share of periods in which the CPU quota ran out", number: true,
    value: throttled, show: plain((c) => (metric(c, "cpu_limit") === undefined ? "–" : format.percent(throttled(c)))),
  },
  {
    key: "memory", title: "Memory", help: "Memory charged, how much of the limit (lighter: page cache), and the last three minutes", number: true,
    value: (c) => metric(c, "memory_usage"), curve: { metric: "memory_usage", floor: (c) => Math.max(1 << 20, (metric(c, "memory_limit") ?? 0) * 0.25) },
    show: (c, cell) =>
      meter(cell, {
        kind: "memory", shown: format.bytes(metric(c, "memory_usage")), used: metric(c, "memory_usage"), limit: metric(c, "memory_limit"),
        spare: cache(c), help: `${format.bytes(cache(c))} of it page cache`,
      }),
  },
  {
    key: "read", title: "Read", help: "Bytes per second read from disks", number: true, value: (c) => rate(c, "io_read"),
    show: plain((c) => format.rate(rate(c, "io_read"))),
  },
  {
    key: "write", title: "Write", help: "Bytes per second written to disks", number: true, value: (c) => rate(c, "io_write"),
    show: plain((c) => format.rate(rate(c, "io_write"))),
  },
  {
    key: "pids", title: "Tasks", help: "Tasks, threads counted", number: true, value: (c) => metric(c, "pids"),
    show: plain((c) => format.count(metric(c, "pids"))),
  },
  {
    key: "stall", title: "Memory stall", help: "Share of time in which some task waited for memory (PSI)", number: true,
    value: (c) => rate(c, "memory_pressure_some"), show: plain((c) => format.percent(rate(c, "memory_pressure_some"))),
  },
  {
    key: "level", title: "Pressure", help: "Memory pressure level", value: (c) => severity[c.level],
    show(c, cell) {
      if (!cell.firstChild) cell.append(el("span"));
      const badge = cell.firstChild as HTMLElement;
      badge.className = `badge ${c.level}`;
      text(badge, c.level === "none" ? "–" : c.level);
    },
  },
];

const curves = columns.filter((c) => c.curve);

export class Table {
  readonly element = el("div", { class: "scroll" });
  private readonly body = el("tbody");
  private readonly empty = el("div", { class: "empty" });
  private readonly heads = new Map<string, HTMLTableCellElement>();
  private readonly rows = new Map<string, HTMLTableRowElement>();
  private trails = new Map<string, Trail[]>(); // of curves, by path
  private readonly sparks = new Map<string, Spark[]>(); // likewise, of the rows
  private readonly onScreen = new Set<string>();
  private readonly watcher = new IntersectionObserver((changes) => {
    for (const change of changes) {
      const path = (change.target as HTMLElement).dataset.path!;
      if (change.isIntersecting) this.onScreen.add(path);
      else this.onScreen.delete(path);
    }
    this.drawCurves();
  });
  private containers: Container[] = [];
  private sort = { key: "cpu", up: false };
  private filter = "";
  private all = false;

  constructor(private readonly open: (path: string) => void) {
    const head = el("tr");
    for (const column of columns) {
      const button = el("button", { type: "button", title: column.help, click: () => this.sortBy(column.key) }, column.title);
      const cell = el("th", { scope: "col", class: column.curve ? "" : column.number ? "number" : "" }, button);
      this.heads.set(column.key, cell);
      head.append(cell);
    }
    this.element.append(el("table", {}, el("thead", {}, head), this.body), this.empty);
    this.showSort();
  }

  update(containers: Container[]): void {
    this.containers = containers;
    this.draw();
  }

  // Curves go on while another view is shown.
  remember(containers: Container[]): void {
    const before = this.trails;
    this.trails = new Map();
    for (const c of containers) {
      const trails = before.get(c.path) ?? curves.map(() => new Trail());
      if (c.sample) curves.forEach((curve, i) => trails[i]!.add(c.sample!.time, curve.value(c) as number | undefined));
      this.trails.set(c.path, trails);
    }
  }

  // What the archive knows of the first rows, so that their curves do not begin with the page.
  async recall(from: number, to: number): Promise<void> {
    const paths = [...this.rows.keys()].slice(0, 12);
    for (const path of paths)
      for (const [i, curve] of curves.entries()) {
        const history = await api.history(path, curve.curve!.metric, from, to).catch(() => undefined);
        this.trails.get(path)?.[i]!.prepend(history?.points.map((p) => [p[0], p[1] ?? undefined]) ?? []);
      }
  }

  setFilter(filter: string, all: boolean): void {
    this.filter = filter.toLowerCase();
    this.all = all;
    this.draw();
  }

  // Moves the focus by rows; from nowhere to the first.
  move(by: number): void {
    const rows = [...this.body.rows];
    const at = rows.indexOf(document.activeElement as HTMLTableRowElement);
    rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))]?.focus();
  }

  private sortBy(key: string): void {
    const text = key === "name" || key === "quota";
    this.sort = { key, up: this.sort.key === key ? !this.sort.up : text };
    this.showSort();
    this.draw();
  }

  private showSort(): void {
    for (const [key, cell] of this.heads) {
      if (key === this.sort.key) cell.setAttribute("aria-sort", this.sort.up ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
  }

  private wanted(c: Container): boolean {
    if (this.filter && ![c.name, c.path, c.runtime, c.quota ?? ""].some((t) => t.toLowerCase().includes(this.filter))) return false;
    return this.all || c.managed || c.runtime !== "cgroup";
  }

  private draw(): void {
    const column = columns.find((c) => c.key === this.sort.key)!;
    const shown = this.containers.filter((c) => this.wanted(c));
    shown.sort((a, b) => compare(column.value(a), column.value(b), this.sort.up) || (a.path < b.path ? -1 : 1));
    const seen = new Set<string>();
    shown.forEach((c, index) => {
      seen.add(c.path);
      const known = this.rows.get(c.path);
      const row = known ?? this.addRow(c.path);
      columns.forEach((col, i) => col.show(c, row.cells[i]!));
      if (!known) this.addCurves(c.path, row);
      // A row is moved only when it stands elsewhere: moving drops the focus.
      if (this.body.rows[index] !== row) {
        const focused = document.activeElement === row;
        this.body.insertBefore(row, this.body.rows[index] ?? null);
        if (focused) row.focus();
      }
    });
    for (const [path, row] of this.rows)
      if (!seen.has(path)) {
        row.remove();
        this.watcher.unobserve(row);
        for (const kept of [this.rows, this.sparks, this.onScreen]) kept.delete(path);
      }
    this.drawCurves();
    const hidden = this.containers.length - shown.length;
    this.empty.hidden = shown.length > 0;
    text(this.empty, this.filter ? `nothing fits “${this.filter}”` : hidden ? `no containers; ${hidden} plain groups are not shown` : "no containers yet");
  }

  private drawCurves(): void {
    for (const c of this.containers) {
      if (!this.onScreen.has(c.path)) continue;
      const trails = this.trails.get(c.path);
      this.sparks.get(c.path)?.forEach((spark, i) => trails && spark.draw(trails[i]!, curves[i]!.curve!.floor(c)));
    }
  }

  private addCurves(path: string, row: HTMLTableRowElement): void {
    this.sparks.set(path, curves.map((curve) => {
      const spark = new Spark(curve.key);
      row.cells[columns.indexOf(curve)]!.append(spark.element);
      return spark;
    }));
    this.watcher.observe(row);
  }

  private addRow(path: string): HTMLTableRowElement {
    const row = el("tr", {
      tabindex: "0", "data-path": path, click: () => this.open(path),
      keydown: (event: KeyboardEvent) => {
        if (event.key === "Enter") this.open(path);
      },
    });
    for (const column of columns) row.append(el("td", { class: `${column.key} ${column.number ? "number" : ""}` }));
    this.rows.set(path, row);
    return row;
  }
}

// Absent values stand last, whichever way it is sorted.
function compare(a: number | string | undefined, b: number | string | undefined, up: boolean): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return (a < b ? -1 : 1) * (up ? 1 : -1);
}
