// The official client, unmodified, against sandboxd: all that it offers but the desktop.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { InMemorySessionPersistDriver, SandboxAgent, SandboxAgentError } from "sandbox-agent";
import WebSocket from "ws";
import { Daemon, checkedFetch, eventually, within } from "./daemon.mjs";
import { tarOf } from "./tar.mjs";

const token = "an open secret of this test";
let daemon, sdk;

before(async () => {
  daemon = await Daemon.start("--token", token);
  sdk = await SandboxAgent.connect({ baseUrl: daemon.url, token, fetch: checkedFetch });
});
after(async () => {
  await sdk?.dispose();
  await daemon?.stop();
});

const decoded = entries => entries.map(entry => Buffer.from(entry.data, "base64").toString()).join("");
const text = prompt => [{ type: "text", text: prompt }];
const problem = (status, title) => error =>
  error instanceof SandboxAgentError && error.status === status && error.problem?.title === title;

/** What the agent has said to the session, by its history. */
async function said(session) {
  const { items } = await sdk.getEvents({ sessionId: session.id, limit: 1000 });
  return items.map(event => event.payload.params?.update)
    .filter(update => update?.sessionUpdate === "agent_message_chunk").map(update => update.content.text).join("");
}

test("the client finds the daemon well, and without the token it is told so", async () => {
  assert.deepEqual(await sdk.getHealth(), { status: "ok" });
  const stranger = await SandboxAgent.connect({ baseUrl: daemon.url, skipHealthCheck: true, fetch: checkedFetch });
  await assert.rejects(stranger.listAgents(), problem(401, "Token Invalid"));
  await stranger.dispose();
});

test("agents are listed, looked at and installed", async () => {
  const { agents } = await sdk.listAgents({ config: true });
  assert.deepEqual(agents.slice(0, 7).map(agent => agent.id), ["claude", "codex", "opencode", "amp", "pi", "cursor", "mock"]);
  const scripted = await sdk.getAgent("scripted", { config: true });
  assert.equal(scripted.installed, true);
  assert.equal(scripted.capabilities.permissions, true);
  assert.equal((await sdk.installAgent("mock")).already_installed, false);
  assert.deepEqual(await sdk.installAgent("mock"), { already_installed: true, artifacts: [] });
  assert.equal((await sdk.installAgent("mock", { reinstall: true })).artifacts[0].source, "builtin");
  await assert.rejects(sdk.getAgent("nobody"), problem(400, "Unsupported Agent"));
});

test("a session's prompts are answered, its updates come in order, and its history tells both sides", async () => {
  const session = await sdk.createSession({ agent: "scripted", cwd: daemon.root });
  const seen = [];
  session.onEvent(event => seen.push(event));
  const first = await within("the first prompt", session.prompt(text("say one\nwrite note.txt kept\nsay two")));
  assert.equal(first.stopReason, "end_turn");
  await eventually("the last words", async () => (await said(session)).endsWith("two"));
  assert.match(await said(session), /one.*two/s);
  assert.equal(readFileSync(join(daemon.root, "note.txt"), "utf8").trim(), "kept");
  await within("the second prompt", session.prompt(text("say three")));
  await eventually("the second answer", async () => (await said(session)).endsWith("three"));
  const { items } = await sdk.getEvents({ sessionId: session.id, limit: 1000 });
  assert.deepEqual(items.map(event => event.eventIndex), items.map((_, i) => i + 1));
  assert.deepEqual([...new Set(items.map(event => event.sender))].sort(), ["agent", "client"]);
  assert(seen.length > 0 && seen.every(event => event.sessionId === session.id));
  const { servers } = await sdk.listAcpServers();
  assert(servers.some(server => server.agent === "scripted"));
  assert.equal((await sdk.getAgent("scripted")).serverStatus.status, "running");
  assert((await sdk.listSessions()).items.some(one => one.id === session.id));
  assert((await sdk.destroySession(session.id)).destroyedAt > 0);
});

