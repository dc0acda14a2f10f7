// The real server on a fresh data folder: started, asked, killed, frozen and started again by tests.
import { ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";

const startLimit = 60_000;

function program(name: string): string {
  const path = process.env[name];
  if (!path) throw new Error(`${name} names no program: run these tests with ctest -L browser`);
  return path;
}

/** Asks until `ask` answers something; fails with `what` when it did not within `limit` ms. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined | false>, limit = 60_000): Promise<T> {
  const end = Date.now() + limit;
  for (;;) {
    const answer = await ask();
    if (answer) return answer as T;
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

export class Server {
  readonly folder = mkdtempSync(join(tmpdir(), "troupe-page-"));
  url = "";
  link = "";
  token = "";
  tier = "";
  private child?: ChildProcess;
  private port = 0;

  private constructor(private readonly more: string[]) {}

  /** `more`: further options of troupe serve. */
  static async start(...more: string[]): Promise<Server> {
    const server = new Server(more);
    await server.serve();
    return server;
  }

  /** Serves the same data folder on the same port again. */
  async serve(): Promise<void> {
    const log = openSync(join(this.folder, "serve.log"), "a");
    const child = spawn(program("TROUPE_PROGRAM"), ["serve", "--data", join(this.folder, "data"), "--port", `${this.port}`,
      "--repo-root", this.folder, "--ready-fd", "3", ...this.more], {
      stdio: ["ignore", log, log, "pipe"], cwd: this.folder,
      env: { PATH: process.env.PATH, HOME: this.folder, TROUPE_SANDBOXD: program("TROUPE_SANDBOXD"),
        TROUPE_SCRIPTED_AGENT: program("TROUPE_SCRIPTED_AGENT") },
    });
    closeSync(log);
    this.child = child;
    const ready = child.stdio[3] as Readable;
    const deadline = setTimeout(() => child.kill("SIGKILL"), startLimit);
    let line = "";
    for await (const piece of ready) {
      line += piece;
      if (line.includes("\n")) break;
    }
    clearTimeout(deadline);
    if (!line) throw new Error(`the server did not start: ${readFileSync(join(this.folder, "serve.log"), "utf8")}`);
    const said = JSON.parse(line);
    this.url = said.url;
    this.token = said.token;
    this.link = said.link;
    this.tier = said.tier;
    this.port = Number(new URL(this.url).port);
  }

  get pid(): number | undefined { return this.child?.pid; }

  signal(name: NodeJS.Signals): void { this.child?.kill(name); }

  async kill(): Promise<void> { await this.end("SIGKILL"); }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    const deadline = setTimeout(() => child.kill("SIGKILL"), 30_000);
    await ended;
    clearTimeout(deadline);
  }

  /** Ends everything that the tests made, sandboxes first: those outlive their server. */
  async stop(organizations: string[] = []): Promise<void> {
    try {
      for (const organization of organizations) await this.clear(organization);
    } finally {
      await this.end("SIGTERM");
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  private async clear(organization: string): Promise<void> {
    const key = `org/${organization}`;
    const { tasks, sandboxes: { recent } } = await this.snapshot(key);
    const made = tasks.filter((one: any) => one.made).map((one: any) => one.task);
    const held = recent.filter((one: any) => one.holder && one.state !== "destroyed").map((one: any) => one.holder.split("/").at(-1));
    // One that is gone already is as good as deleted.
    for (const task of new Set([...made, ...held])) await this.command(key, "org.delete_task", { task, discard: true }).catch(() => {});
    await eventually("the sandboxes are gone", async () => {
      const { sandboxes } = await this.snapshot(key);
      return Object.entries(sandboxes.by_state).every(([state, count]) => state === "destroyed" || count === 0);
    });
  }

  private async ask(path: string, init: RequestInit = {}): Promise<any> {
    const answer = await fetch(`${this.url}/v1/actors/${path}`, {
      ...init, headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" },
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${JSON.stringify(body)}`);
    return body;
  }

  command(key: string, name: string, body: object = {}): Promise<any> {
    return this.ask(`${key}/commands/${name}`, { method: "POST", body: JSON.stringify(body) });
  }
  query(key: string, name: string, body: object = {}): Promise<any> {
    return this.ask(`${key}/queries/${name}`, { method: "POST", body: JSON.stringify(body) });
  }
  /** The members of the snapshot alone. */
  async snapshot(key: string): Promise<any> {
    const answer = await this.ask(`${key}/snapshot`);
    return answer.data ?? answer;
  }

  run(...words: string[]): string {
    return execFileSync(program("TROUPE_PROGRAM"), [...words, "--server", this.url], {
      encoding: "utf8", cwd: this.folder,
      env: { PATH: process.env.PATH, HOME: this.folder, TROUPE_TOKEN: this.token },
    });
  }

  /** A word that signs `user` in once. */
  signIn(user = "owner"): string { return JSON.parse(this.run("access", "link", user, "--json")).url; }

  /** A repository with one commit, known to the organization and ready. */
  async repository(organization: string, name = "widgets", files: Record<string, string> = { "README.md": "# Widgets\n" }) {
    const folder = join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text);
    const git = (...words: string[]) => execFileSync("git", ["-C", folder, "-c", "user.name=T", "-c", "user.email=t@localhost", ...words]);
    git("init", "-q", "-b", "main");
    git("add", ".");
    git("commit", "-q", "-m", "Begin");
    const key = `org/${organization}`;
    await this.command(key, "org.add_repository", { repository: name, url: folder });
    await eventually("the repository is ready", async () =>
      (await this.snapshot(key)).repositories.some((r: any) => r.repository === name && r.state === "ready"));
  }

  async organization(name: string): Promise<void> {
    this.run("org", "create", name, "--json");
    await eventually("the organization is there", () => this.snapshot(`org/${name}`).catch(() => undefined));
    await this.command(`org/${name}`, "org.update_settings", { default_agent: "scripted" });
  }
}
