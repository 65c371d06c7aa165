// Numbers as people read them. Absent is "–", never 0.

const absent = "–";

function scaled(value: number, step: number, units: string[]): string {
  let unit = 0;
  while (value >= step && unit < units.length - 1) {
    value /= step;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(value >= 10 ? 1 : 2)} ${units[unit]}`;
}

// Memory comes in powers of two, what moves in powers of ten, as in the policy.
export function bytes(value: number | null | undefined): string {
  return value === null || value === undefined ? absent : scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
}

export function rate(value: number | null | undefined): string {
  return value === null || value === undefined ? absent : scaled(value, 1000, ["B/s", "kB/s", "MB/s", "GB/s"]);
}

export function cores(value: number | null | undefined): string {
  return value === null || value === undefined ? absent : value.toFixed(value >= 10 ? 1 : 2);
}

export function percent(share: number | null | undefined): string {
  if (share === undefined || share === null || Number.isNaN(share)) return absent;
  const value = share * 100;
  return `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)} %`;
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? absent : Math.round(value).toLocaleString("en");
}

export function clock(time: number): string {
  return new Date(time * 1000).toLocaleTimeString("en-GB");
}

export function age(seconds: number): string {
  const units: [number, string][] = [[86400, "d"], [3600, "h"], [60, "min"]];
  for (const [size, name] of units) if (seconds >= size) return `${Math.floor(seconds / size)} ${name}`;
  return `${Math.max(0, Math.floor(seconds))} s`;
}

// One limit, by its key.
export function knob(key: string, value: number | null | undefined): string {
  if (value === null) return "unlimited";
  if (value === undefined) return absent;
  if (key === "cpu.bandwidth") return `${Number(value.toFixed(3))} cores`;
  if (key === "cpu.period" || key === "cpu.burst") return `${Number((value * 1000).toFixed(3))} ms`;
  if (key.startsWith("memory.")) return bytes(value);
  if (key === "read" || key === "write") return rate(value);
  if (key.endsWith("_iops")) return `${count(value)}/s`;
  return count(value);
}
