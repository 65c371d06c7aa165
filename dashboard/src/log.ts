// What happened, newest first.

import type { Event } from "./api";
import { el } from "./dom";
import * as format from "./format";

export class Log {
  readonly element = el("ul", { class: "events" });
  private readonly none = el("li", { class: "none" }, "nothing yet");

  // With names each line leads to its container.
  constructor(private readonly most: number, private readonly names = false) {
    this.element.classList.toggle("named", names);
    this.element.append(this.none);
  }

  add(event: Event): void {
    this.none.remove();
    const name = event.path ? el("a", { href: `#${encodeURIComponent(event.path)}`, title: event.path }, event.name ?? event.path) : el("span", {}, "masu");
    const line = el("li", { class: event.severity, "data-number": `${event.number}` },
      el("time", {}, format.clock(event.time)),
      el("span", { class: "type" }, event.type.replaceAll("_", " ")),
      this.names ? name : null,
      el("span", { class: "text" }, event.level && event.level !== "none" ? el("span", { class: `badge ${event.level}` }, event.level) : null, event.text));
    const older = [...this.element.children].find((other) => Number((other as HTMLElement).dataset.number) < event.number);
    this.element.insertBefore(line, older ?? null);
    while (this.element.children.length > this.most) this.element.lastChild!.remove();
  }
}
