// The published contract by bare HTTP: statuses, titles, kinds, fields, order. What is said in free words is not compared.
// SANDBOX_URL holds another server against it instead, one without a token.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Daemon, document, eventually, within } from "./daemon.mjs";

const elsewhere = process.env.SANDBOX_URL;
let daemon, url, home;

const json = { "content-type": "application/json" };
const call = (method, path, body, headers = {}) => fetch(url + path, { method, body, headers, signal: AbortSignal.timeout(20_000) });
const post = (path, body, headers = json) => call("POST", path, JSON.stringify(body), headers);
const at = name => encodeURIComponent(`${home}/${name}`);

before(async () => {
  daemon = elsewhere ? undefined : await Daemon.start();
  url = elsewhere ?? daemon.url;
  const ran = await post("/v1/processes/run", { command: "sh", args: ["-c", "mkdir -p ~/contract; cd ~/contract; pwd"] });
  home = (await ran.json()).stdout.trim();
  await post("/v1/agents/mock/install", {});
});
after(async () => {
  if (home) await call("DELETE", `/v1/fs/entry?recursive=true&path=${home}`);
  await daemon?.stop();
});

/** The answer's media type without its parameters. */
const typeOf = answer => answer.headers.get("content-type")?.split(";")[0];

async function isProblem(answer, status, kind, title, extensions = {}) {
  assert.equal(answer.status, status, await answer.clone().text());
  assert.equal(typeOf(answer), "application/problem+json");
  const said = await answer.json();
  assert.equal(said.type, `urn:sandbox-agent:error:${kind}`);
  assert.equal(said.title, title);
  assert.equal(said.status, status);
  assert.equal(typeof said.detail, "string");
  for (const [name, value] of Object.entries(extensions)) assert.deepEqual(said[name], value, name);
  return said;
}

async function isText(answer, status) {
  assert.equal(answer.status, status, await answer.clone().text());
  assert.equal(typeOf(answer), "text/plain");
}

const message = { jsonrpc: "2.0", id: 1, method: "initialize", params: {} };

test("what is no request of the contract is refused as it says", async () => {
  const bad = [400, "invalid_request", "Invalid Request"];
  const refusals = [
    [() => call("GET", "/v1/nothing"), [404, "invalid_request", "Not Found", { detail: "endpoint not found" }]],
    [() => call("GET", "/v1/health/"), [404, "invalid_request", "Not Found"]],
    [() => call("GET", "/v1/agents/nobody"), [400, "unsupported_agent", "Unsupported Agent", { agent: "nobody" }]],
    [() => post("/v1/agents/nobody/install", {}), [400, "unsupported_agent", "Unsupported Agent", { agent: "nobody" }]],
    [() => call("POST", "/v1/acp/c?agent=mock", "{}", { "content-type": "text/plain" }),
      [415, "unsupported_media_type", "Unsupported Media Type"]],
    [() => post("/v1/acp/c?agent=mock", message, { ...json, accept: "text/event-stream" }), [406, "not_acceptable", "Not Acceptable"]],
    [() => call("POST", "/v1/acp/c?agent=mock", "{", json), bad],
    [() => post("/v1/acp/c?agent=nobody", message), [400, "unsupported_agent", "Unsupported Agent", { agent: "nobody" }]],
    [() => post("/v1/acp/c", message), bad],
    [() => post("/v1/acp/c?agent=mock", [message]), bad],
    [() => call("GET", "/v1/acp/none"), [404, "session_not_found", "Session Not Found", { sessionId: "none" }]],
    [() => call("GET", "/v1/acp/none", undefined, { accept: "application/json" }), [406, "not_acceptable", "Not Acceptable"]],
    [() => post("/v1/processes/run", { command: " " }), bad],
    [() => post("/v1/processes/run", { command: "/no/such/program" }), [502, "stream_error", "Stream Error"]],
    [() => post("/v1/processes/run", { command: "true", cwd: `${home}/none` }), [502, "stream_error", "Stream Error"]],
    [() => call("GET", "/v1/processes/nope"), [404, "not_found", "Not Found", { details: { id: "nope", resource: "process" } }]],
    [() => post("/v1/processes/nope/input", { data: "!" }), bad],
    [() => post("/v1/processes/nope/input", { data: "x", encoding: "rot13" }), bad],
    [() => post("/v1/processes/nope/input", { data: "eA==" }), [404, "not_found", "Not Found"]],
    [() => call("GET", `/v1/fs/stat?path=${at("none")}`), bad],
    [() => call("GET", `/v1/fs/file?path=${at("")}`), bad],
    [() => call("GET", "/v1/fs/stat?path=../x"), bad],
    [() => call("DELETE", `/v1/fs/entry?path=${at("none")}`), bad],
    [() => post("/v1/fs/upload-batch", {}), bad],
    [() => call("GET", "/v1/config/mcp?directory=%20&mcpName=x"), bad],
    [() => call("GET", `/v1/config/mcp?directory=${at("")}&mcpName=x`), [404, "session_not_found", "Session Not Found", { sessionId: "mcp:x" }]],
    [() => call("GET", `/v1/config/skills?directory=${at("")}&skillName=x`), [404, "session_not_found", "Session Not Found", { sessionId: "skills:x" }]],
  ];
  for (const [ask, wanted] of refusals) {
    try {
      await isProblem(await ask(), ...wanted);
    } catch (wrong) {
      wrong.message = `${ask}: ${wrong.message}`;
      throw wrong;
    }
  }
});

