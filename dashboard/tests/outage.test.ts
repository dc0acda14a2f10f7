// The dashboard when the server dies under it, and with as much to show as there may be.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { launch, open, picture, type Opened } from "./browser";
import { eventually, Server } from "./server";

let server: Server;
let browser: Browser;
const key = "org/acme";

before(async () => {
  server = await Server.start();
  await server.organization("acme");
  await server.repository("acme");
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop(["acme"]);
});

async function signedIn(expected?: RegExp): Promise<Opened> {
  const opened = await open(browser, {}, expected);
  await opened.page.goto(server.signIn());
  await opened.page.getByRole("status").getByText("live").waitFor();
  return opened;
}
const make = async (description: string, more = {}) =>
  (await server.command(key, "org.create_task", { repository: "widgets", description, ...more })).task as string;

test("when the server is killed the page says so, and afterwards nothing is lost or doubled", async () => {
  const task = await make("say One\nask Go on?\nsay Two");
  const { page, complaints, close } = await signedIn(/ERR_CONNECTION|WebSocket/);
  await page.goto(`${server.url}/#/acme/task/${task}`);
  await page.getByRole("button", { name: "Allow once" }).waitFor();
  await server.kill();
  await page.getByText("offline since").waitFor();
  await page.getByText("What you see was true at").waitFor();
  await page.getByText(/^as of/).waitFor();
  await picture(page, "offline");
  // Asked for while nobody is there: it is done once, when somebody is.
  await page.getByRole("button", { name: "Allow once" }).click();
  await page.getByLabel("Message to the agent").fill("say Three");
  await page.getByLabel("Message to the agent").press("Control+Enter");
  await server.serve();
  await page.getByRole("status").getByText("live").waitFor();
  await page.getByText("What you see was true at").waitFor({ state: "detached" });
  await page.getByRole("log").locator(".message").getByText("Three", { exact: true }).waitFor();
  assert.deepEqual(await page.getByRole("log").locator(".message .markdown").allInnerTexts(), ["One", "Two", "Three"]);
  assert.equal(await page.getByRole("log").getByText("allowed by owner").count(), 1);
  assert.deepEqual(complaints, []);
  await close();
});

test("a session that is revoked shows nothing more", async () => {
  const { page, close } = await signedIn(/401|WebSocket/);
  await server.command("access", "access.end_sessions", { user: "owner" });
  await page.getByText("You were signed out.").waitFor();
  await close();
});

test("a transcript of 20,000 entries opens at its end and is read upwards", async () => {
  const lines = Array.from({ length: 10_000 }, (_, index) => `say ${index}`).join("\n");
  const task = await make(lines);
  const session = await eventually("a session", async () => (await server.snapshot(`${key}/task/${task}`).catch(() => undefined))?.sessions[0]?.session);
  await server.command(`${key}/task/${task}`, "task.send_message", { text: `${lines}\nsay The end` });
  await eventually("20,000 entries", async () => {
    const { status, transcript } = await server.snapshot(`${key}/task/${task}/session/${session}`).catch(() => ({}));
    return status === "idle" && transcript.last >= 20_000;
  }, 180_000);
  const { page, complaints, close } = await signedIn();
  const began = Date.now();
  await page.goto(`${server.url}/#/acme/task/${task}`);
  await page.getByRole("log").locator(".message").getByText("The end", { exact: true }).waitFor();
  const ms = Date.now() - began;
  assert.ok(ms < 20_000, `it took ${ms} ms`);
  assert.ok(await page.getByRole("log").locator("> *").count() <= 450);
  assert.deepEqual(complaints, []);
  await close();
});

test("ten thousand tasks are scrolled, searched and walked", async () => {
  const count = 10_000, at_once = 200;
  for (let from = 0; from < count; from += at_once) {
    await server.command(key, "org.import_tasks", { tasks: Array.from({ length: at_once }, (_, index) =>
      ({ repository: "widgets", description: `Task number ${from + index + 1}` })) });
  }
  const { page, complaints, close } = await signedIn();
  const list = page.getByRole("list", { name: "Tasks" });
  await page.getByRole("status").getByText(/of 1000\d$/).waitFor();
  assert.ok(await list.getByRole("listitem").count() < 60, "only what is in sight are elements");
  await picture(page, "ten-thousand");
  const box = page.locator(".virtual");
  for (let rows = 0; rows < 1500;) {
    await box.evaluate(element => { element.scrollTop = element.scrollHeight; });
    await eventually("more rows", async () => {
      const now = await box.evaluate(element => Math.round(element.scrollHeight / 52));
      if (now <= rows) return false;
      rows = now;
      return true;
    });
  }
  await page.getByLabel("Search tasks").fill("number 4321");
  await list.getByText("Task number 4321", { exact: true }).waitFor();
  await page.getByLabel("Search tasks").press("Enter");
  await page.getByRole("heading", { name: "Task number 4321" }).waitFor();
  assert.deepEqual(complaints, []);
  await close();
});
