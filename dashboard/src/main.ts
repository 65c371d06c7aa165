// The page: one stream of ticks feeds the host line and whichever view the address names.

import * as api from "./api";
import type { Container, Event, Tick } from "./api";
import { Detail } from "./detail";
import { byId, el, text } from "./dom";
import { Host } from "./host";
import { Log } from "./log";
import { span } from "./spark";
import { Table } from "./table";

const main = byId("main");
const filter = el("input", { type: "search", placeholder: "Filter by name, path, quota", "aria-label": "Filter containers" });
const all = el("input", { type: "checkbox" });
const notes = el("div");
const counted = el("h1", {}, "Containers");
const table = new Table((path) => (location.hash = encodeURIComponent(path)));
const host = new Host();
const tiles = el("section", { class: "tiles", "aria-label": "Host" });
const log = new Log(100, true);
const list = el("div", { class: "list" },
  tiles,
  el("div", { class: "bar" }, counted, el("span", { class: "grow" }), el("label", { class: "check", title: "Groups without a quota that are no container, too" }, all, "all groups"), filter),
  table.element,
  el("section", { class: "panel log", "aria-label": "Events" }, el("h2", {}, "Events"), log.element));
const system = el("span", { class: "soft" });

let last: Tick | undefined;
let events: Event[] = [];
let detail: Detail | undefined;
let focused: string | undefined; // the row to come back to

function find(path: string): Container | undefined {
  if (path === "/") return last?.host;
  return last?.containers.find((c) => c.path === path);
}

function onTick(tick: Tick): void {
  const first = !last;
  last = tick;
  host.update(tick.host);
  table.remember(tick.containers);
  const managed = tick.containers.filter((c) => c.managed).length;
  text(counted, `${managed} of ${tick.containers.length} groups held to a quota`);
  if (detail) {
    const container = find(detail.path);
    if (container) detail.update(container);
    else detail.gone();
  } else {
    table.update(tick.containers);
  }
  if (!first) return;
  events.forEach(note);
  void recall();
}

// On a busy host groups come and go all day: the list tells of what it lists, of what is grave, and of masu itself.
function note(event: Event): void {
  if (!event.path || event.runtime !== "cgroup" || event.severity === "page" || find(event.path)?.managed) log.add(event);
}

function onEvent(event: Event): void {
  if (events.some((e) => e.number === event.number && e.time === event.time)) return;
  events = [...events.slice(-1999), event];
  detail?.addEvent(event);
  if (last) note(event);
  if (event.type === "policy" || event.type === "role") void showStatus();
}

function onLink(state: "live" | "lost"): void {
  const link = byId("link");
  link.className = `link ${state}`;
  text(link, state === "live" ? "live" : "no connection, trying again");
}

async function showStatus(): Promise<void> {
  const status = await api.status().catch(() => undefined);
  if (!status) return;
  text(byId("about"), `masu ${status.version} · a sample every ${status.interval} s`);
  text(system, `Linux ${status.kernel} · cgroup ${status.mode}`);
  const lines: [string, string][] = [];
  if (status.policy.error) lines.push(["bad", `The policy on disk is broken, the one before stays in force: ${status.policy.error}`]);
  if (status.policy.released) lines.push(["", "Everything was released: no quota holds until 'masu apply'."]);
  for (const process of status.processes) if (process.stopped) lines.push(["bad", `${process.role} (pid ${process.pid}) was stopped by a signal and does nothing.`]);
  if (!status.enforce) lines.push(["", "enforce: off – masu observes and plans, and writes nothing."]);
  notes.replaceChildren(...lines.map(([kind, line]) => el("div", { class: `note ${kind}` }, line)));
}

function showRoute(): void {
  const path = decodeURIComponent(location.hash.slice(1));
  detail?.destroy();
  detail = undefined;
  byId("host").replaceChildren(host.name, path ? host.element : system);
  if (!path) tiles.append(host.element);
  if (path) {
    focused = path;
    detail = new Detail(path, find(path), events);
    main.replaceChildren(notes, detail.element);
    detail.start(find(path));
    void api.events(`limit=200&path=${encodeURIComponent(path)}`).then((past) => past.forEach(onEvent), () => undefined);
  } else {
    main.replaceChildren(notes, list);
    if (last) table.update(last.containers);
    if (focused) list.querySelector<HTMLElement>(`tr[data-path="${CSS.escape(focused)}"]`)?.focus();
  }
}

function onKey(event: KeyboardEvent): void {
  const typing = document.activeElement === filter;
  if (event.key === "Escape") {
    if (typing) filter.blur();
    else location.hash = "";
  } else if (event.ctrlKey || event.metaKey || event.altKey) {
    return;
  } else if (event.key === "/" && !typing && !detail) {
    filter.focus();
    event.preventDefault();
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !detail) {
    table.move(event.key === "ArrowDown" ? 1 : -1);
    event.preventDefault();
  } else if (detail && !typing && /^[1-5]$/.test(event.key)) {
    detail.pick(Number(event.key) - 1);
  }
}

// The stream goes on where the events of before end; what comes twice is shown once.
async function start(): Promise<void> {
  const newest = await api.events("limit=1000").catch(() => []);
  // Where groups come and go all day, what else happened lies far behind them.
  const rest = await api.events("limit=1000&type=-born,-gone").catch(() => []);
  for (const event of [...rest, ...newest]) onEvent(event);
  api.listen(newest.at(-1)?.number, { tick: onTick, event: onEvent, link: onLink });
}

async function recall(): Promise<void> {
  const now = Math.floor(Date.now() / 1000);
  await host.recall(now - span, now);
  await table.recall(now - span, now);
}

const applyFilter = () => table.setFilter(filter.value.trim(), all.checked);
filter.addEventListener("input", applyFilter);
all.addEventListener("change", applyFilter);
addEventListener("hashchange", showRoute);
addEventListener("keydown", onKey);
// The charts' colours are read when they are made: made anew when the scheme changes.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showRoute);

showRoute();
void showStatus();
setInterval(showStatus, 30_000);
void start();
