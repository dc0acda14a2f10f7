// The inside of a sandbox: terminals, files and processes, through the server's door.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { barriers, launch, open, picture, type Opened } from "./browser";
import { eventually, Server } from "./server";

let server: Server;
let browser: Browser;
let task: string;
const key = "org/acme";
const waits = { timeout: 60_000 };

before(async () => {
  server = await Server.start();
  await server.organization("acme");
  await server.repository("acme", "widgets", { "README.md": "# Widgets\n", "turn.py": "def turn(times):\n    # round and round\n    return \"turned\" * times\n" });
  task = (await server.command(key, "org.create_task", { repository: "widgets", description: "write lib/deep/new.txt <<END\nround\nEND", mode: "full" })).task;
  await eventually("the task is idle", async () => (await server.snapshot(`${key}/task/${task}`).catch(() => undefined))?.status === "idle");
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop(["acme"]);
});

async function at(tab: string, link = server.signIn(), options = {}, expected?: RegExp): Promise<Opened> {
  const opened = await open(browser, options, expected);
  await opened.page.goto(link);
  await opened.page.getByRole("status").getByText("live").waitFor();
  await opened.page.goto(`${server.url}/#/acme/task/${task}/${tab}`);
  return opened;
}

const screen = (page: Page) => page.getByRole("group", { name: "Terminal" }).locator(".xterm-rows");
const shows = (page: Page, text: string) => screen(page).getByText(text).first().waitFor(waits);

async function type(page: Page, line: string): Promise<void> {
  await page.getByLabel("Terminal input").pressSequentially(line);
  await page.keyboard.press("Enter");
}

test("a terminal is a shell in the workspace that two people share, and that goes on over a reload", async () => {
  const one = await at("terminal");
  await one.page.getByText("No terminal is open.").waitFor();
  await one.page.keyboard.press("n");
  await one.page.getByText("Connected.").waitFor();
  await type(one.page, "printf '\\033[31mred\\033[0m \\033[38;2;10;90;20mexact\\033[0m\\n'");
  await screen(one.page).locator("span").getByText("exact", { exact: true }).waitFor();
  await type(one.page, "echo $((6 * 7)) in $PWD; stty size");
  await shows(one.page, "42 in /workspace");
  const size = await screen(one.page).locator("> div").count();
  await shows(one.page, `${size} `);
  await picture(one.page, "terminal");
  assert.deepEqual(await barriers(one.page), []);
  server.run("access", "add-user", "bea");
  await server.command(key, "org.add_member", { user: "bea", role: "member" });
  const two = await at("terminal", server.signIn("bea"));
  await shows(two.page, "42 in /workspace");
  await type(two.page, "echo from the other $((7 * 7))");
  await shows(one.page, "from the other 49");
  await one.page.reload();
  await one.page.getByText("Connected.").waitFor();
  await shows(one.page, "from the other 49");
  // Shift+Escape leaves the terminal, where keys are the page's again.
  await one.page.keyboard.press("Shift+Escape");
  await one.page.keyboard.press("v");
  await one.page.getByRole("log").waitFor();
  assert.deepEqual([...one.complaints, ...two.complaints], []);
  await one.close();
  await two.close();
});

test("a terminal says how it ended, and who is removed from the organization loses it", async () => {
  server.run("access", "add-user", "cal");
  await server.command(key, "org.add_member", { user: "cal", role: "member" });
  const owner = await at("terminal"), cal = await at("terminal", server.signIn("cal"), {}, /./);
  await owner.page.getByRole("button", { name: "New terminal" }).click();
  await owner.page.getByText("Connected.").waitFor();
  await cal.page.getByText("Connected.").waitFor();
  await server.command(key, "org.remove_member", { user: "cal" });
  await cal.page.getByText("you are not a member").waitFor();
  await type(owner.page, "exit 3");
  await owner.page.getByText("Ended with 3.").waitFor();
  await cal.close();
  await owner.close();
});

test("files are a tree with what was changed marked, and one opens with its lines in colours", async () => {
  const { page, complaints, close } = await at("files");
  const tree = page.getByRole("navigation", { name: "Files" });
  await tree.getByRole("button", { name: "lib changed" }).click();
  await tree.getByRole("button", { name: "deep changed" }).click();
  await tree.getByRole("button", { name: "new.txt changed" }).click();
  await page.getByRole("region", { name: "lib/deep/new.txt" }).getByText("round").waitFor();
  await tree.getByRole("button", { name: "turn.py" }).click();
  const file = page.getByRole("region", { name: "turn.py" });
  await file.locator(".code-keyword").getByText("return").waitFor();
  await file.locator(".code-comment").getByText("# round and round").waitFor();
  await picture(page, "files");
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(complaints, []);
  await close();
});

test("a process is started, says what it says, ends with its code, and a running one is stopped", async () => {
  const { page, complaints, close } = await at("processes");
  await page.getByLabel("Command").fill("echo a line; ls; exit 4");
  await page.keyboard.press("Enter");
  const output = page.getByRole("region", { name: /^Output of echo a line/ });
  await output.getByText("a line").waitFor();
  await output.getByText("turn.py").waitFor();
  await page.getByText("exited with 4").waitFor();
  await page.getByLabel("Command").fill("echo begun; sleep 1000");
  await page.keyboard.press("Enter");
  const sleeps = page.getByRole("row").filter({ hasText: "sleep 1000" });
  await page.getByRole("region", { name: /sleep 1000/ }).getByText("begun").waitFor();
  await picture(page, "processes");
  assert.deepEqual(await barriers(page), []);
  await sleeps.getByRole("button", { name: "Kill" }).click();
  await sleeps.getByText("exited by a signal").waitFor();
  await sleeps.getByRole("button", { name: "Remove" }).click();
  await sleeps.waitFor({ state: "detached" });
  assert.deepEqual(complaints, []);
  await close();
});
