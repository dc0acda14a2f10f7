// The dashboard's other views, its keys, its sizes and colours.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { barriers, launch, open, picture, type Opened } from "./browser";
import { eventually, Server } from "./server";

let server: Server;
let browser: Browser;
let asks: string, changed: string;
const key = "org/acme";

before(async () => {
  server = await Server.start();
  await server.organization("acme");
  await server.repository("acme");
  const make = async (description: string, more = {}) =>
    (await server.command(key, "org.create_task", { repository: "widgets", description, ...more })).task;
  changed = await make("write NOTES.md it was here", { title: "Leave a note", mode: "full" });
  asks = await make("ask May I go on?\nsay I went on", { title: "Ask first" });
  const is = (task: string, status: string) => eventually(`${task} is ${status}`, async () =>
    (await server.query(key, "org.get_task", { task })).status === status);
  await is(changed, "idle");
  await is(asks, "needs_input");
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

test("who is not signed in is told how to be, and a used link says so", async () => {
  const link = server.signIn();
  const first = await open(browser);
  await first.page.goto(link);
  await first.page.getByRole("status").getByText("live").waitFor();
  assert.equal(new URL(first.page.url()).hash, "");
  const second = await open(browser, {}, /401/);
  await second.page.goto(link);
  await second.page.getByRole("alert").waitFor();
  await second.page.getByText("troupe access link").waitFor();
  assert.deepEqual(await barriers(second.page), []);
  await picture(second.page, "signed-out");
  await first.close();
  await second.close();
});

test("the page is small and shows something within a second", async () => {
  const { page, close } = await open(browser);
  let bytes = 0;
  page.on("response", answer => { if (/\.(js|css)$|\/$/.test(new URL(answer.url()).pathname)) void answer.body().then(body => { bytes += body.length; }); });
  await page.goto(server.signIn());
  await page.getByRole("list", { name: "Tasks" }).getByText("Ask first").waitFor();
  await eventually("all of it was read", async () => bytes > 50_000);
  const whole = bytes;
  // The best of some: a machine that has other work too says nothing about the page.
  let paint = Infinity;
  for (let round = 0; round < 10 && paint >= 1000; ++round) {
    if (round) await page.reload();
    const seen = await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
    paint = Math.min(paint, await seen.jsonValue() as number);
  }
  console.log(`first paint after ${Math.round(paint)} ms, ${Math.round(whole / 1024)} KiB`);
  assert.ok(paint < 1000, `first paint after ${paint} ms`);
  assert.ok(whole < 200 * 1024, `${whole} bytes`);
  await close();
});

test("the list is searched as one types and filtered by status", async () => {
  const { page, complaints, close } = await signedIn();
  const list = page.getByRole("list", { name: "Tasks" });
  await list.getByText("Ask first").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("note");
  await list.getByText("Ask first").waitFor({ state: "detached" });
  await list.getByText("Leave a note").waitFor();
  await page.getByLabel("Search tasks").fill("");
  await page.getByLabel("Status").selectOption("needs_input");
  await list.getByText("Leave a note").waitFor({ state: "detached" });
  await list.getByText("Ask first").waitFor();
  await page.getByLabel("Search tasks").fill("nothing is called so");
  await page.getByText("No task fits.").waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test("what needs somebody is one list, and questions are answered there", async () => {
  const { page, complaints, close } = await signedIn();
  await page.getByRole("link", { name: "Needs you 1 waiting" }).click();
  await page.getByRole("region", { name: "Finished work" }).getByText("Leave a note").waitFor();
  const question = page.getByRole("region", { name: "Questions" });
  await question.getByText("May I go on?").waitFor();
  await picture(page, "needs-you");
  assert.deepEqual(await barriers(page), []);
  await question.getByRole("button", { name: "Allow once" }).click();
  await page.getByText("Nothing waits for an answer.").waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test("the activity shows who did what, follows, and is filtered", async () => {
  const { page, complaints, close } = await signedIn();
  await page.keyboard.press("a");
  const entries = page.getByRole("group", { name: "Entries" });
  await entries.getByText("repository.added").waitFor();
  await server.command(key, "org.update_settings", { display_name: "Acme & Sons" });
  await entries.getByText("organization.settings_changed").first().waitFor();
  await page.getByLabel("What").selectOption("task.");
  await entries.getByText("repository.added").waitFor({ state: "detached" });
  await entries.getByText("task.created").first().waitFor();
  await picture(page, "activity");
  assert.deepEqual(await barriers(page), []);
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export" }).click();
  const text = await (await (await download).createReadStream()).toArray();
  const lines = Buffer.concat(text).toString().trim().split("\n").map(line => JSON.parse(line));
  assert.ok(lines.some(one => one.kind === "repository.added"));
  assert.deepEqual(complaints, []);
  await close();
});

test("the inspector shows actors, the rows that a command changed, and turns as they happen", async () => {
  const { page, complaints, close } = await signedIn();
  await page.keyboard.press("i");
  const actors = page.getByRole("group", { name: "Actors" });
  await actors.getByRole("link", { name: `${key}/task/${changed}`, exact: true }).waitFor();
  await actors.getByRole("link", { name: `${key}/audit-log`, exact: true }).waitFor();
  await page.getByRole("region", { name: "Turns" }).waitFor();
  await eventually("a turn shows", async () => {
    await server.command(key, "org.update_settings", { branch_prefix: `b${Date.now() % 1000}/` });
    return await page.getByRole("region", { name: "Turns" }).getByText("org.update_settings").count() > 0;
  });
  await server.command(key, "org.update_settings", { branch_prefix: "troupe/" });
  await picture(page, "inspector");
  await actors.getByRole("link", { name: `${key}/task/${changed}`, exact: true }).click();
  const history = page.getByRole("region", { name: "History" });
  await history.getByText("task.initialize").click();
  await history.getByRole("group", { name: "Changed rows" }).first().getByText("Leave a note").first().waitFor();
  await page.getByText("Snapshot", { exact: true }).click();
  await page.locator("pre").getByText("\"title\": \"Leave a note\"").first().waitFor();
  await picture(page, "inspector-actor");
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(complaints, []);
  await close();
});

test("an administrator adds repositories and members, and what git says is shown", async () => {
  const { page, complaints, close } = await signedIn();
  await page.keyboard.press("o");
  await page.getByLabel("Address of a repository").fill(`${server.folder}/nothing-here`);
  await page.getByRole("button", { name: "Add repository" }).click();
  const repositories = page.getByRole("region", { name: "Repositories" });
  await repositories.getByRole("row").filter({ hasText: "nothing-here" }).getByText("error").waitFor();
  await picture(page, "organization");
  assert.deepEqual(await barriers(page), []);
  await page.getByLabel("Name", { exact: true }).fill("Acme Works");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "Acme Works" }).waitFor();
  await page.getByLabel("Address of a repository").fill("ext::sh -c id");
  await page.getByRole("button", { name: "Add repository" }).click();
  await page.getByRole("region", { name: "Repositories" }).getByRole("alert").waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test("somebody new is invited by a link, makes a token, and ends tokens and sessions", async () => {
  const owner = await signedIn();
  await owner.page.goto(`${server.url}/#/acme/settings`);
  await owner.page.getByLabel("New login name").fill("nia");
  await owner.page.getByLabel("Role of the new one").selectOption("viewer");
  await owner.page.getByRole("button", { name: "Invite by link" }).click();
  const link = await owner.page.locator(".link").innerText();
  assert.match(link, /#sign-in=link_[0-9a-f]{64}$/);
  await picture(owner.page, "invitation");
  const { page, complaints, close } = await open(browser, {}, /401/);
  await page.goto(link);
  await page.getByRole("link", { name: "nia", exact: true }).click();
  const tokens = page.getByRole("region", { name: "Tokens" });
  await tokens.getByLabel("What the token is for").fill("the nightly job");
  await tokens.getByRole("button", { name: "Make a token" }).click();
  const token = await tokens.locator(".link").innerText();
  const status = async () => (await fetch(`${server.url}/v1/session`, { headers: { Authorization: `Bearer ${token}` } })).status;
  await eventually("the token works", async () => await status() === 200);
  await page.getByRole("region", { name: "Browsers" }).getByRole("row").nth(1).waitFor();
  await picture(page, "you");
  assert.deepEqual(await barriers(page), []);
  await tokens.getByRole("row").filter({ hasText: "the nightly job" }).getByRole("button", { name: "Revoke" }).click();
  await tokens.getByText("the nightly job").waitFor({ state: "detached" });
  await eventually("the token is worth nothing", async () => await status() === 401);
  await page.getByRole("region", { name: "Browsers" }).getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You were signed out.").waitFor();
  assert.deepEqual([...complaints, ...owner.complaints], []);
  await close();
  await owner.close();
});

test("everything is reached by keys alone", async () => {
  const { page, complaints, close } = await signedIn();
  await page.keyboard.press("?");
  const keys = page.getByRole("dialog", { name: "Keys" });
  await keys.getByText("Search tasks").waitFor();
  await picture(page, "keys");
  await page.keyboard.press("Escape");
  await keys.waitFor({ state: "detached" });
  await page.getByRole("list", { name: "Tasks" }).getByText("Leave a note").waitFor();
  await page.keyboard.press("j");
  await page.locator(".task h1").waitFor();
  const first = await page.locator(".task h1").innerText();
  await page.keyboard.press("j");
  await page.locator(".task h1").filter({ hasNotText: first }).waitFor();
  await page.keyboard.press("k");
  await page.locator(".task h1").filter({ hasText: first }).waitFor();
  await page.keyboard.press("d");
  await page.getByRole("link", { name: "Changes" }).and(page.locator("[aria-current]")).waitFor();
  await page.keyboard.press("v");
  await page.getByLabel("Message to the agent").waitFor();
  await page.keyboard.press("m");
  await page.keyboard.type("say j is only a letter here");
  assert.equal(await page.getByLabel("Message to the agent").inputValue(), "say j is only a letter here");
  await page.keyboard.press("Control+k");
  const palette = page.getByRole("dialog", { name: "Do something" });
  await palette.getByRole("combobox").fill("activity");
  assert.deepEqual(await barriers(page), []);
  await picture(page, "palette");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Activity" }).waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test("on a phone one thing shows at a time and nothing is wider than the screen", async () => {
  const { page, complaints, close } = await signedIn({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const fits = async (what: string) => {
    const [inside, outside] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(inside! <= outside!, `${what} is ${inside} wide on ${outside}`);
    await picture(page, `phone-${what}`);
  };
  await page.getByRole("list", { name: "Tasks" }).getByText("Leave a note").waitFor();
  await fits("tasks");
  await page.getByRole("list", { name: "Tasks" }).getByText("Leave a note").tap();
  await page.getByRole("heading", { name: "Leave a note" }).waitFor();
  assert.equal(await page.getByRole("list", { name: "Tasks" }).isVisible(), false);
  await fits("task");
  await page.getByRole("link", { name: "Changes" }).tap();
  await page.getByRole("group", { name: "Diff of NOTES.md" }).waitFor();
  await fits("changes");
  await page.getByRole("link", { name: "Back to the tasks" }).tap();
  await page.getByRole("list", { name: "Tasks" }).getByText("Leave a note").waitFor();
  for (const name of ["Needs you", "Activity", "Organization"]) {
    await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name }).tap();
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    await fits(name.toLowerCase().replace(" ", "-"));
  }
  assert.deepEqual(complaints, []);
  await close();
});

test("in the dark every text can be read", async () => {
  const { page, complaints, close } = await signedIn({ colorScheme: "dark" });
  for (const [name, rest] of [["task", `task/${changed}`], ["changes", `task/${changed}/changes`], ["details", `task/${changed}/details`], ["needs-you", "needs"], ["new", "new"], ["activity", "activity"]] as const) {
    await page.goto(`${server.url}/#/acme/${rest}`);
    await page.locator("h1").first().waitFor();
    await page.getByText("Loading …").waitFor({ state: "detached" });
    assert.deepEqual(await barriers(page), [], name);
    await picture(page, `dark-${name}`);
  }
  assert.deepEqual(complaints, []);
  await close();
});
