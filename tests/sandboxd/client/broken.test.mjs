// Requests, messages, frames, archives and paths that are broken by chance: each gets an answer of the documented kind, the
// daemon goes on, and nothing outside of its root is touched. TROUPE_NIGHTLY=1 tries more. A failure names its seed; SEED=N repeats it.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { Daemon, checkedFetch, within } from "./daemon.mjs";
import { tarOf } from "./tar.mjs";

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const rounds = process.env.TROUPE_NIGHTLY ? 3000 : 150;
const secret = "what no request may read or change";
let daemon, outside;

before(async () => {
  console.log(`seed ${seed}`);
  daemon = await Daemon.start();
  outside = join(daemon.folder, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "kept"), secret);
  symlinkSync("../outside", join(daemon.root, "way-out"));
});
after(() => daemon?.stop());

/** Numbers below n, the same for the same seed. */
function chance(from) {
  let state = from >>> 0 || 1;
  return n => {
    state ^= state << 13; state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5; state >>>= 0;
    return state % n;
  };
}

/** The bytes with a few of them changed, left out, doubled or cut off. */
function broken(bytes, pick) {
  let out = Buffer.from(bytes);
  for (let times = 1 + pick(4); times > 0 && out.length; --times) {
    const at = pick(out.length);
    switch (pick(4)) {
      case 0: out[at] = pick(256); break;
      case 1: out = Buffer.concat([out.subarray(0, at), out.subarray(at + 1 + pick(8))]); break;
      case 2: out = Buffer.concat([out.subarray(0, at), out.subarray(at, at + 16), out.subarray(at)]); break;
      default: out = out.subarray(0, at);
    }
  }
  return out;
}

function value(pick, depth = 0) {
  const simple = [null, true, -1, 0, 65536, 1e300, "", "x", "\0", "é\ud800", "../..", "9".repeat(40)];
  if (depth > 2 || pick(3)) return simple[pick(simple.length)];
  return pick(2) ? Array.from({ length: pick(4) }, () => value(pick, depth + 1))
    : Object.fromEntries(Array.from({ length: pick(4) }, () => [["type", "data", "cols", "rows", "id", "method", "encoding"][pick(7)], value(pick, depth + 1)]));
}

/** Runs `each` with a chance of its own per round, and says which seed it was when it fails. */
async function often(name, times, each) {
  for (let round = 0; round < times; ++round) {
    try {
      await each(chance(seed + round * 7919 + name.length), round);
    } catch (wrong) {
      wrong.message = `${name}, SEED=${seed}, round ${round}: ${wrong.message}`;
      throw wrong;
    }
  }
  assert.deepEqual(await (await fetch(`${daemon.url}/v1/health`)).json(), { status: "ok" });
}

test("a broken JSON-RPC message is refused or passed on, and never taken for another", async () => {
  const where = `${daemon.url}/v1/acp/broken`;
  const headers = { "content-type": "application/json" };
  await checkedFetch(`${where}?agent=mock`, { method: "POST", headers, body: '{"jsonrpc":"2.0","id":0,"method":"first"}' });
  await often("messages", rounds, async (pick, round) => {
    const id = `${round}`;
    const whole = JSON.stringify({ jsonrpc: "2.0", id, method: "m", params: value(pick) });
    const body = pick(3) ? broken(whole, pick) : Buffer.from(JSON.stringify(value(pick)));
    const answer = await checkedFetch(where, { method: "POST", headers, body, signal: AbortSignal.timeout(20_000) });
    assert([200, 202, 400].includes(answer.status), `${answer.status} for ${body}`);
    let sent;
    try { sent = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)); } catch { sent = undefined; }
    // Half of a surrogate pair is no text: JSON.parse takes what stricter readers refuse.
    if (/\\ud[89a-f]/i.test(body.toString())) return;
    const object = typeof sent === "object" && sent !== null && !Array.isArray(sent);
    if (object) {
      // A list or an object is no id.
      const request = "method" in sent && "id" in sent && (sent.id === null || typeof sent.id !== "object");
      assert.equal(answer.status, request ? 200 : 202, `${body}`);
      if (answer.status === 200) assert.deepEqual((await answer.json()).id, sent.id);
    } else if (sent !== undefined) {
      assert.equal(answer.status, 400, `${body}`);
    }
  });
});