for (const [reply, outcome] of [["once", /did it/], ["reject", /^((?!did it).)*$/s]]) {
  test(`a permission that is answered with ${reply} decides whether the script goes on`, async () => {
    const session = await sdk.createSession({ agent: "scripted", cwd: daemon.root });
    const asked = [];
    session.onPermissionRequest(request => {
      asked.push(request);
      void session.respondPermission(request.id, reply);
    });
    const ended = await within("the prompt", session.prompt(text("ask May I?\nsay did it")));
    assert.equal(ended.stopReason, "end_turn");
    assert.equal(asked.length, 1);
    assert(asked[0].availableReplies.includes(reply));
    // What the agent said stands before the end of its turn in the stream.
    await eventually("the end of the turn in the history", async () => {
      const { items } = await sdk.getEvents({ sessionId: session.id, limit: 1000 });
      return items.some(event => event.payload.result?.stopReason);
    });
    assert.match(await said(session), outcome);
  });
}

test("modes and models are read and changed, and what is none of them is refused before it is sent", async () => {
  const session = await sdk.createSession({ agent: "scripted", cwd: daemon.root });
  const modes = await session.getModes();
  assert(modes.availableModes.some(mode => mode.id === "careful"));
  await session.setMode("careful");
  assert.equal((await session.getModes()).currentModeId, "careful");
  const options = await session.getConfigOptions();
  const model = options.find(option => option.category === "model");
  const other = model.options.find(option => option.value !== model.currentValue);
  await session.setModel(other.value);
  const now = (await session.getConfigOptions()).find(option => option.category === "model");
  assert.equal(now.currentValue, other.value);
  await assert.rejects(session.setModel("no such model"));
});

test("a prompt that is cancelled ends, and one that fails says why", async () => {
  const session = await sdk.createSession({ agent: "scripted", cwd: daemon.root });
  const waiting = session.prompt(text("say begun\nsleep 1000"));
  await eventually("the prompt is at work", async () => (await said(session)).includes("begun"));
  await sdk.destroySession(session.id);
  assert.equal((await within("the cancelled prompt", waiting)).stopReason, "cancelled");
  const other = await sdk.createSession({ agent: "scripted", cwd: daemon.root });
  await assert.rejects(within("the failing prompt", other.prompt(text("fail out of luck"))), /out of luck/);
});

test("two sessions of one agent work at once and hear only their own", async () => {
  const [a, b] = await Promise.all([1, 2].map(() => sdk.createSession({ agent: "scripted", cwd: daemon.root })));
  await within("both prompts", Promise.all([a.prompt(text("say alpha")), b.prompt(text("say beta"))]));
  await eventually("both answers", async () => (await said(a)).endsWith("alpha") && (await said(b)).endsWith("beta"));
});

test("a client that comes later goes on with a session of which it has the history", async () => {
  const persist = new InMemorySessionPersistDriver();
  const first = await SandboxAgent.connect({ baseUrl: daemon.url, token, persist, fetch: checkedFetch });
  const session = await first.createSession({ agent: "scripted", cwd: daemon.root });
  await within("the first client's prompt", session.prompt(text("say remembered")));
  await first.dispose();
  assert(!(await sdk.listAcpServers()).servers.some(server => server.serverId === session.lastConnectionId));
  const second = await SandboxAgent.connect({ baseUrl: daemon.url, token, persist, fetch: checkedFetch });
  const resumed = await second.resumeSession(session.id);
  await within("the second client's prompt", resumed.prompt(text("say again")));
  assert.notEqual(resumed.agentSessionId, session.agentSessionId);
  await second.dispose();
});

test("an agent that crashes fails its prompt at once, and so is told whoever asks it later", async () => {
  const other = await SandboxAgent.connect({ baseUrl: daemon.url, token, fetch: checkedFetch });
  const session = await other.createSession({ agent: "scripted", cwd: daemon.root });
  await assert.rejects(within("the prompt of the agent that crashes", session.prompt(text("crash 7"))), /agent process exited/);
  await assert.rejects(within("a later prompt", session.prompt(text("say more"))), /Broken pipe/);
  await other.dispose();
});

