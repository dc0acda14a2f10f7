#!/usr/bin/env node
// scripted-model: a stand-in for a model provider, for end-to-end tests with real coding agents.
//
// It answers the Anthropic Messages API, the OpenAI Responses API and the OpenAI Chat Completions API
// on 127.0.0.1. What it answers comes from a JSON script, never from a model: same conversation in, same
// reply out. See README.md for the script format. Node 20 or newer, standard library only.
//
//   node scripted-model.mjs --script examples/hello.json [--port 0] [--log requests.jsonl]
//                           [--bodies DIR] [--max-seconds 600] [--exit-on-stdin-close]
//
// The first line on stdout is one JSON object: {"ready":true,"url":"http://127.0.0.1:PORT","port":PORT,"pid":PID}

import { createServer } from "node:http";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import { composeReply } from "./reply.mjs";
import { decide } from "./decision.mjs";
import { loadScript } from "./script.mjs";
import { readAnthropic, readChat, readResponses } from "./conversation.mjs";
import { sendJson, sleep, writeAnthropic, writeChat, writeResponses } from "./answers.mjs";

const MAX_BODY_BYTES = 64 * 1024 * 1024;
const MAX_KEPT_REQUESTS = 2000;

// Server

const APIS = [
  { path: /\/messages$/, api: "messages", read: readAnthropic, write: writeAnthropic },
  { path: /\/responses$/, api: "responses", read: readResponses, write: writeResponses },
  { path: /\/chat\/completions$/, api: "chat", read: readChat, write: writeChat },
];

async function readBody(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > MAX_BODY_BYTES) throw Object.assign(new Error("request body too large"), { status: 413 });
    parts.push(part);
  }
  let raw = Buffer.concat(parts);
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding === "gzip") raw = gunzipSync(raw);
  else if (encoding === "deflate") raw = inflateSync(raw);
  else if (encoding === "br") raw = brotliDecompressSync(raw);
  else if (encoding !== "identity") throw Object.assign(new Error(`content-encoding ${encoding} is not supported`), { status: 415 });
  return raw.length ? JSON.parse(raw.toString("utf8")) : {};
}

const failure = (api, status, message) =>
  api === "messages"
    ? { type: "error", error: { type: status === 429 ? "rate_limit_error" : status === 529 ? "overloaded_error" : status >= 500 ? "api_error" : "invalid_request_error", message } }
    : { error: { message, type: status >= 500 ? "server_error" : "invalid_request_error", code: null } };

/**
 * Starts the server. options: {script (already checked), port, logFile, bodiesDir}.
 * Resolves to {url, port, requests, close()}; `requests` is the live list of log records.
 */
