// Small curves without axes: the last minutes of one number, over its own time. They tell the shape; the number beside them tells the size.

import { el } from "./dom";

export const span = 180; // seconds
const height = 100; // of the drawing's own units; the style sheet says how large it is

type Point = readonly [time: number, value: number | undefined];

// The newest points of one number, oldest first.
export class Trail {
  private points: Point[] = [];

  add(time: number, value: number | undefined): void {
    if ((this.points.at(-1)?.[0] ?? 0) >= time) return;
    this.points.push([time, value]);
    const old = this.points.findIndex((p) => p[0] >= time - span);
    if (old > 0) this.points.splice(0, old);
  }

  // What the archive knew before the stream began.
  prepend(points: Point[]): void {
    const first = this.points[0]?.[0] ?? Infinity;
    this.points.unshift(...points.filter((p) => p[0] < first));
  }

  // @floor is the least that fills the whole height: noise near zero stays near zero.
  outlines(floor: number): { line: string; area: string } {
    const newest = this.points.at(-1)?.[0] ?? 0;
    const top = Math.max(floor, ...this.points.map((p) => (p[1] ?? 0) * 1.08)) || 1;
    let line = "";
    let area = "";
    let begun: string | undefined;
    let last = "";
    const close = () => {
      if (begun) area += `L${last} ${height}L${begun} ${height}Z`;
      begun = undefined;
    };
    for (const [time, value] of this.points) {
      if (value === undefined) {
        close();
        continue;
      }
      last = (span - (newest - time)).toFixed(1);
      const point = `${last} ${(height - (value / top) * (height - 4)).toFixed(1)}`;
      line += `${begun ? "L" : "M"}${point}`;
      area += `${begun ? "L" : "M"}${point}`;
      begun ??= last;
    }
    close();
    return { line, area };
  }
}

const namespace = "http://www.w3.org/2000/svg";

export class Spark {
  readonly element = el("span", { class: "spark", "aria-hidden": "true" });
  private readonly line = document.createElementNS(namespace, "path");
  private readonly area = document.createElementNS(namespace, "path");

  constructor(kind: string) {
    const svg = document.createElementNS(namespace, "svg");
    svg.setAttribute("viewBox", `0 0 ${span} ${height}`);
    svg.setAttribute("preserveAspectRatio", "none");
    this.area.setAttribute("class", "area");
    this.line.setAttribute("class", "line");
    svg.append(this.area, this.line);
    this.element.classList.add(kind);
    this.element.append(svg);
  }

  draw(trail: Trail, floor: number): void {
    const { line, area } = trail.outlines(floor);
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
  }
}
