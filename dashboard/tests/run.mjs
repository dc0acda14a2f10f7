// run.mjs NAME…: bundles the named tests, runs them in this Node, and sums up as doctest does.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "..", "node_modules");
const chromium = process.env.TROUPE_CHROMIUM || "/usr/bin/chromium";

function skip(reason) {
  console.log(`[skipped] ${reason}`);
  console.log("[doctest] test cases: 1 | 0 passed | 0 failed | 1 skipped");
  process.exit(0);
}
if (!existsSync(join(modules, "playwright-core"))) skip("no npm packages: run npm ci in dashboard/");
if (process.env.TROUPE_NEEDS_BROWSER === '1' && !existsSync(chromium)) skip(`no browser at ${chromium}: run script/bootstrap`);

const { build } = await import("esbuild");
const folder = join(modules, ".tests", `${process.pid}`);
mkdirSync(folder, { recursive: true });
let failed = 0, passed = 0, skipped = 0;

async function run(outfile) {
  const child = spawn(process.execPath, ["--enable-source-maps", "--test-reporter=spec", outfile],
    { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  for await (const piece of child.stdout) {
    said += piece;
    process.stdout.write(piece);
  }
  const count = word => Number(new RegExp(`^. ${word} (\\d+)$`, "m").exec(said)?.[1] ?? 0);
  const code = child.exitCode ?? await new Promise(resolve => child.on("exit", resolve));
  const bad = count("fail") + count("cancelled");
  return { passed: count("pass"), failed: bad || (code === 0 ? 0 : 1), skipped: count("skipped") };
}

for (const name of process.argv.slice(2)) {
  const outfile = join(folder, `${name}.mjs`);
  await build({ entryPoints: [join(here, `${name}.test.ts`)], outfile, bundle: true, platform: "node", format: "esm",
    target: "node18", packages: "external", sourcemap: "inline", logLevel: "warning" });
  const ran = await run(outfile);
  passed += ran.passed;
  failed += ran.failed;
  skipped += ran.skipped;
}
rmSync(folder, { recursive: true, force: true });
console.log(`[doctest] test cases: ${passed + failed + skipped} | ${passed} passed | ${failed} failed | ${skipped} skipped`);
process.exit(failed || passed + skipped === 0 ? 1 : 0);