export async function startScriptedModel({ script, port = 0, logFile, bodiesDir }) {
  const requests = [];
  const failuresLeft = new Map();
  let number = 0;
  if (bodiesDir) mkdirSync(bodiesDir, { recursive: true });
  if (logFile) writeFileSync(logFile, "");

  const record = (entry) => {
    requests.push(entry);
    if (requests.length > MAX_KEPT_REQUESTS) requests.shift();
    if (logFile) appendFileSync(logFile, JSON.stringify(entry) + "\n");
  };

  const handle = async (request, response) => {
    const url = new URL(request.url, "http://127.0.0.1");
    const path = url.pathname;
    if (path === "/scripted-model/requests") return sendJson(response, 200, { requests });
    if (path === "/scripted-model/health") return sendJson(response, 200, { ok: true, script: script.name ?? null });

    const n = ++number;
    const entry = { n, at: new Date().toISOString(), method: request.method, path, agent: request.headers["user-agent"] ?? "" };
    if (request.method === "GET" && /\/models$/.test(path)) {
      record({ ...entry, by: "models" });
      const data = script.models.map((id) => ({ id, object: "model", type: "model", display_name: id, created: 0, created_at: "2025-01-01T00:00:00Z", owned_by: "scripted" }));
      return sendJson(response, 200, { object: "list", data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null });
    }
    if (request.method === "HEAD" || (request.method === "GET" && path === "/")) {
      record({ ...entry, by: "probe" });
      response.writeHead(200);
      return response.end();
    }
    if (request.headers.upgrade) {
      // A client that would rather speak over a WebSocket; 426 sends it back to plain HTTP.
      record({ ...entry, by: "upgrade refused" });
      return sendJson(response, 426, failure("responses", 426, "scripted-model speaks HTTP only"));
    }
    const body = await readBody(request);
    if (bodiesDir) writeFileSync(join(bodiesDir, `${String(n).padStart(4, "0")}.json`), JSON.stringify(body, null, 1));
    if (request.method === "POST" && /\/messages\/count_tokens$/.test(path)) {
      record({ ...entry, model: body.model, by: "count_tokens" });
      return sendJson(response, 200, { input_tokens: Math.ceil(JSON.stringify(body.messages ?? []).length / 4) });
    }
    const api = request.method === "POST" ? APIS.find((a) => a.path.test(path)) : undefined;
    if (!api) {
      record({ ...entry, by: "unknown" });
      return sendJson(response, 404, failure("messages", 404, `scripted-model does not serve ${request.method} ${path}`));
    }

    const conversation = api.read(body);
    const ask = { path, model: body.model ?? "", conversation };
    const decision = decide(script, ask);
    const reply = composeReply(script, ask, decision);
    const log = {
      ...entry, api: api.api, model: ask.model, stream: !!body.stream, messages: conversation.messages,
      prompt: decision.state.prompt.slice(0, 200), results: decision.state.results.length,
      lastResult: decision.state.results.at(-1)?.text?.slice(0, 400),
      tools: conversation.tools.map((t) => t.name), by: decision.by, turn: decision.index,
      calls: reply.calls.map((c) => c.name), authorized: !!(request.headers["x-api-key"] ?? request.headers.authorization),
    };
    if (reply.problems.length) log.problems = reply.problems;

    const fail = reply.turn.fail;
    if (fail) {
      const left = failuresLeft.get(decision.key) ?? fail.times ?? Infinity;
      if (left > 0) {
        failuresLeft.set(decision.key, left - 1);
        record({ ...log, failed: fail.status });
        return sendJson(response, fail.status, failure(api.api, fail.status, fail.message ?? "scripted failure"), fail.headers);
      }
    }
    record(log);
    if (reply.turn.delayMs) await sleep(reply.turn.delayMs);
    if (response.destroyed) return undefined;
    return api.write(response, reply, !!body.stream, body);
  };

  const server = createServer((request, response) => {
    response.on("error", () => {});
    handle(request, response).catch((error) => {
      record({ n: ++number, at: new Date().toISOString(), path: request.url, error: error.message });
      if (!response.headersSent) sendJson(response, error.status ?? 400, failure("messages", error.status ?? 400, error.message));
      else response.destroy();
    });
  });
  await new Promise((done, failed) => {
    server.once("error", failed);
    server.listen(port, "127.0.0.1", done);
  });
  const actual = server.address().port;
  return {
    url: `http://127.0.0.1:${actual}`,
    port: actual,
    requests,
    close: () => new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    }),
  };
}

// ---------------------------------------------------------------------------------------------------------

// Command line

const USAGE = "usage: scripted-model.mjs --script FILE [--port N] [--log FILE] [--bodies DIR] [--max-seconds N] [--exit-on-stdin-close]";

async function main(argv) {
  const options = {};
  for (let i = 0; i < argv.length; i++) {
    const flag = argv[i];
    if (flag === "--exit-on-stdin-close") options.stdin = true;
    else if (["--script", "--port", "--log", "--bodies", "--max-seconds"].includes(flag) && i + 1 < argv.length) options[flag.slice(2)] = argv[++i];
    else throw new Error(`unexpected argument "${flag}"\n${USAGE}`);
  }
  if (!options.script) throw new Error(USAGE);
  const started = await startScriptedModel({
    script: loadScript(options.script),
    port: Number(options.port ?? 0),
    logFile: options.log,
    bodiesDir: options.bodies,
  });
  const stop = () => started.close().then(() => process.exit(0));
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  setTimeout(stop, Number(options["max-seconds"] ?? 3600) * 1000).unref();
  if (options.stdin) process.stdin.on("end", stop).resume();
  console.log(JSON.stringify({ ready: true, url: started.url, port: started.port, pid: process.pid }));
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exit(2);
  });
}
