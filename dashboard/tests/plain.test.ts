// The plain page, in a real browser with the real server and agent.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import type { Browser } from "playwright-core";
import { launch, open, picture, scene } from "./browser";
import { Server } from "./server";

let server: Server;
let browser: Browser;

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

const page_of = (link: string) => link.replace("/#", "/plain/#");

scene("who is not signed in is told how to be", async () => {
  const { page, close } = await open(browser, {}, /401/);
  await page.goto(`${server.url}/plain/`);
  await page.getByText("Open a sign-in link to begin").waitFor();
  await picture(page, "plain-signed-out");
  await close();
});

scene("a link signs in once, and the word is gone from the address", async () => {
  const link = server.signIn();
  const first = await open(browser);
  await first.page.goto(page_of(link));
  await first.page.getByText("Choose a task.").waitFor();
  assert.equal(new URL(first.page.url()).hash, "");
  assert.deepEqual(first.complaints, []);
  const second = await open(browser, {}, /401/);
  await second.page.goto(page_of(link));
  await second.page.locator("#welcome-text").filter({ hasText: /link/ }).waitFor();
  assert.equal(await second.page.locator("#who").textContent(), "");
  await first.close();
  await second.close();
});

scene("a task is made, watched, asked about, answered and prompted again", async () => {
  const { page, complaints, close } = await open(browser);
  await page.goto(page_of(server.signIn()));
  await page.getByLabel("New task").fill("say I begin\nask May I go on?\nwrite NOTES.md it was here\nsay I end");
  await page.getByRole("button", { name: "Create" }).click();
  const transcript = page.getByRole("log");
  const said = (text: string) => transcript.locator(".message").getByText(text);
  await said("I begin").waitFor();
  await page.locator("#tasks").getByText("needs input").waitFor();
  assert.equal(await said("I end").count(), 0);
  await picture(page, "plain-permission");
  await page.getByRole("group", { name: "Permission" }).getByRole("button", { name: "Allow once" }).click();
  await said("I end").waitFor();
  await page.locator("#tasks").getByText("idle").waitFor();
  await page.getByPlaceholder("Message to the agent").fill("say Once more");
  await page.getByPlaceholder("Message to the agent").press("Control+Enter");
  await said("Once more").waitFor();
  await picture(page, "plain-task");
  assert.deepEqual(complaints, []);
  await close();
});

scene("a task that another makes appears by itself", async () => {
  const { page, complaints, close } = await open(browser);
  await page.goto(page_of(server.signIn()));
  await page.getByText("Choose a task.").waitFor();
  await server.command("org/acme", "org.create_task", { repository: "widgets", description: "say Made elsewhere" });
  await page.locator("#tasks").getByText("say Made elsewhere").waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

scene("a page outlives the server's end and start and has nothing twice", async () => {
  const { page, close } = await open(browser, {}, /ERR_CONNECTION|WebSocket/);
  await page.goto(page_of(server.signIn()));
  await page.locator("#tasks").getByText("say Made elsewhere").click();
  const said = page.getByRole("log").locator(".message").getByText("Made elsewhere");
  await said.waitFor();
  await server.kill();
  await page.getByText("Reconnecting in").waitFor();
  await server.serve();
  await page.getByText("Reconnecting in").waitFor({ state: "hidden" });
  await page.getByPlaceholder("Message to the agent").fill("say After the pause");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("log").locator(".message").getByText("After the pause").waitFor();
  assert.equal(await said.count(), 1);
  await close();
});