test("a request that cannot be read is refused in plain text before anybody looks at it", async () => {
  const refusals = [
    [() => call("POST", "/v1/processes/run", "{", json), 400],
    [() => post("/v1/processes/run", {}), 422],
    [() => post("/v1/processes/run", { command: 1 }), 422],
    [() => call("POST", "/v1/processes/run", "{}"), 415],
    [() => call("GET", "/v1/fs/stat"), 400],
    [() => call("GET", "/v1/processes/nope/terminal/ws"), 400],
    [() => call("GET", "/v1/agents?config=yes"), 400],
    [() => call("GET", "/v1/processes?owner=nobody"), 400],
    [() => call("GET", "/v1/config/mcp?mcpName=x"), 400],
    [() => call("PUT", `/v1/config/mcp?directory=${at("")}&mcpName=x`, '{"type":"smoke"}', json), 422],
    [() => call("PUT", `/v1/config/mcp?directory=${at("")}&mcpName=x`, '{"type":"local"}', json), 422],
    [() => call("PUT", `/v1/config/skills?directory=${at("")}&skillName=x`, '{"sources":[{"type":"git"}]}', json), 422],
    [() => post("/v1/processes/config", { maxConcurrentProcesses: 1 }), 422],
  ];
  for (const [ask, status] of refusals) {
    try {
      await isText(await ask(), status);
    } catch (wrong) {
      wrong.message = `${ask}: ${wrong.message}`;
      throw wrong;
    }
  }
});

test("a body may have 2 MiB and not a byte more", async () => {
  const sized = bytes => `{"command":"true","pad":"${"x".repeat(bytes - '{"command":"true","pad":""}'.length)}"}`;
  assert.equal((await call("POST", "/v1/processes/run", sized(2097152), json)).status, 200);
  await isText(await call("POST", "/v1/processes/run", sized(2097153), json), 413);
});

test("a wrong method is 405 with what would do, and HEAD is wherever GET is", async () => {
  const wrong = await call("PATCH", "/v1/processes");
  assert.equal(wrong.status, 405);
  assert.equal(await wrong.text(), "");
  assert.deepEqual(wrong.headers.get("allow").split(",").sort(), ["GET", "HEAD", "POST"]);
  const head = await call("HEAD", "/v1/health");
  assert.deepEqual([head.status, await head.text()], [200, ""]);
});

test("without configured origins no page of another origin may read, and preflights are answered", async () => {
  const answer = await call("GET", "/v1/health", undefined, { origin: "https://elsewhere.example" });
  assert.equal(answer.headers.get("access-control-allow-origin"), null);
  assert.equal(answer.headers.get("vary"), "origin, access-control-request-method, access-control-request-headers");
  assert.equal((await call("OPTIONS", "/v1/health")).status, 200);
});

