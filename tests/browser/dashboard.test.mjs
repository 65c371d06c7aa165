// What a person sees on the dashboard, and that it is what the API says.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import { Instance } from "./instance.mjs";

// So little CPU that it is throttled on a busy machine, too.
const policy = `
quotas:
  web:   { match: { path: "ROOT/web" },   cpu: { bandwidth: 0.1, weight: 200 }, memory: { limit: 128MiB }, pids: 50 }
  batch: { match: { path: "ROOT/batch" }, cpu: { bandwidth: 0.05 }, memory: { limit: 96MiB } }
`;
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const pictures = process.env.MASU_SCREENSHOTS;

let instance, browser, profile, page, web;
const strangers = [];

before(async () => {
  instance = new Instance(policy);
  web = instance.run("web", "while :; do :; done");
  instance.run("batch", "while :; do head -c 40000000 /dev/zero | tail -n 1 >/dev/null; sleep 1; done");
  instance.run("db", "while :; do sleep 1; done");
  await instance.start();
  profile = mkdtempSync(join(tmpdir(), "masu-test-profile-"));
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium", headless: true, args: flags, viewport: { width: 1360, height: 860 },
  });
  page = await browser.newPage();
  page.on("request", (request) => {
    if (!request.url().startsWith(instance.url) && !request.url().startsWith("data:")) strangers.push(request.url());
  });
  page.on("pageerror", (error) => strangers.push(String(error)));
  if (pictures) mkdirSync(pictures, { recursive: true });
});

after(async () => {
  await browser?.close();
  if (profile) rmSync(profile, { recursive: true, force: true });
  await instance?.stop();
});

const row = (path) => page.locator(`tr[data-path="${path}"]`);
const cell = (path, column) => row(path).locator(`td.${column}`).innerText();

async function picture(name) {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`) });
}

// What the page shows and what the API says, of one moment: a tick may fall between the two questions.
async function eventually(look) {
  let last;
  for (let i = 0; i < 40; i++) {
    try { return await look(); } catch (error) { last = error; }
    await sleep(150);
  }
  throw last;
}

test("the table lists every container with its quota", async () => {
  await page.goto(instance.url);
  await row(web).waitFor();
  assert.equal(await cell(web, "quota"), "web");
  await page.getByLabel("all groups").check();
  assert.equal(await page.locator("tbody tr").count() >= 3, true);
});

test("numbers on the page equal the API's", async () => {
  const mib = (bytes) => {
    const value = bytes / 1048576;
    return `${value >= 100 ? Math.round(value) : value.toFixed(value >= 10 ? 1 : 2)} MiB`;
  };
  await eventually(async () => {
    const c = await instance.api(`/api/v1/containers/${encodeURIComponent(web)}`);
    assert.equal((await cell(web, "cpu")).trim(), c.sample.rates.cpu_usage.toFixed(2));
    assert.equal((await cell(web, "pids")).trim(), String(c.sample.metrics.pids));
  });
  await eventually(async () => {
    const c = await instance.api(`/api/v1/containers/${encodeURIComponent(instance.root + "/batch")}`);
    if (c.sample.metrics.memory_usage >= 1048576)
      assert.equal((await cell(`${instance.root}/batch`, "memory")).trim(), mib(c.sample.metrics.memory_usage));
  });
  await eventually(async () => {
    const host = await instance.api("/api/v1/containers/%2F");
    const text = await page.locator('[data-fact="CPU"] b').innerText();
    assert.equal(text, `${host.sample.rates.cpu_usage.toFixed(2)} of ${Math.round(host.sample.metrics.cpu_limit)} cores`);
  });
});

test("the busy container is throttled and stands first when sorted by CPU", async () => {
  await eventually(async () => {
    assert.equal(await page.locator("tbody tr").first().getAttribute("data-path"), web);
    assert.match(await cell(web, "throttled"), /^([6-9]\d|100) %$/);
  });
  await picture("table");
});

test("the list draws the last minutes of each row and tells what happened to it", async () => {
  await eventually(async () => {
    assert.match(await row(web).locator("td.cpu .spark .line").getAttribute("d"), /^M[\d.]+ [\d.]+L/);
    assert.match(await page.locator('[data-fact="CPU"] .spark .line').getAttribute("d"), /^M[\d.]+ [\d.]+L/);
  });
  const line = page.locator(".log li", { hasText: "cpu.bandwidth" }).filter({ has: page.getByRole("link", { name: web, exact: true }) });
  await line.first().waitFor();
});

test("columns sort by click, rows open by keyboard, Escape comes back", async () => {
  await page.getByRole("button", { name: "Container", exact: true }).click();
  await eventually(async () => assert.equal(await page.locator("tbody tr").first().getAttribute("data-path"), `${instance.root}/batch`));
  await page.keyboard.press("/");
  await page.keyboard.type("web");
  await eventually(async () => assert.equal(await page.locator("tbody tr").count(), 1));
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "CPU, cores" }).waitFor();
  await page.keyboard.press("Escape");
  await row(web).waitFor();
});

test("a container's view draws its charts with the limits and lists its events", async () => {
  await page.goto(`${instance.url}/#${encodeURIComponent(web)}`);
  await page.locator(".uplot").nth(3).waitFor();
  await page.getByText("cpu.bandwidth").first().waitFor();
  assert.match(await page.locator(".facts").innerText(), /memory\.limit\s+128 MiB\s+128 MiB/);
  assert.match(await page.locator(".events").innerText(), /cpu\.bandwidth/);
  await sleep(12000);
  await picture("container");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.locator(".uplot").nth(3).waitFor();
  await sleep(3000);
  await picture("container-dark");
  await page.keyboard.press("Escape");
  await row(web).waitFor();
  await picture("table-dark");
  await page.emulateMedia({ colorScheme: "light" });
});

test("history comes from the archive", async () => {
  await eventually(async () => {
    const now = Math.floor(Date.now() / 1000);
    const history = await instance.api(`/api/v1/containers/${encodeURIComponent(web)}/history?metric=cpu_usage&from=${now - 3600}&to=${now}`);
    assert.equal(history.metric, "cpu_usage");
    assert.equal(history.points.some(([, value]) => value > 0.05 && value < 0.15), true);
  });
});

test("the page asks nobody but its own server and throws no error", () => {
  assert.deepEqual(strangers, []);
});