test("a program is run, with its output, its exit code and its limits", async () => {
  const ran = await sdk.runProcess({ command: "sh", args: ["-c", "echo $WHO; pwd; echo e >&2; exit 3"], env: { WHO: "me" }, cwd: daemon.root });
  assert.equal(ran.stdout, `me\n${daemon.root}\n`);
  assert.equal(ran.stderr, "e\n");
  assert.equal(ran.exitCode, 3);
  const late = await sdk.runProcess({ command: "sleep", args: ["1000"], timeoutMs: 50 });
  assert.deepEqual([late.timedOut, late.exitCode], [true, null]);
  const much = await sdk.runProcess({ command: "head", args: ["-c", "5000", "/dev/zero"], maxOutputBytes: 100 });
  assert.deepEqual([much.stdout.length, much.stdoutTruncated, much.stderrTruncated], [100, true, false]);
  await assert.rejects(sdk.runProcess({ command: "no such program" }), problem(502, "Stream Error"));
});

test("a process is started, fed, followed, stopped and forgotten", async () => {
  const made = await sdk.createProcess({ command: "sh", args: ["-c", "while read line; do echo got $line; done"] });
  const heard = [];
  const following = await sdk.followProcessLogs(made.id, entry => heard.push(entry), { stream: "stdout" });
  await sdk.sendProcessInput(made.id, { data: "first\n", encoding: "utf8" });
  await eventually("the first line is followed", () => decoded(heard) === "got first\n");
  await sdk.sendProcessInput(made.id, { data: Buffer.from("second\n").toString("base64") });
  await eventually("both lines are followed", () => decoded(heard) === "got first\ngot second\n");
  following.close();
  await following.closed;
  const logs = await sdk.getProcessLogs(made.id, { tail: 1 });
  assert.equal(decoded(logs.entries), "got second\n");
  assert.deepEqual((await sdk.getProcessLogs(made.id, { since: logs.entries[0].sequence })).entries, []);
  await assert.rejects(sdk.deleteProcess(made.id), problem(409, "Conflict"));
  const stopped = await sdk.stopProcess(made.id, { waitMs: 5000 });
  assert.equal(stopped.status, "exited");
  assert.equal(stopped.exitCode, undefined);
  assert((await sdk.listProcesses({ owner: "user" })).processes.some(one => one.id === made.id));
  await sdk.deleteProcess(made.id);
  await assert.rejects(sdk.getProcess(made.id), problem(404, "Not Found"));
  const killed = await sdk.createProcess({ command: "sleep", args: ["1000"] });
  assert.equal((await sdk.killProcess(killed.id, { waitMs: 5000 })).status, "exited");
});

test("the limits of processes are read and changed", async () => {
  const config = await sdk.getProcessConfig();
  assert.equal(config.maxConcurrentProcesses, 64);
  assert.equal((await sdk.setProcessConfig({ ...config, maxConcurrentProcesses: 63 })).maxConcurrentProcesses, 63);
  await assert.rejects(sdk.setProcessConfig({ ...config, maxOutputBytes: 0 }), problem(400, "Invalid Request"));
  await sdk.setProcessConfig(config);
});

test("a terminal is seen by two, typed into, resized and left", async () => {
  const made = await sdk.createProcess({ command: "sh", tty: true, interactive: true });
  const options = { WebSocket, accessToken: token };
  const [one, two] = [sdk.connectProcessTerminal(made.id, options), sdk.connectProcessTerminal(made.id, options)];
  const shown = new Map([[one, ""], [two, ""]]);
  for (const terminal of [one, two]) terminal.onData(bytes => shown.set(terminal, shown.get(terminal) + Buffer.from(bytes).toString()));
  await within("both are ready", Promise.all([one, two].map(terminal => new Promise(resolve => terminal.onReady(resolve)))));
  one.resize({ cols: 132, rows: 43 });
  one.sendInput("stty size; echo $((6 * 7))\n");
  await eventually("both see the answer", () => [one, two].every(t => /43 132/.test(shown.get(t)) && /\n42/.test(shown.get(t))));
  one.close();
  await within("the first has left", one.closed);
  assert.equal((await sdk.getProcess(made.id)).status, "running");
  assert.deepEqual(await sdk.resizeProcessTerminal(made.id, { cols: 80, rows: 24 }), { cols: 80, rows: 24 });
  const exit = new Promise(resolve => two.onExit(resolve));
  two.sendInput("exit 7\n");
  assert.equal((await within("the exit", exit)).exitCode, 7);
  await within("the end of the second", two.closed);
});