test("the mock agent echoes; requests get 200, all else 202; ids count every line; an early stream replays", async () => {
  const where = "/v1/acp/the%20mock";
  const answered = await post(`${where}?agent=mock`, { ...message, id: "a" });
  assert.equal(answered.status, 200);
  assert.equal((await answered.json()).id, "a");
  for (const silent of [{ jsonrpc: "2.0", method: "note" }, { jsonrpc: "2.0", id: 9, result: {} }, {}]) {
    const passed = await post(where, silent);
    assert.deepEqual([passed.status, await passed.text()], [202, ""]);
  }
  await isProblem(await post(`${where}?agent=codex`, message), 409, "conflict", "Conflict");
  await isProblem(await call("GET", where, undefined, { "last-event-id": "x" }), 400, "invalid_request", "Invalid Request");
  const { servers } = await (await call("GET", "/v1/acp")).json();
  const listed = servers.find(server => server.serverId === "the mock");
  assert.deepEqual(Object.keys(listed).sort(), ["agent", "createdAtMs", "serverId"]);

  const read = async (after, enough) => {
    const stop = new AbortController();
    const stream = await fetch(url + where, { headers: { accept: "text/event-stream", "last-event-id": after }, signal: stop.signal });
    assert.equal(typeOf(stream), "text/event-stream");
    assert.equal(stream.headers.get("cache-control"), "no-cache");
    let text = "";
    const decoder = new TextDecoder();
    await within("the events", (async () => {
      for await (const piece of stream.body) if (enough(text += decoder.decode(piece))) break;
    })());
    stop.abort();
    return text.split("\n\n").filter(event => event.startsWith("event: message\n") || /^id:/m.test(event))
      .map(event => ({ id: Number(/^id: ?(\d+)$/m.exec(event)[1]), data: JSON.parse(/^data: ?(.*)$/m.exec(event)[1]) }));
  };
  const all = await read("0", text => /client_response[\s\S]*mock\/echo[\s\S]*\n\n/.test(text));
  assert.deepEqual(all.map(event => event.id), all.map((_, i) => i + 1));
  assert.deepEqual(all[0].data.params.message, { ...message, id: "a" });
  assert.equal(all[1].data.result.echoed.id, "a");
  const rest = await read("2", text => text.includes("note"));
  assert.equal(rest[0].id, 3);

  for (let i = 0; i < 2; ++i) assert.equal((await call("DELETE", where)).status, 204);
  await isProblem(await call("GET", where), 404, "session_not_found", "Session Not Found");
});

test("a run that has ended and closed its streams is answered at once", async () => {
  const took = [];
  for (let i = 0; i < 5; ++i) took.push((await (await post("/v1/processes/run", { command: "true" })).json()).durationMs);
  assert(Math.min(...took) < 100, `${took} ms`);
});

test("a process has the fields of the contract, and those that are unset are left out", async () => {
  const made = await (await post("/v1/processes", { command: "sleep", args: ["1000"] })).json();
  assert.deepEqual(Object.keys(made).sort(), ["args", "command", "createdAtMs", "id", "interactive", "owner", "pid", "status", "tty"]);
  assert.match(made.id, /^proc_\d+$/);
  await isProblem(await call("DELETE", `/v1/processes/${made.id}`), 409, "conflict", "Conflict");
  await isProblem(await post(`/v1/processes/${made.id}/terminal/resize`, { cols: 1, rows: 1 }), 409, "conflict", "Conflict");
  const ended = await (await call("POST", `/v1/processes/${made.id}/stop`)).json();
  assert.deepEqual(Object.keys(ended).sort(), ["args", "command", "createdAtMs", "exitedAtMs", "id", "interactive", "owner", "status", "tty"]);
  await isProblem(await post(`/v1/processes/${made.id}/input`, { data: "eA==" }), 409, "conflict", "Conflict");
  const again = await call("POST", `/v1/processes/${made.id}/kill`);
  assert.deepEqual([again.status, (await again.json()).status], [200, "exited"]);
  assert.equal((await call("DELETE", `/v1/processes/${made.id}`)).status, 204);
});

