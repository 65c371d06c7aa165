// The list of containers: one row each, kept and updated in place, sorted by any column.

import type { Container } from "./api";
import { el, text } from "./dom";
import * as format from "./format";

const severity = { none: 0, low: 1, medium: 2, critical: 3, oom: 4 };

interface Column {
  key: string;
  title: string;
  help: string;
  number?: boolean;
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

function meter(cell: HTMLTableCellElement, kind: string, shown: string, used: number | undefined, limit: number | undefined): void {
  if (!cell.firstChild) cell.append(el("span"), el("span", { class: "meter" }, el("i")));
  const [label, track] = cell.children as unknown as [HTMLElement, HTMLElement];
  text(label, shown);
  const share = used !== undefined && limit ? Math.min(1, used / limit) : undefined;
  track.className = `meter ${kind} ${share === undefined ? "open" : share >= 0.97 ? "full" : share >= 0.85 ? "hot" : ""}`;
  track.title = share === undefined ? "no limit" : `${format.percent(share)} of the limit`;
  (track.firstChild as HTMLElement).style.width = `${(share ?? 0) * 100}%`;
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
    key: "cpu", title: "CPU", help: "Cores in use, and how much of the limit", number: true, value: (c) => rate(c, "cpu_usage"),
    show: (c, cell) => meter(cell, "cpu", format.cores(rate(c, "cpu_usage")), rate(c, "cpu_usage"), metric(c, "cpu_limit")),
  },
  {
    key: "throttled", title: "Throttled", help: "Share of periods in which the CPU quota ran out", number: true,
    value: throttled, show: plain((c) => (metric(c, "cpu_limit") === undefined ? "–" : format.percent(throttled(c)))),
  },
  {
    key: "memory", title: "Memory", help: "Memory charged, page cache included, and how much of the limit", number: true,
    value: (c) => metric(c, "memory_usage"),
    show: (c, cell) =>
      meter(cell, "memory", format.bytes(metric(c, "memory_usage")), metric(c, "memory_usage"), metric(c, "memory_limit")),
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

export class Table {
  readonly element = el("div", { class: "scroll" });
  private readonly body = el("tbody");
  private readonly empty = el("div", { class: "empty" });
  private readonly heads = new Map<string, HTMLTableCellElement>();
  private readonly rows = new Map<string, HTMLTableRowElement>();
  private containers: Container[] = [];
  private sort = { key: "cpu", up: false };
  private filter = "";
  private idle = false;

  constructor(private readonly open: (path: string) => void) {
    const head = el("tr");
    for (const column of columns) {
      const button = el("button", { type: "button", title: column.help, click: () => this.sortBy(column.key) }, column.title);
      const cell = el("th", { scope: "col", class: column.number ? "number" : "" }, button);
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

  setFilter(filter: string, idle: boolean): void {
    this.filter = filter.toLowerCase();
    this.idle = idle;
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
    return this.idle || c.managed || c.runtime !== "cgroup" || (metric(c, "pids") ?? 1) > 0;
  }

  private draw(): void {
    const column = columns.find((c) => c.key === this.sort.key)!;
    const shown = this.containers.filter((c) => this.wanted(c));
    shown.sort((a, b) => compare(column.value(a), column.value(b), this.sort.up) || (a.path < b.path ? -1 : 1));
    const seen = new Set<string>();
    shown.forEach((c, index) => {
      seen.add(c.path);
      const row = this.rows.get(c.path) ?? this.addRow(c.path);
      columns.forEach((col, i) => col.show(c, row.cells[i]!));
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
        this.rows.delete(path);
      }
    const hidden = this.containers.length - shown.length;
    this.empty.hidden = shown.length > 0;
    text(this.empty, this.filter ? `nothing fits “${this.filter}”` : hidden ? `no containers; ${hidden} idle groups are hidden` : "no containers yet");
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
