// The host in one line: five facts, each with its last minutes. In the list they are tiles, over a container's charts a line of the header.

import type { Container } from "./api";
import * as api from "./api";
import { el, text } from "./dom";
import * as format from "./format";
import { Spark, Trail } from "./spark";

interface Fact {
  name: string;
  kind: string; // the curve's colour
  metrics: string[]; // the curve is their sum
  rate: boolean;
  show(metrics: api.Numbers, rates: api.Numbers): string;
  floor(metrics: api.Numbers): number;
}

const facts: Fact[] = [
  {
    name: "CPU", kind: "cpu", metrics: ["cpu_usage"], rate: true, floor: (m) => m.cpu_limit ?? 1,
    show: (m, r) => `${format.cores(r.cpu_usage)} of ${format.count(m.cpu_limit)} cores`,
  },
  {
    name: "memory", kind: "memory", metrics: ["memory_usage"], rate: false, floor: (m) => m.memory_limit ?? 1,
    show: (m) => `${format.bytes(m.memory_usage)} of ${format.bytes(m.memory_limit)}`,
  },
  {
    name: "memory stall", kind: "psi", metrics: ["memory_pressure_some"], rate: true, floor: () => 0.2,
    show: (_, r) => format.percent(r.memory_pressure_some),
  },
  {
    name: "disk stall", kind: "write", metrics: ["io_pressure_some"], rate: true, floor: () => 1,
    show: (_, r) => format.percent(r.io_pressure_some),
  },
  {
    name: "network", kind: "read", metrics: ["network_receive", "network_transmit"], rate: true, floor: () => 65536,
    show: (_, r) => `${format.rate(r.network_receive)} in, ${format.rate(r.network_transmit)} out`,
  },
];

export class Host {
  readonly name = el("a", { class: "name", href: "#%2F", title: "The host's charts" });
  readonly element = el("div", { class: "facts-of-host" });
  private readonly rows = facts.map((fact) => {
    const value = el("b", {}, "–");
    const spark = new Spark(fact.kind);
    this.element.append(el("span", { class: "fact", "data-fact": fact.name }, el("span", {}, fact.name), value, spark.element));
    return { fact, value, spark, trail: new Trail() };
  });

  update(host: Container): void {
    text(this.name, host.name);
    const { metrics, rates = {} } = host.sample ?? { metrics: {} };
    for (const { fact, value, spark, trail } of this.rows) {
      text(value, fact.show(metrics, rates));
      if (host.sample) trail.add(host.sample.time, sum(fact.metrics.map((m) => (fact.rate ? rates : metrics)[m])));
      spark.draw(trail, fact.floor(metrics));
    }
  }

  async recall(from: number, to: number): Promise<void> {
    for (const { fact, trail } of this.rows) {
      const histories = await Promise.all(fact.metrics.map((m) => api.history("/", m, from, to).catch(() => undefined)));
      trail.prepend((histories[0]?.points ?? []).map((p, i) => [p[0], sum(histories.map((h) => h?.points[i]?.[1] ?? undefined))]));
    }
  }
}

function sum(values: (number | undefined)[]): number | undefined {
  return values.reduce((a, b) => (a === undefined || b === undefined ? undefined : a + b), 0);
}
