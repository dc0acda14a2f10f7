// The real sandboxd, started for a test and ended with it, and a fetch that holds every answer against its OpenAPI document.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { mismatch } from "./schema.mjs";

export const document = JSON.parse(readFileSync(join(dirname(fileURLToPath(import.meta.url)), "../../../sandboxd/openapi.json"), "utf8"));
export const patience = 20_000;

function program(name) {
  const path = process.env[name];
  if (!path) throw new Error(`${name} names no program: run these tests with ctest -R sandboxd_client`);
  return path;
}

/** Asks until `ask` answers something that is true. */
export async function eventually(what, ask) {
  for (const end = Date.now() + patience;;) {
    const answer = await ask();
    if (answer) return answer;
    assert(Date.now() < end, `not within ${patience} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

/** Fails with `what` when the promise takes longer than a test waits. */
export function within(what, promise) {
  let timer;
  const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`not within ${patience} ms: ${what}`)), patience); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** `root` is its home and all that it serves; `folder` is around it. */
export class Daemon {
  static async start(...more) {
    const made = new Daemon();
    made.folder = realpathSync(mkdtempSync(join(tmpdir(), "sandboxd-client-")));
    made.root = join(made.folder, "root");
    mkdirSync(made.root);
    made.child = spawn(program("SANDBOXD"), ["serve", "--port", "0", "--root", made.root, "--state", join(made.folder, "state"),
      "--scripted-agent", program("SCRIPTED_AGENT"), ...more],
      { stdio: ["ignore", "pipe", "inherit"], env: { PATH: process.env.PATH, HOME: made.root }, cwd: made.root });
    let said = "";
    for await (const piece of made.child.stdout) if ((said += piece).includes("\n")) break;
    made.url = /http:\S+/.exec(said)?.[0];
    assert(made.url, `sandboxd did not start: ${said}`);
    return made;
  }

  async stop() {
    if (this.child.exitCode === null) {
      const ended = once(this.child, "exit");
      this.child.kill("SIGTERM");
      await within("sandboxd ends", ended);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function documented(path) {
  const parts = path.split("/");
  // The path with most literal text is meant, as in the daemon's router.
  return Object.keys(document.paths).filter(pattern => {
    const wanted = pattern.split("/");
    return wanted.length === parts.length && wanted.every((part, i) => part.startsWith("{") ? parts[i] !== "" : part === parts[i]);
  }).sort((a, b) => a.split("{").length - b.split("{").length)[0];
}

/** As fetch, but an answer that the document does not describe is an error. Streams are not read. */
export async function checkedFetch(input, init) {
  const request = new Request(input, init);
  const method = request.method.toLowerCase();
  const where = `${request.method} ${new URL(request.url).pathname}`;
  const answer = await fetch(request);
  const operation = document.paths[documented(new URL(request.url).pathname)]?.[method];
  assert(operation, `${where} is not documented`);
  const response = operation.responses[answer.status] ?? (answer.status >= 400 ? document.components.responses.Refusal : undefined);
  assert(response, `${where}: ${answer.status} is not documented`);
  const type = answer.headers.get("content-type")?.split(";")[0];
  if (type === undefined) {
    assert(!response.content, `${where}: an empty ${answer.status} where ${Object.keys(response.content ?? {})} is documented`);
    return answer;
  }
  const content = response.content?.[type];
  assert(content, `${where}: ${answer.status} of ${type} is not documented`);
  if (type.endsWith("json")) {
    const wrong = mismatch(content.schema, await answer.clone().json(), document);
    assert(!wrong, `${where}: the answer is not as documented: ${wrong}`);
  }
  return answer;
}
