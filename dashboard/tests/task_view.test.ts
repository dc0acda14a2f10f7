// The dashboard's task: made, watched, answered, prompted, looked at, commented on, by one person and by two.
import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import type { Browser, Page } from "playwright-core";
import { barriers, launch, open, picture, scene, type Opened } from "./browser";
import { eventually, Server } from "./server";

let server: Server;
let browser: Browser;
const key = "org/acme";

before(async () => {
  server = await Server.start();
  await server.organization("acme");
  await server.repository("acme", "widgets", { "README.md": "# Widgets\n\nThey turn.\n", "turn.sh": "#!/bin/sh\necho turning\nexit 0\n" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop(["acme"]);
});

async function signedIn(options = {}): Promise<Opened> {
  const opened = await open(browser, options);
  await opened.page.goto(server.signIn());
  await opened.page.getByRole("status").getByText("live").waitFor();
  return opened;
}

async function make(description: string, more = {}): Promise<string> {
  return (await server.command(key, "org.create_task", { repository: "widgets", description, ...more })).task;
}
const go = (page: Page, task: string, rest = "") => page.goto(`${server.url}/#/acme/task/${task}${rest}`);
const said = (page: Page, text: string) => page.getByRole("log").locator(".message").getByText(text, { exact: true });
const status = (page: Page, words: string) => page.locator(".task .head").getByRole("status").getByText(words).waitFor();

scene("a new task shows the title and the branch that it gets, and opens", async () => {
  const { page, complaints, close } = await signedIn();
  await page.keyboard.press("c");
  await page.getByLabel("What should be done?").fill("say I begin\nask May I go on?\nwrite NOTES.md it was here\nsay I end");
  const preview = page.locator(".preview");
  await preview.getByText("troupe/say-i-begin", { exact: true }).waitFor();
  await picture(page, "new-task");
  await page.getByLabel("What should be done?").press("Control+Enter");
  await page.getByRole("heading", { name: "say I begin" }).waitFor();
  await page.locator(".facts").getByText("troupe/say-i-begin", { exact: true }).waitFor();
  await said(page, "I begin").waitFor();
  await status(page, "needs you");
  assert.equal(await said(page, "I end").count(), 0);
  await page.getByRole("button", { name: "Allow once" }).waitFor();
  await picture(page, "task-permission");
  // The keys answer what the buttons do.
  await page.getByRole("log").focus();
  await page.keyboard.press("y");
  await said(page, "I end").waitFor();
  await status(page, "idle");
  await page.getByText("allowed by owner").waitFor();
  await picture(page, "task");
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(complaints, []);
  await close();
});

scene("a message is Markdown, and nothing in it is HTML, a picture or a script", async () => {
  const task = await make("update " + JSON.stringify({ sessionUpdate: "agent_message_chunk", messageId: "m", content: { type: "text",
    text: "# Done\n\nSee **bold**, `code`, <b>tag</b>, [site](https://example.org), [bad](javascript:alert(1)), ![pic](https://example.org/x.png)\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nls && echo '<x>'\n```" } }));
  const { page, complaints, close } = await signedIn();
  await go(page, task);
  const message = page.getByRole("log").locator(".markdown");
  await message.locator("strong").getByText("bold").waitFor();
  assert.equal(await message.locator("b, img, script").count(), 0);
  assert.deepEqual(await message.locator("a").evaluateAll(all => all.map(one => one.getAttribute("href"))), ["https://example.org", "https://example.org/x.png"]);
  assert.match(await message.innerText(), /<b>tag<\/b>/);
  assert.match(await message.locator("pre").innerText(), /ls && echo '<x>'/);
  await picture(page, "task-markdown");
  assert.deepEqual(complaints, []);
  await close();
});

scene("tool calls show input, output, exit code and edits; plans tick; thoughts are folded", async () => {
  const task = await make(["think It may need a look.", "plan <<END", "- [x] Look", "- [~] Change", "- [ ] Check", "END",
    "run echo out; exit 3", "edit turn.sh echo turning -> echo turning faster",
    "plan <<END", "- [x] Look", "- [x] Change", "- [x] Check", "END", "say Done"].join("\n"), { mode: "full" });
  const { page, complaints, close } = await signedIn();
  await go(page, task);
  await said(page, "Done").waitFor();
  const log = page.getByRole("log");
  assert.equal(await log.locator("details.thought").evaluate((one: HTMLDetailsElement) => one.open), false);
  await log.locator("details.thought summary").click();
  await log.locator("details.thought .markdown").getByText("It may need a look.").waitFor();
  await log.getByRole("list", { name: "Plan" }).first().getByText("Change").waitFor();
  const run = log.locator("details.tool").filter({ hasText: "exit 3" });
  if (!await run.evaluate((one: HTMLDetailsElement) => one.open)) await run.locator("summary").click();
  await run.getByRole("group", { name: "Output" }).getByText("out").waitFor();
  const edit = log.getByRole("group", { name: /Edit of .*turn.sh/ });
  assert.equal(await edit.locator("tr.del .text").innerText(), "echo turning");
  assert.equal(await edit.locator("tr.add .text").innerText(), "echo turning faster");
  await picture(page, "task-tools");
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(complaints, []);
  await close();
});

scene("prompts queue behind a running one, move, are removed, and stop ends the turn", async () => {
  const task = await make("say Working\nhang");
  const { page, complaints, close } = await signedIn();
  await go(page, task);
  await said(page, "Working").waitFor();
  const field = page.getByLabel("Message to the agent");
  for (const text of ["say First", "say Second", "say Third"]) {
    await field.fill(text);
    await field.press("Control+Enter");
    await page.getByRole("list", { name: "Prompts that wait" }).getByText(text).waitFor();
  }
  const queue = page.getByRole("list", { name: "Prompts that wait" }).getByRole("listitem");
  await queue.filter({ hasText: "say Third" }).getByRole("button", { name: "Earlier" }).click();
  await queue.nth(1).getByText("say Third").waitFor();
  await queue.filter({ hasText: "say First" }).getByRole("button", { name: "Remove" }).click();
  await queue.filter({ hasText: "say First" }).waitFor({ state: "detached" });
  await picture(page, "task-queue");
  await page.getByRole("button", { name: "Stop" }).click();
  await said(page, "Second").waitFor();
  const order = await page.getByRole("log").locator(".message .markdown").allInnerTexts();
  assert.deepEqual(order, ["Working", "Third", "Second"]);
  assert.deepEqual(complaints, []);
  await close();
});

scene("a draft is kept over a reload", async () => {
  const task = await make("say Here");
  const { page, close } = await signedIn();
  await go(page, task);
  await said(page, "Here").waitFor();
  await page.getByLabel("Message to the agent").fill("Not yet sent");
  await page.reload();
  await said(page, "Here").waitFor();
  assert.equal(await page.getByLabel("Message to the agent").inputValue(), "Not yet sent");
  await close();
});

scene("a comment on a line of the diff goes to the agent", async () => {
  const task = await make("write lib/turn.txt <<END\nround\nand round\nEND\nedit README.md They turn. -> They turn well.", { mode: "full" });
  const { page, complaints, close } = await signedIn();
  await go(page, task, "/changes");
  const files = page.getByRole("navigation", { name: "Changed files" });
  await files.getByText("lib/turn.txt").click();
  const diff = page.getByRole("group", { name: "Diff of lib/turn.txt" });
  await diff.locator("tr.add").getByText("and round").waitFor();
  await picture(page, "changes-unified");
  await page.getByRole("button", { name: "Comment on line 2" }).click();
  await page.getByLabel("Comment on line 2", { exact: true }).last().fill("Say it once");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("button", { name: "Side by side" }).click();
  await files.getByText("README.md").click();
  await page.getByRole("group", { name: "Diff of README.md" }).locator("td.del").getByText("They turn.").waitFor();
  await picture(page, "changes-sides");
  assert.deepEqual(await barriers(page), []);
  await page.getByRole("button", { name: "Send 1 comment to the agent" }).click();
  await page.getByRole("link", { name: "Transcript" }).click();
  const prompt = page.getByRole("log").locator(".prompt").last();
  await prompt.getByText("lib/turn.txt:2").waitFor();
  assert.match(await prompt.innerText(), /> and round\s+Say it once/);
  assert.deepEqual(complaints, []);
  await close();
});

scene("a branch is pushed from its changes; what stands in the way is told in words, and the next push goes through", async () => {
  const task = await make("write PUSHED.md text\nrun git add -A && git commit -qm Pushed\nsay I end", { mode: "full" });
  const { page, complaints, close } = await signedIn();
  await go(page, task, "/changes");
  await page.getByText("PUSHED.md").first().waitFor();
  await status(page, "idle");
  const remote = join(server.folder, "widgets");
  renameSync(remote, `${remote}-elsewhere`);
  await page.getByRole("button", { name: "Push", exact: true }).click();
  await page.getByRole("alert").getByText("The push did not go through").waitFor();
  await picture(page, "push-refused");
  renameSync(`${remote}-elsewhere`, remote);
  await page.getByRole("button", { name: "Push", exact: true }).click();
  await page.getByText(/^The remote has [0-9a-f]{12}, pushed by owner\./).waitFor();
  assert.equal(await page.getByRole("button", { name: "Push", exact: true }).isDisabled(), true);
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(complaints, []);
  await close();
});

scene("the desktop bell rings for what begins to wait, once it is turned on and while the page is not looked at", async () => {
  const { page, complaints, close } = await signedIn({ permissions: ["notifications"] });
  await page.evaluate(() => {
    const rung: string[] = [];
    class Recorded extends EventTarget {
      static permission = "granted";
      static requestPermission = async () => "granted";
      constructor(title: string, options: { body: string }) { super(); rung.push(`${title}: ${options.body}`); }
      close() {}
    }
    Object.assign(window, { Notification: Recorded, rung });
    document.hasFocus = () => false;
  });
  await page.keyboard.press("u");
  const bell = page.getByLabel("Tell me on the desktop when something waits");
  assert.equal(await bell.isChecked(), false);
  const rung = () => page.evaluate(() => (window as unknown as { rung: string[] }).rung);
  await make("ask Is anybody there?", { title: "Rings for nobody" });
  await page.getByRole("region", { name: "Questions" }).getByText("Rings for nobody").waitFor();
  assert.deepEqual(await rung(), []);
  await bell.check();
  await picture(page, "needs-bell");
  await make("ask May I?", { title: "Rings" });
  await page.getByRole("region", { name: "Questions" }).getByText("Rings", { exact: true }).waitFor();
  await eventually("the bell has rung", async () => (await rung()).length > 0);
  assert.deepEqual(await rung(), ["An agent asks: Rings"]);
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(complaints, []);
  await close();
});

scene("two people on one task see the same, and one answer settles a question for both", async () => {
  server.run("access", "add-user", "ada");
  await server.command(key, "org.add_member", { user: "ada", role: "member" });
  const task = await make("ask Is it right?\nsay It is");
  const one = await signedIn();
  await go(one.page, task);
  const two = await open(browser);
  await two.page.goto(server.signIn("ada"));
  await go(two.page, task);
  for (const { page } of [one, two]) await page.getByRole("button", { name: "Allow once" }).waitFor();
  await two.page.getByRole("button", { name: "Allow once" }).click();
  for (const { page } of [one, two]) {
    await page.getByText("allowed by ada").waitFor();
    await page.getByRole("button", { name: "Allow once" }).waitFor({ state: "detached" });
    await said(page, "It is").waitFor();
  }
  assert.deepEqual([...one.complaints, ...two.complaints], []);
  await one.close();
  await two.close();
});

scene("who may only look sees everything and can change nothing", async () => {
  server.run("access", "add-user", "eve");
  await server.command(key, "org.add_member", { user: "eve", role: "viewer" });
  const task = await make("ask May it?\nsay Done");
  const { page, complaints, close } = await open(browser);
  await page.goto(server.signIn("eve"));
  await go(page, task);
  await page.getByText("scripted asks").waitFor();
  assert.equal(await page.getByRole("button", { name: "Allow once" }).count(), 0);
  assert.equal(await page.getByLabel("Message to the agent").count(), 0);
  assert.equal(await page.getByRole("link", { name: "New" }).count(), 0);
  assert.deepEqual(complaints, []);
  await close();
});

scene("the timeline draws turns and waits, says them in words, and can be looked at more closely", async () => {
  const task = await make("ask May it turn?\nsay It turned");
  const { page, complaints, close } = await signedIn();
  await go(page, task);
  await page.getByRole("button", { name: "Allow once" }).click();
  await said(page, "It turned").waitFor();
  await status(page, "idle");
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "Timeline" }).click();
  const picture_ = page.getByRole("group", { name: "Picture of the task" });
  await picture_.locator("rect.turn").first().waitFor({ state: "attached" });
  assert.equal(await picture_.locator("rect.wait").count(), 1);
  assert.ok(await picture_.locator("rect.step").count() > 2);
  await page.getByRole("row").filter({ hasText: "May it turn?: allow once by owner" }).waitFor();
  await page.getByRole("row").filter({ hasText: "end turn" }).waitFor();
  const before = await picture_.locator("svg").evaluate(one => one.clientWidth);
  await page.getByRole("button", { name: "Zoom in" }).click();
  await picture_.locator(`svg[style*="200%"]`).waitFor();
  assert.ok(await picture_.locator("svg").evaluate(one => one.clientWidth) > before * 1.8);
  await picture(page, "timeline");
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(complaints, []);
  await close();
});

