// The client library against the real server, which is killed, frozen and started again in between.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import WebSocket from "ws";
import { Client, Refused, type ClientOptions, type ConnectionState, type OrganizationSnapshot, type Socket } from "../client";
import { pauseBefore } from "../client/connection";
import { apply, canonical } from "../client/patch";
import { eventually, Server } from "./server";

let server: Server;
const key = "org/acme";

before(async () => {
  server = await Server.start();
  await server.organization("acme");
});
after(() => server?.stop());

function connect(options: Partial<ClientOptions> = {}): Client {
  return new Client({
    url: server.url,
    open: (url, protocol) => new WebSocket(url, protocol, { headers: { Authorization: `Bearer ${server.token}` } }) as unknown as Socket,
    ...options,
  });
}
const until = (what: string, is: () => unknown) => eventually(what, async () => Boolean(is()));

/** Sets a name that only this call can have set, and answers it. */
let named = 0;
function rename(client: Client): Promise<string> {
  const display_name = `Acme ${++named}`;
  return client.command(key, "org.update_settings", { display_name }).then(() => display_name);
}

test("a pause doubles from one second to thirty, with a part of chance", () => {
  assert.equal(pauseBefore(0, () => 0), 1000);
  assert.equal(pauseBefore(3, () => 0), 8000);
  assert.ok(pauseBefore(3, () => 1) > 8000);
  assert.ok(pauseBefore(30, () => 1) <= 30_000);
});

test("a subscription gives the snapshot and each later one, to every listener", async () => {
  const client = connect();
  const first: string[] = [], second: string[] = [];
  const one = client.subscribe<OrganizationSnapshot>(key, { onSnapshot: data => first.push(data.display_name) });
  await until("a snapshot", () => first.length);
  assert.deepEqual(one.state, { is: "live" });
  const two = client.subscribe<OrganizationSnapshot>(key, { onSnapshot: data => second.push(data.display_name) });
  assert.equal(second.length, 1, "what is known is there at once");
  const name = await rename(client);
  await until("the change", () => first.at(-1) === name && second.at(-1) === name);
  one.dispose();
  const heard = first.length, other = await rename(client);
  await until("the next change", () => second.at(-1) === other);
  assert.equal(first.length, heard, "who is gone hears nothing");
  two.dispose();
  client.close();
});

test("snapshots come by patches; one that does not fit is found out by its hash, and the whole is asked for", async () => {
  const frames: any[] = [];
  let spoil = false;
  const client = connect({
    open: (url, protocol) => {
      const inner = new WebSocket(url, protocol, { headers: { Authorization: `Bearer ${server.token}` } });
      const socket = { onopen: null, onmessage: null, onclose: null, onerror: null, send: text => inner.send(text), close: () => inner.close() } as Socket;
      inner.onmessage = event => {
        const frame = JSON.parse(`${event.data}`);
        frames.push(frame);
        if (spoil && frame.op === "patch") {
          spoil = false;
          frame.patch = frame.patch.map((one: any) => one.path === "/display_name" ? { ...one, value: "not what was said" } : one);
        }
        socket.onmessage?.({ data: JSON.stringify(frame) });
      };
      inner.onclose = event => socket.onclose?.(event);
      inner.onerror = () => {};
      return socket;
    },
  });
  const names: string[] = [];
  let held: OrganizationSnapshot | undefined;
  client.subscribe<OrganizationSnapshot>(key, { onSnapshot: data => { held = data; names.push(data.display_name); } });
  await until("a snapshot", () => names.length);
  for (let round = 0; round < 3; ++round) {
    const name = await rename(client);
    await until("the change", () => names.at(-1) === name);
  }
  assert.ok(frames.filter(one => one.op === "patch").length >= 3);
  assert.equal(frames.filter(one => one.op === "snapshot").length, 1);
  assert.deepEqual(held, await server.snapshot(key));
  spoil = true;
  const name = await rename(client);
  await until("the change, whole", () => names.at(-1) === name);
  assert.ok(!names.includes("not what was said"));
  assert.equal(frames.filter(one => one.op === "snapshot").length, 2);
  client.close();
});