test("a broken frame of a terminal is complained of, and the terminal goes on", async () => {
  const made = await (await checkedFetch(`${daemon.url}/v1/processes`, { method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ command: "sh", args: ["-c", "stty raw -echo; echo on; while read -r line; do case $line in *are-you-there*) echo here;; esac; done"], tty: true }) })).json();
  const socket = new WebSocket(`${daemon.url.replace("http", "ws")}/v1/processes/${made.id}/terminal/ws`);
  let shown = "", complaints = 0, closed;
  socket.on("message", (data, binary) => {
    if (binary) shown += data;
    else if (JSON.parse(data).type === "error") ++complaints;
  });
  socket.on("close", code => { closed = code; });
  await within("the socket is open", new Promise(resolve => socket.on("open", resolve)));
  await often("frames", rounds, async pick => {
    const frame = ['{"type":"input","data":"x","encoding":"utf8"}', '{"type":"resize","cols":80,"rows":24}'][pick(2)];
    const sent = pick(3) ? broken(frame, pick).toString() : JSON.stringify(value(pick));
    // A close that came about by chance is one.
    if (!/"close"/.test(sent)) socket.send(sent, { binary: pick(10) === 0 });
  });
  assert.equal(closed, undefined, "a broken frame closed the terminal");
  socket.send(JSON.stringify({ type: "input", data: "\nare-you-there\n" }));
  await within("the terminal answers", (async () => { while (!shown.includes("here")) await new Promise(resolve => socket.once("message", resolve)); })());
  assert(complaints > rounds / 2, `only ${complaints} complaints`);
  socket.terminate();
});

test("a broken tar is unpacked as far as it is whole, and never outside of its folder", async () => {
  await often("archives", rounds, async (pick, round) => {
    const names = ["a", "b/c", "../outside/kept", "way-out/kept", "/etc/passwd", "b/../../outside/new", "./d", "e/".repeat(60) + "f"];
    const files = Object.fromEntries(Array.from({ length: 1 + pick(3) }, () => [names[pick(names.length)], "x".repeat(pick(1500))]));
    const body = pick(3) ? broken(tarOf(files), pick) : tarOf(files);
    const answer = await checkedFetch(`${daemon.url}/v1/fs/upload-batch?path=t${round % 5}`,
      { method: "POST", headers: { "content-type": "application/x-tar" }, body, signal: AbortSignal.timeout(20_000) });
    assert([200, 400, 502].includes(answer.status), `${answer.status}`);
  });
  assert.deepEqual(readdirSync(outside), ["kept"]);
  assert.equal(readFileSync(join(outside, "kept"), "utf8"), secret);
});

test("a strange path is refused or stays inside, whatever is done with it", async () => {
  const parts = ["..", ".", "", "way-out", "kept", "outside", "~", "~root", "é", "a b", "%2e%2e", "\0", "x".repeat(300), daemon.folder, "etc"];
  await often("paths", rounds * 2, async pick => {
    const path = (pick(2) ? "/" : "") + Array.from({ length: 1 + pick(5) }, () => parts[pick(parts.length)]).join("/");
    const query = `path=${encodeURIComponent(path)}`;
    const asks = [["GET", "stat"], ["GET", "file"], ["PUT", "file"], ["DELETE", "entry"], ["POST", "mkdir"], ["GET", "entries"]];
    const [method, what] = asks[pick(asks.length)];
    // Only what was made here may go.
    if (method === "DELETE" && !path.includes("way-out") && !path.includes("..")) return;
    const answer = await checkedFetch(`${daemon.url}/v1/fs/${what}?${query}`,
      { method, body: method === "PUT" ? "overwritten" : undefined, signal: AbortSignal.timeout(20_000) });
    assert([200, 206, 400, 502].includes(answer.status), `${answer.status} for ${path}`);
    if (method === "GET" && answer.status === 200) assert(!(await answer.text()).includes(secret), `${path} leads out`);
  });
  assert.deepEqual(readdirSync(outside), ["kept"]);
  assert.equal(readFileSync(join(outside, "kept"), "utf8"), secret);
});

test("bytes that are no request are answered 400 or cut off, and the next connection is served", async () => {
  const { port } = new URL(daemon.url);
  const whole = "POST /v1/processes/run?x=1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 18\r\nConnection: close\r\n\r\n{\"command\":\"true\"}";
  await often("requests", rounds, async pick => {
    const socket = createConnection(Number(port), "127.0.0.1");
    let said = "";
    socket.on("data", piece => { said += piece; });
    socket.on("error", () => {});
    socket.end(broken(whole, pick));
    await within("the connection ends", new Promise(resolve => socket.on("close", resolve)));
    assert(said === "" || /^HTTP\/1\.[01] \d\d\d /.test(said), said);
  });
});
