// Terminals in the sandbox: each is a shell that goes on when nobody looks, and that several people may share.
import { useEffect, useRef, useState } from "preact/hooks";
import type { TaskSnapshot } from "../../client";
import { useActions } from "../keys";
import { command } from "../live";
import { tell } from "../parts/notice";
import type { Attached, TerminalState } from "../parts/terminal";
import { Ago, clock } from "../parts/words";
import { workspace } from "../sandbox";
import { InsideView, type Inside } from "./inside";

const shell = "command -v bash >/dev/null && exec bash -i; exec sh -i";

export function Terminals({ data, acts }: { data: TaskSnapshot; acts: boolean }) {
  return <InsideView data={data} acts={acts}>{inside => <Shells key={inside.key} inside={inside} />}</InsideView>;
}

function Shells({ inside }: { inside: Inside }) {
  // The oldest first, as they were opened; an ended one goes when another is chosen.
  const [chosen, choose] = useState<string>(), [asked, ask] = useState(false);
  const all = inside.processes.filter(one => one.tty && (one.status !== "exited" && one.status !== "failed" || one.id === chosen)).reverse();
  const shown = all.find(one => one.id === chosen) ?? all.at(-1);
  const open = () => {
    if (asked) return;
    ask(true);
    command(inside.key, "sandbox.run", { command: "sh", args: ["-c", shell], cwd: workspace, tty: true, environment: { TERM: "xterm-256color" } })
      .then(made => choose(made.process), tell).finally(() => ask(false));
  };
  useActions([{ key: "n", name: "New terminal", run: open }]);
  return (
    <div class="terminals">
      <div class="tools">
        <nav aria-label="Terminals">{all.map((one, index) => <button type="button" class="small" aria-pressed={one.id === shown?.id} onClick={() => choose(one.id)}
          title={`opened by ${one.started_by ?? "the agent"}`}>{index + 1}: {one.started_by ?? "agent"} <Ago at={one.created_at} /></button>)}</nav>
        <button type="button" class="small" onClick={open} disabled={asked}>New terminal</button>
        <span class="grow" />
        {shown?.status === "running" && <button type="button" class="small" onClick={() => void command(inside.key, "sandbox.kill_process", { process: shown.id }).catch(tell)}>End it</button>}
      </div>
      {!shown ? <div class="alone"><p class="quiet">No terminal is open. A shell in the workspace of this task opens with <kbd>n</kbd>.</p></div>
        : shown.status === "failed" ? <p class="bad">The shell did not start: {String(shown.why ?? "no reason was given")}</p>
          : !shown.daemon_id ? <p class="quiet" aria-busy="true">Starting the shell …</p>
            : <Screen key={shown.daemon_id} path={`${inside.door}/processes/${encodeURIComponent(shown.daemon_id)}/terminal/ws`} />}
    </div>
  );
}

function Screen({ path }: { path: string }) {
  const box = useRef<HTMLDivElement>(null), bar = useRef<HTMLParagraphElement>(null), held = useRef<Attached | undefined>(undefined);
  const [state, change] = useState<TerminalState>({ is: "connecting" }), [failure, fail] = useState<string>();
  useEffect(() => {
    let here = true;
    import("../parts/terminal").then(({ attach }) => {
      if (!here) return;
      held.current = attach(box.current!, path, change, () => bar.current?.focus());
      held.current.focus();
    }, why => fail(`The terminal could not be fetched: ${why.message}`));
    return () => { here = false; held.current?.dispose(); };
  }, [path]);
  return <>
    <div class="screen" ref={box} role="group" aria-label="Terminal" />
    <p class="quiet state" role="status" tabIndex={-1} ref={bar}>{failure ?? (state.is === "live" ? <>Connected. <kbd>Shift</kbd>+<kbd>Escape</kbd> leaves it with the keyboard.</>
      : state.is === "ended" ? `Ended${state.code === null ? " by a signal" : ` with ${state.code}`}.`
        : state.is === "lost" ? <span class="bad">The connection is lost; next attempt at {clock(state.next)}. <button type="button" class="small" onClick={() => held.current?.hurry()}>Try now</button></span>
          : "Connecting …")}</p>
  </>;
}