scene("a second session is another conversation beside the first", async () => {
  const task = await make("say In the first");
  const { page, complaints, close } = await signedIn();
  await go(page, task);
  await said(page, "In the first").waitFor();
  await page.getByRole("button", { name: "New session" }).click();
  const sessions = page.getByRole("navigation", { name: "Sessions" }).getByRole("link");
  await sessions.nth(1).waitFor();
  await said(page, "In the first").waitFor({ state: "detached" });
  await page.getByLabel("Message to the agent").fill("say In the second");
  await page.getByRole("button", { name: "Send" }).click();
  await said(page, "In the second").waitFor();
  await sessions.first().click();
  await said(page, "In the first").waitFor();
  assert.equal(await said(page, "In the second").count(), 0);
  assert.deepEqual(complaints, []);
  await close();
});

scene("a task in error says why and tries again", async () => {
  const task = await make("fail It is broken");
  const { page, close } = await signedIn();
  await go(page, task);
  await page.getByRole("log").locator(".turn.bad, .line.bad").first().waitFor();
  await picture(page, "task-error");
  await close();
});

scene("a deleted task says so under whoever looks at it", async () => {
  const task = await make("say Short life");
  const { page, close } = await signedIn();
  await go(page, task);
  await said(page, "Short life").waitFor();
  await eventually("idle", async () => (await server.snapshot(`${key}/task/${task}`)).status === "idle");
  await server.command(key, "org.delete_task", { task, discard: true });
  await page.getByRole("heading", { name: "No such task" }).waitFor();
  await close();
});
