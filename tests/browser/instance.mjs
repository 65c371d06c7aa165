// A masud of the test's own, with groups and workloads of its own, that leaves nothing behind.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, rmdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const hierarchies = readFileSync("/proc/self/mounts", "utf8").split("\n").map((line) => line.split(" "))
  .filter(([, , type]) => type === "cgroup" || type === "cgroup2").map(([, mount, type]) => ({ mount, type }));

export const build = join(import.meta.dirname, "..");

export class Instance {
  children = [];
  groups = [];

  constructor(policy) {
    this.dir = mkdtempSync(join(tmpdir(), "masu-test-browser-"));
    this.root = `/masu-test-browser-${process.pid}`;
    this.port = 30000 + (process.pid % 20000);
    this.makeGroup(this.root);
    writeFileSync(join(this.dir, "policy.yaml"), policy.replaceAll("ROOT", this.root));
    writeFileSync(join(this.dir, "masu.yaml"), [
      "interval: 1s",
      `paths: { state: ${this.dir}/state, run: ${this.dir}/run }`,
      `http: { listen: 127.0.0.1:${this.port} }`,
      `scope: [ "${this.root}/*" ]`,
      `policy: [ ${this.dir}/policy.yaml ]`,
      "archive: { after: 3s, flush: 2s }", "",
    ].join("\n"));
    // Roles without root's rights look into the state directory: the way there must be open.
    execFileSync("chmod", ["755", this.dir]);
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  makeGroup(path) {
    for (const { mount, type } of hierarchies) {
      mkdirSync(mount + path, { recursive: true });
      if (type === "cgroup2" && path === this.root)
        for (const name of ["cpu", "memory", "io", "pids"])
          if (readFileSync(`${mount}${path}/cgroup.controllers`, "utf8").split(/\s+/).includes(name))
            writeFileSync(`${mount}${path}/cgroup.subtree_control`, `+${name}`);
      if (existsSync(`${mount}${path}/cpuset.cpus`) && type === "cgroup")
        for (const file of ["cpuset.cpus", "cpuset.mems"]) writeFileSync(`${mount}${path}/${file}`, readFileSync(`${mount}/${file}`));
    }
    this.groups.unshift(path);
  }

  // A shell in the group that runs @script.
  run(name, script) {
    const path = `${this.root}/${name}`;
    if (!this.groups.includes(path)) this.makeGroup(path);
    const enter = hierarchies.map(({ mount }) => `echo $$ >${mount}${path}/cgroup.procs`).join("; ");
    this.children.push(spawn("sh", ["-c", `${enter}; ${script}`], { stdio: "ignore" }));
    return path;
  }

  async start() {
    this.log = [];
    this.masud = spawn(join(build, "masud"), ["--config", join(this.dir, "masu.yaml")], { stdio: ["ignore", "ignore", "pipe"] });
    this.masud.stderr.on("data", (chunk) => this.log.push(chunk));
    for (let i = 0; i < 200; i++) {
      const status = await this.api("/api/v1/status").catch(() => undefined);
      if (status?.sampling?.ticks >= 2) return;
      if (this.masud.exitCode !== null) break;
      await sleep(100);
    }
    throw new Error(`masud did not start:\n${Buffer.concat(this.log)}`);
  }

  api(path) {
    return new Promise((resolve, reject) => {
      request(this.url + path, (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () => {
          try { resolve(JSON.parse(Buffer.concat(parts))); } catch (error) { reject(error); }
        });
      }).on("error", reject).end();
    });
  }

  async stop() {
    if (this.masud?.exitCode === null) {
      this.masud.kill("SIGTERM");
      await Promise.race([new Promise((done) => this.masud.once("exit", done)), sleep(10000)]);
    }
    for (const child of this.children) child.kill("SIGKILL");
    await sleep(100);
    for (const path of this.groups)
      for (const { mount } of hierarchies) {
        if (!existsSync(mount + path)) continue;
        for (const pid of readFileSync(`${mount}${path}/cgroup.procs`, "utf8").split("\n").filter(Boolean))
          try { process.kill(Number(pid), "SIGKILL"); } catch { /* it ended by itself */ }
        for (let i = 0; i < 50; i++)
          try { rmdirSync(mount + path); break; } catch { await sleep(50); }
      }
    rmSync(this.dir, { recursive: true, force: true });
  }
}