test("a later reader of a stream takes the place of an earlier one, whose end does not end it", async () => {
  const client = connect();
  const heard: Record<string, number> = { first: 0, second: 0 };
  const read = (who: string) => client.stream(`${key}/audit-log#entries`, { onEntries: entries => { heard[who] = entries.at(-1)!.seq; } });
  const first = read("first");
  await until("the first reader", () => heard.first);
  const second = read("second");
  first.dispose();
  await until("the second reader", () => heard.second);
  const before = heard.first;
  await rename(client);
  await until("what came after", () => heard.second! > before!);
  assert.equal(heard.first, before);
  second.dispose();
  client.close();
});

test("the package builds, and what it exports runs in plain Node", async () => {
  // Below node_modules, so that what it depends on is found.
  const modules = resolve(dirname(fileURLToPath(import.meta.url)), "..", ".."), out = join(modules, `client-${process.pid}`);
  try {
    execFileSync(process.execPath, [join(modules, "typescript", "bin", "tsc"), "-p", join(modules, "..", "client"), "--outDir", out]);
    writeFileSync(join(out, "package.json"), '{"type":"module"}');
    const built = await import(pathToFileURL(join(out, "index.js")).href);
    const client = new built.Client({ url: server.url,
      open: (url: string, protocol: string) => new WebSocket(url, protocol, { headers: { Authorization: `Bearer ${server.token}` } }) });
    const { tasks } = await client.query(key, "org.list_tasks", {});
    assert.deepEqual(tasks, []);
    client.close();
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});

test("the canonical form and patches are those of their RFCs", () => {
  assert.equal(canonical({ b: 1e30, a: [0.000001, -0, "\u000f"], "\u{1F600}": 1, "\uFB33": 2 }), '{"a":[0.000001,0,"\\u000f"],"b":1e+30,"\u{1F600}":1,"\uFB33":2}');
  const before = { "a/b": { "c~d": [1, 2, 3] }, e: null };
  const after = apply(before, [{ op: "remove", path: "/a~1b/c~0d/0" }, { op: "add", path: "/a~1b/c~0d/-", value: 4 },
    { op: "replace", path: "/a~1b/c~0d/1", value: { x: 1 } }, { op: "remove", path: "/e" }, { op: "add", path: "/f", value: [] }]);
  assert.deepEqual(after, { "a/b": { "c~d": [2, { x: 1 }, 4] }, f: [] });
  assert.deepEqual(before, { "a/b": { "c~d": [1, 2, 3] }, e: null });
  assert.deepEqual(apply(before, [{ op: "replace", path: "", value: 1 }]), 1);
});

test("what is not there is an error with its code, and so is a refused command", async () => {
  const client = connect();
  const none = client.subscribe("org/nobody", { onSnapshot: () => assert.fail("there is nothing to show") });
  await until("an error", () => none.state.is === "error");
  assert.equal((none.state as any).error.status, 404);
  await assert.rejects(client.command(key, "org.update_settings", { max_running: -1 }),
    (why: unknown) => why instanceof Refused && why.problem.code === "invalid_body");
  client.close();
});

test("a child that is asked for before it is made is no error", async () => {
  // A server that is a moment behind with making it: what only a socket of our own can play.
  const states: string[] = [], refused = { status: 404, code: "not_found" };
  let asked = 0;
  const client = connect({
    open: () => {
      const socket = { onopen: null, onmessage: null, onclose: null, onerror: null, close: () => {} } as unknown as Socket;
      const say = (frame: object) => queueMicrotask(() => socket.onmessage?.({ data: JSON.stringify(frame) }));
      socket.send = text => {
        const { id, topic } = JSON.parse(text);
        if (++asked < 3) return say({ op: "reply", id, ok: false, error: refused });
        say({ op: "reply", id, ok: true, result: {} });
        say({ op: "snapshot", topic, incarnation: "i", revision: 1, data: { here: true } });
      };
      say({ op: "hello", protocol: "troupe.v1", server: { name: "troupe", version: "0" }, principal: { user: "ada", roles: {} } });
      return socket;
    },
  });
  const held = client.subscribe("org/acme/task/new", { onSnapshot: () => {}, onState: state => states.push(state.is) });
  await until("the snapshot", () => held.state.is === "live");
  assert.equal(asked, 3);
  assert.ok(!states.includes("error"), states.join());
  client.close();
});

test("what comes to be later is subscribed to then", async () => {
  const client = connect();
  const names: string[] = [];
  const held = client.subscribe<OrganizationSnapshot>("org/later", { onSnapshot: data => names.push(data.display_name) });
  await until("an error", () => held.state.is === "error");
  await server.organization("later");
  await until("the snapshot", () => held.state.is === "live" && names.length > 0);
  client.close();
});

test("a command that was under way when the server was killed is applied once", async () => {
  const states: ConnectionState["is"][] = [];
  const client = connect({ onState: state => states.push(state.is) });
  const names: string[] = [];
  const held = client.subscribe<OrganizationSnapshot>(key, { onSnapshot: data => names.push(data.display_name) });
  await until("live", () => held.state.is === "live");
  const before = (await server.query(`${key}/audit-log`, "audit.list", { kind: "organization.settings_changed", limit: 500 })).entries.length;
  const asked = Array.from({ length: 50 }, () => rename(client));
  await server.kill();
  await until("stale", () => held.state.is === "stale");
  assert.ok((held.state as any).since <= Date.now());
  await server.serve();
  await Promise.all(asked);
  await until("live again", () => held.state.is === "live");
  await until("the last name", () => names.at(-1) === `Acme ${named}`);
  await eventually("one entry for each", async () => {
    const { entries } = await server.query(`${key}/audit-log`, "audit.list", { kind: "organization.settings_changed", limit: 500 });
    assert.ok(entries.length - before <= 50, "nothing was applied twice");
    return entries.length - before === 50;
  });
  assert.ok(states.includes("lost"));
  client.close();
});

test("a stream has each entry once and in order over five kills", async () => {
  const client = connect();
  const seen: number[] = [];
  const stream = client.stream(`${key}/audit-log#entries`, {
    onEntries: entries => { for (const one of entries) seen.push(one.seq); },
    onReset: () => assert.fail("nothing was pruned"),
  });
  await until("live", () => stream.state.is === "live");
  for (let round = 0; round < 5; ++round) {
    const asked = [rename(client), rename(client)];
    await server.kill();
    await server.serve();
    client.hurry();
    await Promise.all(asked);
  }
  const last = (await server.query(`${key}/audit-log`, "audit.list", { limit: 1 })).entries[0].seq;
  await until("the last entry", () => (seen.at(-1) ?? 0) >= last);
  assert.deepEqual(seen, Array.from({ length: seen.length }, (_, index) => index + 1));
  client.close();
});

test("a frozen server is noticed by its silence and taken up again", async () => {
  const client = connect({ quietMs: 300, answerMs: 300, connectMs: 500 });
  const names: string[] = [];
  const held = client.subscribe<OrganizationSnapshot>(key, { onSnapshot: data => names.push(data.display_name) });
  await until("live", () => held.state.is === "live");
  server.signal("SIGSTOP");
  try {
    await until("stale", () => held.state.is === "stale");
    const asked = rename(client);
    server.signal("SIGCONT");
    const name = await asked;
    await until("live with the change", () => held.state.is === "live" && names.at(-1) === name);
  } finally {
    server.signal("SIGCONT");
  }
  client.close();
});

test("silence alone ends nothing while the server answers pings", async () => {
  const states: string[] = [];
  const client = connect({ quietMs: 50, answerMs: 5000, onState: state => states.push(state.is) });
  await until("live", () => states.includes("live"));
  let pings = 0;
  const send = (client as any).connection.send.bind((client as any).connection);
  (client as any).connection.send = (message: any) => { if (message.op === "ping") ++pings; send(message); };
  await until("five pings", () => pings >= 5);
  assert.deepEqual(states, ["live"]);
  client.close();
});

test("a closed client tries nothing more and rejects what waits", async () => {
  const client = connect();
  await until("live", () => client.state.is === "live");
  server.signal("SIGSTOP");
  const asked = rename(client);
  client.close();
  server.signal("SIGCONT");
  await assert.rejects(asked, (why: unknown) => why instanceof Refused && why.problem.code === "closed");
  assert.equal(client.state.is, "closed");
});

test("who is not welcome any more is told, and nothing is tried again", async () => {
  let opened = 0;
  const client = connect({
    open: (url, protocol) => { ++opened; return new WebSocket(url, protocol) as unknown as Socket; },
    welcome: async () => false,
  });
  await until("refused", () => client.state.is === "refused");
  assert.equal(opened, 1);
  client.close();
});
