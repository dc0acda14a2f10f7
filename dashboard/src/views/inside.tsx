// What all views of a sandbox's inside begin with: the sandbox itself, and why one cannot look into it when one cannot.
import type { ComponentChildren } from "preact";
import type { SandboxSnapshot, TaskSnapshot } from "../../client";
import { command, useSnapshot } from "../live";
import { tell } from "../parts/notice";
import { statusWords } from "../parts/words";
import { doorOf } from "../sandbox";

export type Process = SandboxSnapshot["processes"][number];
export interface Inside { key: string; door: string; processes: Process[] }

const wakes: Record<string, "sandbox.resume" | "sandbox.start"> = { paused: "sandbox.resume", stopped: "sandbox.start" };

export function InsideView({ data, acts, children }: { data: TaskSnapshot; acts: boolean; children: (inside: Inside) => ComponentChildren }) {
  const key = data.sandbox.key, { data: sandbox } = useSnapshot<SandboxSnapshot>(key);
  if (!acts) return <div class="alone"><p class="quiet">To look into a sandbox you need the role member.</p></div>;
  if (!key) return <div class="alone"><p class="quiet">The task has no sandbox now.</p></div>;
  if (!sandbox) return <div class="alone" aria-busy="true"><p class="quiet">Loading the sandbox …</p></div>;
  if (sandbox.state !== "running" || sandbox.doing) {
    const wake = wakes[sandbox.state];
    return <div class="alone"><p>The sandbox is {statusWords(sandbox.state)}{sandbox.doing && ` and about to ${sandbox.doing}`}.</p>
      {sandbox.error && <p class="bad">{sandbox.error}</p>}
      {wake && !sandbox.doing && <button type="button" class="primary" onClick={() => void command(key, wake, {}).catch(tell)}>Wake it</button>}</div>;
  }
  return <>{children({ key, door: doorOf(key), processes: sandbox.processes })}</>;
}

/** What somebody asked for, without the shell that it was given to. */
export const commandOf = (one: Process): string =>
  one.tty ? "a terminal" : one.command === "sh" && one.args?.[0] === "-c" ? one.args[1] : [one.command, ...(one.args ?? [])].join(" ");
