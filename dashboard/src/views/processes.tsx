// The processes of the sandbox: what runs and ran, what each said, and a line to start another.
import { useEffect, useRef, useState } from "preact/hooks";
import type { TaskSnapshot } from "../../client";
import { useActions } from "../keys";
import { command } from "../live";
import { tell } from "../parts/notice";
import { Ago, Status, took } from "../parts/words";
import { workspace } from "../sandbox";
import { commandOf, InsideView, type Inside, type Process } from "./inside";

const longestLog = 200_000;

export function Processes({ data, acts }: { data: TaskSnapshot; acts: boolean }) {
  return <InsideView data={data} acts={acts}>{inside => <All key={inside.key} inside={inside} />}</InsideView>;
}

function All({ inside }: { inside: Inside }) {
  const [text, write] = useState(""), [chosen, choose] = useState<string>(), field = useRef<HTMLInputElement>(null);
  useActions([{ key: "/", name: "Run a command in the sandbox", run: () => field.current?.focus() }]);
  const run = (event: Event) => {
    event.preventDefault();
    const wanted = text.trim();
    if (wanted) command(inside.key, "sandbox.run", { command: "sh", args: ["-c", wanted], cwd: workspace }).then(made => { write(""); choose(made.process); }, tell);
  };
  const act = (name: "sandbox.stop_process" | "sandbox.kill_process" | "sandbox.remove_process", process: string) => void command(inside.key, name, { process }).catch(tell);
  const shown = inside.processes.find(one => one.id === chosen);
  return (
    <div class="processes">
      <form class="row" onSubmit={run}><input ref={field} class="mono grow" aria-label="Command" placeholder="a command, in the workspace" value={text} onInput={event => write(event.currentTarget.value)} />
        <button class="primary" disabled={!text.trim()}>Run</button></form>
      {!inside.processes.length && <p class="quiet">Nobody started a process yet. The agent's own commands show in the transcript.</p>}
      <table><tbody>{inside.processes.map(one => <tr class={one.id === chosen ? "current" : ""}>
        <td><Status status={one.status} detail={one.status === "exited" ? (one.exitCode === undefined ? "by a signal" : `with ${one.exitCode}`) : undefined} /></td>
        <td class="wide"><button type="button" class="plain mono" aria-pressed={one.id === chosen} onClick={() => choose(one.id === chosen ? undefined : one.id)}>{commandOf(one)}</button></td>
        <td>{one.started_by ?? "agent"}</td><td><Ago at={one.created_at} /></td>
        <td class="quiet">{one.exitedAtMs && one.createdAtMs ? took(one.exitedAtMs - one.createdAtMs) : ""}</td>
        <td class="together">{one.status === "running" ? <>
          <button type="button" class="small" onClick={() => act("sandbox.stop_process", one.id)}>Stop</button>{" "}
          <button type="button" class="small" onClick={() => act("sandbox.kill_process", one.id)}>Kill</button></>
          : one.status === "exited" && <button type="button" class="small" onClick={() => act("sandbox.remove_process", one.id)}>Remove</button>}</td></tr>)}</tbody></table>
      {shown && (shown.daemon_id ? <Log key={shown.daemon_id} door={inside.door} process={shown} />
        : <p class={shown.status === "failed" ? "bad" : "quiet"}>{shown.status === "failed" ? `It did not start: ${shown.why ?? "no reason was given"}` : "It is being started …"}</p>)}
    </div>
  );
}

/** What stands between the letters for a terminal's sake. */
const plain = (text: string) => text.replace(/\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])/g, "").replaceAll("\r\n", "\n");

function Log({ door, process }: { door: string; process: Process }) {
  const [text, show] = useState(""), [lost, lose] = useState(false), box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const decoder = new TextDecoder(), source = new EventSource(`${door}/processes/${encodeURIComponent(process.daemon_id!)}/logs?follow=true&tail=5000`);
    let kept = "", frame = 0;
    source.addEventListener("log", event => {
      const entry = JSON.parse(event.data);
      kept = (kept + decoder.decode(Uint8Array.from(atob(entry.data), letter => letter.charCodeAt(0)), { stream: true })).slice(-longestLog);
      frame ||= requestAnimationFrame(() => { frame = 0; show(plain(kept)); });
    });
    source.onopen = () => lose(false);
    source.onerror = () => lose(true);
    return () => { source.close(); cancelAnimationFrame(frame); };
  }, [door, process.daemon_id]);
  useEffect(() => {
    const pre = box.current!;
    if (pre.scrollHeight - pre.scrollTop - pre.clientHeight < 200) pre.scrollTop = pre.scrollHeight;
  }, [text]);
  return <section aria-label={`Output of ${commandOf(process)}`}>
    <h2>Output {lost && <span class="bad">the connection is lost, trying again …</span>}</h2>
    <pre ref={box} class="log" tabIndex={0}>{text || (process.status === "running" ? "It has said nothing yet." : "It said nothing.")}</pre></section>;
}