test("a process that was asked to stop and does not is still running in the answer, and killed it has no exit code", async () => {
  const script = "trap '' TERM; echo ready; while :; do sleep 1; done";
  const { id } = await (await post("/v1/processes", { command: "sh", args: ["-c", script] })).json();
  await eventually("it ignores signals", async () => (await (await call("GET", `/v1/processes/${id}/logs`)).json()).entries.length);
  const asked = await (await call("POST", `/v1/processes/${id}/stop?waitMs=50`)).json();
  assert.equal(asked.status, "running");
  const killed = await (await call("POST", `/v1/processes/${id}/kill`)).json();
  assert.equal(killed.status, "exited");
  assert(!("exitCode" in killed));
  await call("DELETE", `/v1/processes/${id}`);
});

test("input beyond its limit is a problem of its own, and following goes on after the process has ended", async () => {
  const { id } = await (await post("/v1/processes", { command: "cat" })).json();
  const much = Buffer.alloc(65537).toString("base64");
  await isProblem(await post(`/v1/processes/${id}/input`, { data: much }), 413, "invalid_request", "Payload Too Large");
  const stop = new AbortController();
  const stream = await fetch(`${url}/v1/processes/${id}/logs?follow=true`, { signal: stop.signal });
  const reader = stream.body.getReader();
  await post(`/v1/processes/${id}/input`, { data: "one\n", encoding: "text" });
  const first = new TextDecoder().decode((await within("the first entry", reader.read())).value);
  assert.match(first, /event: log/);
  assert.match(first, /id: 1/);
  const entry = JSON.parse(/^data: ?(.*)$/m.exec(first)[1]);
  assert.deepEqual(Object.keys(entry).sort(), ["data", "encoding", "sequence", "stream", "timestampMs"]);
  await call("POST", `/v1/processes/${id}/kill`);
  let over = false;
  const next = reader.read().then(({ done }) => { over = done; }, () => {});
  assert.equal((await (await call("GET", `/v1/processes/${id}`)).json()).status, "exited");
  assert.equal(over, false);
  stop.abort();
  await next;
  await call("DELETE", `/v1/processes/${id}`);
});

test("files: missing folders are made, answers name absolute paths, times have nanoseconds and a zone", async () => {
  const put = await call("PUT", `/v1/fs/file?path=${at("a/b")}`, "bytes");
  assert.deepEqual(await put.json(), { path: `${home}/a/b`, bytesWritten: 5 });
  const stat = await (await call("GET", `/v1/fs/stat?path=${at("a/../a/b")}`)).json();
  assert.equal(stat.path, `${home}/a/../a/b`);
  assert.match(stat.modified, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/);
  const read = await call("GET", `/v1/fs/file?path=${at("a/b")}`);
  assert.equal(typeOf(read), "application/octet-stream");
  assert.equal(await read.text(), "bytes");
  await call("PUT", `/v1/fs/file?path=${at("c")}`, "other");
  await isProblem(await post("/v1/fs/move", { from: `${home}/c`, to: `${home}/a/b` }), 400, "invalid_request", "Invalid Request");
  assert.equal((await post("/v1/fs/move", { from: `${home}/c`, to: `${home}/x/y`, overwrite: true })).status, 200);
  await isProblem(await call("DELETE", `/v1/fs/entry?path=${at("a")}`), 502, "stream_error", "Stream Error");
  for (let i = 0; i < 2; ++i) assert.equal((await call("POST", `/v1/fs/mkdir?path=${at("m/n")}`)).status, 200);
});

test("the OpenAPI document is served to everybody, and the daemon serves what it names", { skip: elsewhere && "the published server serves none" }, async () => {
  assert.deepEqual(await (await call("GET", "/openapi.json")).json(), document);
  for (const [path, item] of Object.entries(document.paths)) {
    const { parameters, ...operations } = item;
    const concrete = path.replaceAll(/{\w+}/g, "x");
    const allowed = (await call("PATCH", concrete)).headers.get("allow")?.split(",") ?? [];
    for (const method of Object.keys(operations)) assert(allowed.includes(method.toUpperCase()), `${method} ${path} is not served`);
  }
});
