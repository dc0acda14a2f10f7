// Measures sandboxd beside the published server of its contract, in turns, and prints one table: medians of the rounds.
//
//   node bench/sandboxd/compare.mjs build/release/sandboxd/sandboxd [ROUNDS]
//
// Needs wrk (Debian's) and npm, which installs the published server into this folder. Nothing else should be at work.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const [program, rounds = "3"] = process.argv.slice(2);
if (!program || !existsSync(program) || spawnSync("wrk", ["-v"]).error) {
  console.error("usage: compare.mjs SANDBOXD [ROUNDS]: build sandboxd with the preset release, and apt-get install wrk");
  process.exit(2);
}
const here = dirname(fileURLToPath(import.meta.url));
if (!existsSync(join(here, "node_modules/sandbox-agent"))) {
  const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: here, stdio: ["ignore", 2, 2], timeout: 300_000 });
  if (npm.status !== 0) process.exit(1);
}
const { SandboxAgent } = await import("sandbox-agent");
const published = join(here, "node_modules/@sandbox-agent/cli-linux-x64/bin/sandbox-agent");
chmodSync(published, 0o755);

const servers = {
  sandboxd: port => [resolve(program), "serve", "--no-token", "--port", port],
  published: port => [published, "server", "--no-token", "--no-telemetry", "--port", port],
};
const agent = "pi";
const starts = 10, prompts = 300, agents = 50, seconds = 5;

const median = values => [...values].sort((a, b) => a - b)[values.length >> 1];
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))];

async function freePort() {
  const listening = createServer().listen(0, "127.0.0.1");
  await once(listening, "listening");
  const { port } = listening.address();
  listening.close();
  await once(listening, "close");
  return `${port}`;
}

class Server {
  constructor(name) {
    this.name = name;
    this.folder = mkdtempSync(join(tmpdir(), "sandboxd-bench-"));
    // Where both look for the program of an agent.
    const launchers = join(this.folder, "data/sandbox-agent/bin/agent_processes");
    mkdirSync(launchers, { recursive: true });
    writeFileSync(join(launchers, `${agent}-acp`), `#!/bin/sh\nexec "${process.execPath}" "${join(here, "echo-agent.mjs")}"\n`, { mode: 0o755 });
  }

  /** Milliseconds from the start of the process to its first answer. */
  async start() {
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    const began = performance.now();
    const [command, ...words] = servers[this.name](port);
    this.child = spawn(command, words, { stdio: "ignore", cwd: this.folder,
      env: { PATH: process.env.PATH, HOME: this.folder, XDG_DATA_HOME: join(this.folder, "data") } });
    for (;;) {
      const well = await fetch(`${this.url}/v1/health`).then(answer => answer.ok, () => false);
      if (well) return performance.now() - began;
      if (performance.now() - began > 20_000) throw new Error(`${this.name} does not start`);
      await after(1);
    }
  }

  async stop() {
    const ended = once(this.child, "exit");
    this.child.kill("SIGTERM");
    await Promise.race([ended, after(5000)]);
    this.child.kill("SIGKILL");
    await ended;
  }

  /** MB of memory that the server's process holds. */
  memory() {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.child.pid}/status`, "utf8"))[1]) / 1024;
  }

  load(path, connections, script) {
    const more = [];
    if (script) {
      writeFileSync(join(this.folder, "load.lua"), script);
      more.push("-s", join(this.folder, "load.lua"));
    }
    const said = spawnSync("wrk", ["-t1", `-c${connections}`, `-d${seconds}s`, ...more, this.url + path], { encoding: "utf8" }).stdout;
    if (/Non-2xx/.test(said)) throw new Error(`${this.name} refused requests of the load:\n${said}`);
    return Number(/Requests\/sec:\s+([\d.]+)/.exec(said)[1]);
  }

  async prompts() {
    const sdk = await SandboxAgent.connect({ baseUrl: this.url });
    const session = await sdk.createSession({ agent, cwd: "/tmp" });
    const took = [];
    for (let i = 0; i < prompts; ++i) {
      const began = performance.now();
      await session.prompt([{ type: "text", text: "ping" }]);
      took.push(performance.now() - began);
    }
    await sdk.dispose();
    return took.slice(prompts / 10);
  }

  async rawPrompts() {
    const post = async (message, query = "") => {
      const answer = await fetch(`${this.url}/v1/acp/raw${query}`, { method: "POST", headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", ...message }) });
      return answer.json();
    };
    await post({ id: 1, method: "initialize", params: { protocolVersion: 1 } }, `?agent=${agent}`);
    const { sessionId } = (await post({ id: 2, method: "session/new", params: { cwd: "/tmp", mcpServers: [] } })).result;
    const took = [];
    for (let i = 0; i < prompts; ++i) {
      const began = performance.now();
      await post({ id: 10 + i, method: "session/prompt", params: { sessionId, prompt: [{ type: "text", text: "ping" }] } });
      took.push(performance.now() - began);
    }
    return took.slice(prompts / 10);
  }

  async manyAgents() {
    for (let i = 0; i < agents; ++i) {
      await fetch(`${this.url}/v1/acp/a${i}?agent=${agent}`, { method: "POST", headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: 1 } }) });
    }
    return this.memory();
  }
}

const run = `wrk.method = "POST"\nwrk.body = '{"command":"true"}'\nwrk.headers["Content-Type"] = "application/json"\n`;

async function measure(name) {
  const server = new Server(name);
  const out = {};
  try {
    const up = [];
    for (let i = 0; i < starts; ++i) {
      up.push(await server.start());
      await server.stop();
    }
    out["start to healthy, ms"] = median(up);
    await server.start();
    await after(2000);
    out["idle memory, MB"] = server.memory();
    out["GET /v1/health, a second"] = server.load("/v1/health", 16);
    out["POST /v1/processes/run true, a second"] = server.load("/v1/processes/run", 4, run);
    const byClient = await server.prompts();
    out["prompt by the client, p50 ms"] = quantile(byClient, 0.5);
    out["prompt by the client, p99 ms"] = quantile(byClient, 0.99);
    const raw = await server.rawPrompts();
    out["prompt by bare HTTP, p50 ms"] = quantile(raw, 0.5);
    out["prompt by bare HTTP, p99 ms"] = quantile(raw, 0.99);
    await server.stop();
    await server.start();
    out[`memory with ${agents} agents, MB`] = await server.manyAgents();
    await server.stop();
  } finally {
    server.child?.kill("SIGKILL");
    rmSync(server.folder, { recursive: true, force: true });
  }
  return out;
}

const seen = { sandboxd: [], published: [] };
for (let round = 0; round < Number(rounds); ++round) {
  // Each goes first in turn.
  const order = round % 2 ? ["published", "sandboxd"] : ["sandboxd", "published"];
  for (const name of order) {
    seen[name].push(await measure(name));
    console.error(`round ${round + 1}: ${name} measured`);
  }
}
const shown = value => value >= 1000 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
console.log(`${cpus().length} cores, ${cpus()[0].model}, Node ${process.version}, ${rounds} rounds\n`);
console.log("| | sandboxd | published 0.4.2 | ratio |\n| --- | --- | --- | --- |");
for (const what of Object.keys(seen.sandboxd[0])) {
  const [ours, theirs] = ["sandboxd", "published"].map(name => median(seen[name].map(round => round[what])));
  console.log(`| ${what} | ${shown(ours)} | ${shown(theirs)} | ${(ours / theirs).toFixed(2)} |`);
}
