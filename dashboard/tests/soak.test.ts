// Many readers and many agents while the server is killed five times: nobody misses, repeats or makes up anything.
// TROUPE_NIGHTLY makes it ten minutes long.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import WebSocket from "ws";
import { Client, type SessionTranscriptEntry, type Socket, type Subscription } from "../client";
import { eventually, Server } from "./server";

const seconds = process.env.TROUPE_NIGHTLY ? 600 : 20;
const kills = 5, tasks = 20, clients = 50, perClient = 4;
const key = "org/acme";
let server: Server;

before(async () => {
  server = await Server.start("--max-running", "8");
  await server.organization("acme");
  await server.repository("acme");
});
after(() => server?.stop(["acme"]));

const residentKb = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))![1]);

interface Reading { topic: string; held: Subscription; seqs: number[]; newest?: unknown }

test(`${clients * perClient} subscriptions and ${tasks} tasks agree with the server over ${kills} kills in ${seconds} s`, async () => {
  const made: string[] = [], sessions: string[] = [];
  for (let index = 0; index < tasks; ++index) {
    const { task } = await server.command(key, "org.create_task", { repository: "widgets", description: `say Task ${index}`, mode: "full" });
    made.push(`${key}/task/${task}`);
  }
  for (const task of made)
    sessions.push(await eventually("a session", async () => {
      const session = (await server.snapshot(task).catch(() => undefined))?.sessions[0]?.session;
      return session && `${task}/session/${session}`;
    }));
  const open = (url: string, protocol: string) =>
    new WebSocket(url, protocol, { headers: { Authorization: `Bearer ${server.token}` } }) as unknown as Socket;
  const all: { client: Client; readings: Reading[] }[] = [];
  for (let index = 0; index < clients; ++index) {
    const client = new Client({ url: server.url, open, quietMs: 5000, answerMs: 5000 });
    const readings: Reading[] = [];
    for (const topic of [key, made[index % tasks]!, sessions[index % tasks]!]) {
      const one: Partial<Reading> = { topic, seqs: [] };
      one.held = client.subscribe(topic, { onSnapshot: data => { one.newest = data; } });
      readings.push(one as Reading);
    }
    const one: Partial<Reading> = { topic: `${sessions[index % tasks]}#transcript`, seqs: [] };
    one.held = client.stream<SessionTranscriptEntry>(one.topic!, {
      onEntries: entries => { for (const entry of entries) one.seqs!.push(entry.seq); },
      onReset: () => assert.fail(`${one.topic} was reset`),
    });
    readings.push(one as Reading);
    all.push({ client, readings });
  }
  const talker = all[0]!.client, began = Date.now();
  const asked: Promise<unknown>[] = [];
  let memory = 0;
  for (let round = 0; round <= kills; ++round) {
    const until = began + (seconds * 1000 * (round + 1)) / (kills + 1);
    while (Date.now() < until) {
      const at = made[Math.floor(Math.random() * tasks)]!;
      asked.push(talker.command(at, "task.send_message", { text: `say Round ${round}\nrun echo ${round}` }));
      await Promise.race([asked.at(-1), new Promise(resolve => setTimeout(resolve, Math.max(0, until - Date.now())))]);
      await new Promise(resolve => setTimeout(resolve, 100)); // A person writes, not a flood.
    }
    if (round === kills) break;
    if (round === 0) memory = residentKb();
    await server.kill();
    await server.serve();
  }
  await Promise.all(asked);
  await eventually("every agent rests", async () =>
    Object.entries((await server.snapshot(key)).counts).every(([status, count]) => status === "idle" || !count), 180_000);
  for (const { client, readings } of all) {
    for (const one of readings) {
      await eventually(`${one.topic} is live`, async () => one.held.state.is === "live");
      if (one.topic.includes("#")) {
        const last = (await server.snapshot(one.topic.split("#")[0]!)).transcript.last;
        await eventually(`${one.topic} is read to ${last}`, async () => (one.seqs.at(-1) ?? 0) >= last);
        assert.deepEqual(one.seqs, Array.from({ length: one.seqs.length }, (_, index) => index + 1), one.topic);
      } else {
        await eventually(`${one.topic} is what the server has`, async () =>
          isDeepStrictEqual(one.newest, await server.snapshot(one.topic)));
      }
    }
    client.close();
  }
  const now = residentKb();
  console.log(`${asked.length} messages, resident ${memory} KiB in the first life, ${now} KiB in the last`);
  assert.ok(now < memory * 2 + 100_000, `memory grew from ${memory} to ${now} KiB`);
});
