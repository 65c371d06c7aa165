// The charts of one container: rows of a table, each with its series, drawn by uPlot from one shared time axis.

import uPlot from "uplot";
import type { Container, History } from "./api";
import { color, el, text } from "./dom";
import * as format from "./format";

interface Series {
  label: string;
  metric: string; // name in the API
  color: string; // a variable of the style sheet
  dash?: boolean;
  fill?: boolean;
  counter?: boolean; // shown as its rate
}

interface Chart {
  title: string;
  show(value: number | null | undefined): string;
  least: number; // the axis reaches at least there
  steps?: number[]; // between its marks
  series: Series[];
}

const powersOfTwo = Array.from({ length: 44 }, (_, i) => 2 ** i);

export const charts: Chart[] = [
  {
    title: "CPU, cores", show: format.cores, least: 0.05,
    series: [
      { label: "used", metric: "cpu_usage", color: "cpu", fill: true, counter: true },
      { label: "throttled", metric: "cpu_throttled", color: "write", counter: true },
      { label: "limit", metric: "cpu_limit", color: "limit", dash: true },
    ],
  },
  {
    title: "Memory", show: format.bytes, least: 1 << 20, steps: powersOfTwo,
    series: [
      { label: "charged", metric: "memory_usage", color: "memory", fill: true },
      { label: "anonymous", metric: "memory_anon", color: "psi" },
      { label: "limit", metric: "memory_limit", color: "limit", dash: true },
    ],
  },
  {
    title: "Disk", show: format.rate, least: 10_000,
    series: [
      { label: "read", metric: "io_read", color: "read", counter: true },
      { label: "write", metric: "io_write", color: "write", counter: true },
    ],
  },
  {
    title: "Stalled time (PSI)", show: format.percent, least: 0.05,
    series: [
      { label: "memory", metric: "memory_pressure_some", color: "psi", counter: true },
      { label: "memory, all", metric: "memory_pressure_full", color: "full", counter: true },
      { label: "CPU", metric: "cpu_pressure_some", color: "cpu", counter: true },
      { label: "disk", metric: "io_pressure_some", color: "write", counter: true },
    ],
  },
];

type Column = (number | null)[];

// One chart in its panel. It holds points in time order, old ones from the archive, new ones from the stream.
export class ChartPanel {
  readonly element: HTMLElement;
  private readonly holder = el("div", { class: "chart" });
  private readonly waiting = el("div", { class: "waiting" }, "waiting for a second sample");
  private readonly keys: HTMLElement[] = [];
  private times: number[] = [];
  private columns: Column[];
  private plot: uPlot | undefined;
  private from = 0;
  private to = 0;

  constructor(private readonly chart: Chart) {
    this.columns = chart.series.map(() => []);
    const head = el("h2", {}, chart.title);
    for (const series of chart.series) {
      const line = el("i");
      line.style.background = `var(--${series.color})`;
      const value = el("b", {}, "–");
      this.keys.push(value);
      head.append(el("span", { class: "key" }, line, `${series.label} `, value));
    }
    this.holder.append(this.waiting);
    this.element = el("section", { class: "panel", "aria-label": chart.title }, head, this.holder);
  }

  get metrics(): string[] {
    return this.chart.series.map((s) => s.metric);
  }

  // Points of the archive, by metric; they come before what the stream already brought. The newest that it has not yet folded are
  // left out: there the line goes on to the stream's first point.
  setHistory(histories: Map<string, History>): void {
    const times = [...new Set([...histories.values()].flatMap((h) => h.points.filter((p) => p[1] !== null || p[0] < this.to - 60).map((p) => p[0])))].sort((a, b) => a - b);
    const firstLive = this.times.find((t) => t > (times.at(-1) ?? 0));
    const keep = firstLive === undefined ? this.times.length : this.times.indexOf(firstLive);
    this.columns = this.chart.series.map((series, i) => {
      const points = new Map(histories.get(series.metric)?.points.map((p) => [p[0], p[1]]) ?? []);
      return [...times.map((t) => points.get(t) ?? null), ...this.columns[i]!.slice(keep)];
    });
    this.times = [...times, ...this.times.slice(keep)];
    this.draw();
  }

  clear(): void {
    this.times = [];
    this.columns = this.chart.series.map(() => []);
  }

  add(c: Container, from: number, to: number): void {
    [this.from, this.to] = [from, to];
    const sample = c.sample;
    if (!sample || (this.times.at(-1) ?? 0) >= sample.time) return;
    this.times.push(sample.time);
    this.chart.series.forEach((series, i) => {
      const value = (series.counter ? sample.rates : sample.metrics)?.[series.metric];
      this.columns[i]!.push(value ?? null);
      text(this.keys[i]!, this.chart.show(value));
    });
    const old = this.times.findIndex((t) => t >= from);
    if (old > 0) {
      this.times.splice(0, old);
      for (const column of this.columns) column.splice(0, old);
    }
    this.draw();
  }

  destroy(): void {
    this.plot?.destroy();
    this.plot = undefined;
  }

  private data(): uPlot.AlignedData {
    return [this.times, ...this.columns] as uPlot.AlignedData;
  }

  private draw(): void {
    const enough = this.times.length >= 2;
    this.waiting.hidden = enough;
    this.waiting.style.display = enough ? "none" : "";
    if (!enough || !this.holder.clientWidth) return;
    if (!this.plot) this.plot = new uPlot(this.options(), this.data(), this.holder);
    else this.plot.setData(this.data());
  }

  resize(): void {
    if (this.plot) this.plot.setSize({ width: this.holder.clientWidth, height: this.holder.clientHeight });
  }

  private options(): uPlot.Options {
    const span = this.to - this.from;
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line"), width: 1 }, font: "11.5px system-ui, sans-serif" };
    return {
      width: this.holder.clientWidth,
      height: this.holder.clientHeight,
      legend: { show: false },
      cursor: { sync: { key: "container" }, points: { size: 6 } },
      scales: {
        x: { range: () => [this.from, this.to] },
        y: { range: (_plot, _min, max) => [0, Math.max((max ?? 0) * 1.08, this.chart.least)] },
      },
      axes: [
        { ...axis, size: 30, space: span > 600 && span <= 86400 ? 50 : 76, values: (_: uPlot, ticks: number[]) => ticks.map((t) => tick(t, span)) },
        { ...axis, size: 76, ...(this.chart.steps ? { incrs: this.chart.steps } : {}), values: (_: uPlot, ticks: number[]) => ticks.map((t) => this.chart.show(t)) },
      ],
      series: [
        {},
        ...this.chart.series.map((series): uPlot.Series => {
          const stroke = color(series.color);
          return {
            label: series.label, stroke, width: series.dash ? 1.4 : 1.6, spanGaps: false, points: { show: false },
            ...(series.dash ? { dash: [6, 4] } : {}),
            ...(series.fill ? { fill: `${stroke}26` } : {}),
          };
        }),
      ],
    };
  }
}

function tick(time: number, span: number): string {
  const date = new Date(time * 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (span > 3 * 86400) return `${date.getMonth() + 1}/${date.getDate()}`;
  if (span > 86400) return `${date.getMonth() + 1}/${date.getDate()} ${clock}`;
  return span <= 600 ? `${clock}:${two(date.getSeconds())}` : clock;
}
