// The page: one stream of ticks feeds the host line and whichever view the address names.

import * as api from "./api";
import type { Container, Event, Tick } from "./api";
import { Detail } from "./detail";
import { byId, el, text } from "./dom";
import * as format from "./format";
import { Table } from "./table";

const main = byId("main");
const filter = el("input", { type: "search", placeholder: "Filter by name, path, quota", "aria-label": "Filter containers" });
const idle = el("input", { type: "checkbox" });
const notes = el("div");
const counted = el("h1", {}, "Containers");
const table = new Table((path) => (location.hash = encodeURIComponent(path)));
const list = el("div", {},
  el("div", { class: "bar" }, counted, el("span", { class: "grow" }), el("label", { class: "check" }, idle, "idle groups"), filter),
  table.element);

let last: Tick | undefined;
let events: Event[] = [];
let detail: Detail | undefined;
let focused: string | undefined; // the row to come back to

function find(path: string): Container | undefined {
  if (path === "/") return last?.host;
  return last?.containers.find((c) => c.path === path);
}

function fact(name: string, value: string): HTMLElement {
  return el("span", { class: "fact", "data-fact": name }, el("span", {}, name), el("b", {}, value));
}

function showHost(host: Container): void {
  const metrics = host.sample?.metrics ?? {};
  const rates = host.sample?.rates ?? {};
  byId("host").replaceChildren(
    el("a", { class: "name", href: "#%2F", style: "color:inherit;text-decoration:none", title: "The host's charts" }, host.name),
    fact("CPU", `${format.cores(rates.cpu_usage)} of ${format.count(metrics.cpu_limit)} cores`),
    fact("memory", `${format.bytes(metrics.memory_usage)} of ${format.bytes(metrics.memory_limit)}`),
    fact("memory stall", format.percent(rates.memory_pressure_some)),
    fact("disk stall", format.percent(rates.io_pressure_some)),
    fact("network", `${format.rate(rates.network_receive)} in, ${format.rate(rates.network_transmit)} out`));
}

function onTick(tick: Tick): void {
  last = tick;
  showHost(tick.host);
  const managed = tick.containers.filter((c) => c.managed).length;
  text(counted, `${tick.containers.length} groups, ${managed} held to a quota`);
  if (detail) {
    const container = find(detail.path);
    if (container) detail.update(container);
    else detail.gone();
  } else {
    table.update(tick.containers);
  }
}

function onEvent(event: Event): void {
  events = [...events.slice(-999), event];
  detail?.addEvent(event);
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
  text(byId("about"), `masu ${status.version} · cgroup ${status.mode} · Linux ${status.kernel} · every ${status.interval} s`);
  const lines: [string, string][] = [];
  if (status.policy.error) lines.push(["bad", `The policy on disk is broken, the one before stays in force: ${status.policy.error}`]);
  if (!status.enforce) lines.push(["", "enforce: off – masu observes and plans, and writes nothing."]);
  notes.replaceChildren(...lines.map(([kind, line]) => el("div", { class: `note ${kind}` }, line)));
}

function showRoute(): void {
  const path = decodeURIComponent(location.hash.slice(1));
  detail?.destroy();
  detail = undefined;
  if (path) {
    focused = path;
    detail = new Detail(path, find(path), events);
    main.replaceChildren(notes, detail.element);
    detail.start(find(path));
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

const applyFilter = () => table.setFilter(filter.value.trim(), idle.checked);
filter.addEventListener("input", applyFilter);
idle.addEventListener("change", applyFilter);
addEventListener("hashchange", showRoute);
addEventListener("keydown", onKey);
// The charts' colours are read when they are made: made anew when the scheme changes.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showRoute);

showRoute();
void showStatus();
setInterval(showStatus, 30_000);
void api.events(500).then((past) => {
  const newest = past.at(-1)?.number ?? 0;
  const fresh = events.filter((e) => e.number > newest);
  events = [...past, ...fresh];
  if (detail) for (const event of past) detail.addEvent(event);
}).catch(() => undefined);
api.listen({ tick: onTick, event: onEvent, link: onLink });
