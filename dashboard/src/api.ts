// What the API says (docs/api.md), and the one stream that keeps it fresh.

export type Level = "none" | "low" | "medium" | "critical" | "oom";
export type Numbers = Record<string, number | undefined>;
export type IoLimits = Record<string, Record<string, number | null>>;
export type Limits = { [knob: string]: number | null | IoLimits | undefined } & { io?: IoLimits };

export interface Container {
  path: string;
  name: string;
  runtime: string;
  id: string;
  kind: "group" | "host";
  born: number;
  managed: boolean;
  settling: boolean;
  created: boolean;
  populated: boolean;
  io_per_leaf: boolean;
  quota: string | null;
  level: Level;
  level_since: number;
  wanted: Limits;
  limits: Limits;
  adopted: string[];
  sample?: { time: number; metrics: Numbers; rates?: Numbers };
}

export interface Event {
  number: number;
  time: number;
  type: string;
  severity: string;
  path?: string;
  name?: string;
  runtime?: string;
  level?: Level;
  before?: Level;
  text: string;
}

export interface Tick {
  time: number;
  host: Container;
  containers: Container[];
}

export interface Status {
  version: string;
  mode: string;
  sampler: string;
  watch: string;
  interval: number;
  enforce: boolean;
  host: string;
  kernel: string;
  policy: { loaded: number; error: string | null; released: boolean };
  processes: { role: string; pid: number; restarts: number; stopped: boolean }[];
}

export interface History {
  metric: string;
  unit: string;
  step: number;
  points: [number, number | null, number | null][];
  limit: [number, number | null][] | null;
}

async function get<T>(path: string): Promise<T> {
  const answer = await fetch(path);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body?.error?.message ?? `${answer.status}`);
  return body as T;
}

export const status = () => get<Status>("/api/v1/status");

export function history(path: string, metric: string, from: number, to: number): Promise<History> {
  return get(`/api/v1/containers/${encodeURIComponent(path)}/history?metric=${metric}&from=${from}&to=${to}`);
}

export async function events(query: string): Promise<Event[]> {
  return (await get<{ events: Event[] }>(`/api/v1/events?${query}`)).events;
}

export interface Listener {
  tick(tick: Tick): void;
  event(event: Event): void;
  link(state: "live" | "lost"): void;
}

// EventSource reconnects by itself; a tick that stays away for long is a lost link too.
export function listen(after: number | undefined, listener: Listener): void {
  let last = Date.now();
  const source = new EventSource(`/api/v1/stream${after === undefined ? "" : `?after=${after}`}`);
  source.addEventListener("tick", (message) => {
    last = Date.now();
    listener.link("live");
    listener.tick(JSON.parse(message.data));
  });
  source.addEventListener("event", (message) => listener.event(JSON.parse(message.data)));
  source.addEventListener("error", () => listener.link("lost"));
  setInterval(() => {
    if (Date.now() - last > 10_000) listener.link("lost");
  }, 2000);
}