test("files are written, read, listed, moved, looked at and removed, and nothing outside is touched", async () => {
  assert.equal((await sdk.writeFsFile({ path: "~/deep/er/file" }, "contents")).bytesWritten, 8);
  const path = join(daemon.root, "deep/er/file");
  assert.equal(Buffer.from(await sdk.readFsFile({ path })).toString(), "contents");
  assert.deepEqual((await sdk.listFsEntries({ path: "deep/er" })).map(entry => [entry.name, entry.path, entry.size]), [["file", path, 8]]);
  await sdk.mkdirFs({ path: "deep/other" });
  await sdk.moveFs({ from: "deep/er/file", to: "deep/other/file" });
  assert.equal((await sdk.statFs({ path: "~/deep/other/file" })).entryType, "file");
  await assert.rejects(sdk.statFs({ path }), problem(400, "Invalid Request"));
  await assert.rejects(sdk.deleteFsEntry({ path: "deep" }), problem(502, "Stream Error"));
  await sdk.deleteFsEntry({ path: "deep", recursive: true });
  await assert.rejects(sdk.readFsFile({ path: "/etc/passwd" }), problem(400, "Invalid Request"));
  await assert.rejects(sdk.writeFsFile({ path: "../escaped" }, "x"), problem(400, "Invalid Request"));
});

test("a batch of files is uploaded as a tar", async () => {
  const done = await sdk.uploadFsBatch(tarOf({ "a.txt": "A", "sub/b.txt": "B".repeat(3000) }), { path: "batch" });
  assert.deepEqual(done, { paths: ["a.txt", "sub/b.txt"].map(name => join(daemon.root, "batch", name)), truncated: false });
  assert.equal(readFileSync(join(daemon.root, "batch/sub/b.txt"), "utf8"), "B".repeat(3000));
  await assert.rejects(sdk.uploadFsBatch(tarOf({ "../out.txt": "x" }), { path: "batch" }), problem(400, "Invalid Request"));
});

test("MCP servers and skills of a folder are configured", async () => {
  const local = { type: "local", command: "ledger", args: ["--all"], env: { KEY: "k" }, timeoutMs: 5 };
  const remote = { type: "remote", url: "https://mcp.example", headers: { a: "b" }, transport: "sse" };
  const query = mcpName => ({ directory: daemon.root, mcpName });
  await Promise.all([sdk.setMcpConfig(query("one"), local), sdk.setMcpConfig(query("two"), remote)]);
  assert.deepEqual(await sdk.getMcpConfig(query("one")), local);
  assert.deepEqual(await sdk.getMcpConfig(query("two")), remote);
  await sdk.deleteMcpConfig(query("one"));
  await sdk.deleteMcpConfig(query("one"));
  await assert.rejects(sdk.getMcpConfig(query("one")), problem(404, "Session Not Found"));
  const skills = { sources: [{ type: "github", source: "some/skills", skills: ["write"], ref: "main" }] };
  const which = { directory: daemon.root, skillName: "s" };
  await sdk.setSkillsConfig(which, skills);
  assert.deepEqual(await sdk.getSkillsConfig(which), skills);
  assert.deepEqual(JSON.parse(readFileSync(join(daemon.root, ".sandbox-agent/config/skills.json"), "utf8")), { s: skills });
  await sdk.deleteSkillsConfig(which);
  await assert.rejects(sdk.getSkillsConfig(which), problem(404, "Session Not Found"));
});
