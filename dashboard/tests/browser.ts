// Debian's Chromium, driven without a window. Whatever a page complains of fails its test.
import { Browser, BrowserContextOptions, chromium, Page } from "playwright-core";
import axe from "axe-core";
import { test } from "node:test";
import { join } from "node:path";

export const stepLimit = 60_000;

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.TROUPE_CHROMIUM || "/usr/bin/chromium",
    // Chromium's own sandbox does not work for root.
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
}

export interface Opened {
  page: Page;
  /** What the page complained of. */
  complaints: string[];
  close(): Promise<void>;
}

/** A page of its own, as of another person's browser. `expected` are complaints that the test brings about. */
export async function open(browser: Browser, options: BrowserContextOptions = {}, expected?: RegExp): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(stepLimit);
  const page = await context.newPage();
  const frames: string[] = [];
  pages.set(page, frames);
  page.on("close", () => pages.delete(page));
  page.on("websocket", socket => {
    const note = (way: string) => ({ payload }: { payload: string | Buffer }) => {
      frames.push(`${way} ${String(payload).slice(0, 240)}`);
      if (frames.length > keptFrames) frames.shift();
    };
    socket.on("framesent", note(">")).on("framereceived", note("<"));
  });
  const complaints: string[] = [];
  const complain = (text: string) => { if (!expected?.test(text)) complaints.push(text); };
  page.on("pageerror", error => complain(`${error.stack || error}`));
  page.on("console", message => { if (message.type() === "error") complain(`${message.text()} ${message.location().url}`); });
  return { page, complaints, close: () => context.close() };
}

const keptFrames = 40;
const pages = new Map<Page, string[]>();

/** A test that, when it fails, says what its pages showed at that moment and had heard before. */
export function scene(name: string, play: () => Promise<void>): void {
  test(name, async () => {
    try {
      await play();
    } catch (error) {
      for (const [page, frames] of pages)
        console.log(`${name}: ${page.url()} showed\n${await page.locator("body").innerText()}\nand had heard\n${frames.join("\n")}`);
      throw error;
    } finally {
      await Promise.all([...pages.keys()].map(page => page.context().close()));
    }
  });
}

/** Keeps a picture for people to look at where TROUPE_SCREENSHOTS names a folder. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.TROUPE_SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`) });
}

/** What axe-core finds that is serious or worse, in words. */
export async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => (window as any).axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.filter((one: any) => one.impact === "serious" || one.impact === "critical")
    .map((one: any) => `${one.id}: ${one.help}: ${one.nodes.map((node: any) => node.html).slice(0, 3).join(" ")}`);
}
