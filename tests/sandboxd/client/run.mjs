// Installs the packages of this folder as they are locked, runs its tests in this Node, and sums up as doctest does.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const stamp = join(here, "node_modules", ".installed");
const lock = readFileSync(join(here, "package-lock.json"), "utf8");

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== lock) {
  // The published server is an optional package of its client, and a large one.
  const npm = spawnSync("npm", ["ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund",
    "--fetch-retries=1", "--fetch-timeout=30000"], { cwd: here, encoding: "utf8", timeout: 120_000 });
  if (npm.status !== 0) {
    console.log(`[skipped] npm cannot install the official client: ${npm.stderr?.trim().split("\n")[0] ?? npm.error}`);
    console.log("[doctest] test cases: 1 | 0 passed | 0 failed | 1 skipped");
    process.exit(0);
  }
  writeFileSync(stamp, lock);
}

const child = spawn(process.execPath, ["--test", "--test-reporter=spec", ...process.argv.slice(2).map(name => join(here, `${name}.test.mjs`))],
  { stdio: ["ignore", "pipe", "inherit"] });
let said = "";
for await (const piece of child.stdout) {
  said += piece;
  process.stdout.write(piece);
}
const code = child.exitCode ?? await new Promise(resolve => child.on("exit", resolve));
const count = word => Number(new RegExp(`^. ${word} (\\d+)$`, "m").exec(said)?.[1] ?? 0);
const passed = count("pass"), skipped = count("skipped");
const failed = count("fail") + count("cancelled") || (code === 0 ? 0 : 1);
console.log(`[doctest] test cases: ${passed + failed + skipped} | ${passed} passed | ${failed} failed | ${skipped} skipped`);
process.exit(failed || passed + skipped === 0 ? 1 : 0);
