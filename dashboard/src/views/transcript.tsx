// The transcript, live: new entries join at the end, and one stays at the end only if one was there.
import { memo } from "preact/compat";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { SessionSnapshot, SessionTranscriptEntry } from "../../client";
import { get, useStream } from "../live";
import { Markdown } from "../parts/markdown";
import { tell } from "../parts/notice";
import { clock, took, when } from "../parts/words";
import { Transcript, type Block } from "../transcript";
import { Tool } from "./tool";

/** How many blocks are elements; more come in as one goes up. */
const page = 200;

export function TranscriptView({ sessionKey, agent, session }: { sessionKey: string; agent: string; session?: SessionSnapshot }) {
  const { reader, state } = useStream<SessionTranscriptEntry, Transcript>(`${sessionKey}#transcript`, () => new Transcript());
  const [shown, show] = useState(page);
  const box = useRef<HTMLDivElement>(null), atEnd = useRef(true), above = useRef<number | undefined>(undefined);
  const blocks = reader.blocks, first = Math.max(0, blocks.length - shown);
  useLayoutEffect(() => {
    const element = box.current!;
    if (above.current !== undefined) {
      // What came in above pushes nothing away.
      element.scrollTop = element.scrollHeight - above.current;
      above.current = undefined;
    } else if (atEnd.current) element.scrollTop = element.scrollHeight;
  });
  const earlier = () => {
    above.current = box.current!.scrollHeight - box.current!.scrollTop;
    show(count => count + page);
  };
  const look = () => {
    const element = box.current!;
    atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < 60;
    if (element.scrollTop < 200 && first > 0 && above.current === undefined) earlier();
  };
  const catching = reader.end > reader.last;
  return (
    <div class="transcript" ref={box} onScroll={look} role="log" aria-live="off" aria-label="Transcript" tabIndex={0}>
      {first > 0 && <button type="button" class="small earlier" onClick={earlier}>{first} earlier</button>}
      {state.is === "error" && <p class="notice bad" role="alert">{state.error.detail}</p>}
      {state.is === "connecting" && <p class="quiet">Loading …</p>}
      {state.is === "live" && blocks.length === 0 && <p class="quiet">Nothing has been said yet.</p>}
      {blocks.slice(first).map(block => <Shown key={block.key} block={block} version={block.version} agent={agent} sessionKey={sessionKey} />)}
      {catching && <p class="quiet" role="status">Reading: {reader.last} of {reader.end}</p>}
      {session?.status === "running" && !catching && <Working since={session.turn?.started_at} agent={agent} />}
    </div>
  );
}

function Working({ since, agent }: { since?: number; agent: string }) {
  const [, redraw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => redraw(count => count + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return <p class="working"><i aria-hidden="true" />{agent} works{since ? ` · ${took(Math.max(0, Math.floor((Date.now() - since) / 1000) * 1000))}` : ""}</p>;
}

const answers: Record<string, string> = { allow_once: "allowed", allow_always: "always allowed", reject: "rejected", expired: "not answered in time", withdrawn: "withdrawn" };
const reasons: Record<string, string> = { end_turn: "turn ended", cancelled: "stopped", max_tokens: "out of tokens", refusal: "refused by the agent" };

// A block changes in place: its version is what tells.
const Shown = memo(function Shown({ block, agent, sessionKey }: { block: Block; version: number; agent: string; sessionKey: string }) {
  switch (block.is) {
    case "prompt": return <div class="block prompt"><By name={block.guard ? "troupe" : block.by} time={block.time} /><p class="text">{block.text}</p></div>;
    case "message": return <div class="block message"><By name={agent} time={block.time} /><Markdown text={block.text} /></div>;
    case "thought": return <details class="block thought"><summary>Thought<span class="quiet"> {firstLine(block.text)}</span></summary><Markdown text={block.text} /></details>;
    case "tool": return <Tool block={block} />;
    case "plan": return <div class="block plan"><Plan entries={block.entries} /></div>;
    case "permission": return <p class={`block line ${block.answer === "reject" ? "bad" : block.answer ? "quiet" : "asks"}`}>
      {block.answer ? `${block.title}: ${answers[block.answer] ?? block.answer}${block.by ? ` by ${block.by}` : ""}` : `Asks: ${block.title}`}</p>;
    case "turn": return <p class={`block line turn ${block.error ? "bad" : "quiet"}`}>{block.error ?? reasons[block.reason] ?? block.reason} · {took(block.ms)}</p>;
    case "note": return <p class={`block line ${block.tone ?? "quiet"}`}>{block.text}</p>;
    case "stub": return <Stub sessionKey={sessionKey} seq={block.seq} size={block.size} />;
  }
}, (before, after) => before.block === after.block && before.version === after.version);

const firstLine = (text: string) => text.trim().split("\n", 1)[0]!.slice(0, 120);

function By({ name, time }: { name: string; time: number }) {
  return <p class="by">{name} <time title={when(time)}>{clock(time)}</time></p>;
}

const marks: Record<string, string> = { completed: "✔", in_progress: "▸" };

export function Plan({ entries }: { entries: { content: string; status: string }[] }) {
  return <ol aria-label="Plan">{entries.map(one => <li class={one.status}><i aria-hidden="true">{marks[one.status] ?? "○"}</i>
    <span>{one.content}<span class="unseen"> ({one.status.replaceAll("_", " ")})</span></span></li>)}</ol>;
}

/** An entry that was too long for a frame: it comes when it is asked for. */
function Stub({ sessionKey, seq, size }: { sessionKey: string; seq: number; size: number }) {
  const [whole, keep] = useState<string>();
  if (whole !== undefined) return <pre class="block whole" tabIndex={0}>{whole}</pre>;
  const read = () => get(`/v1/actors/${sessionKey}/streams/transcript/${seq}`)
    .then(entry => keep(JSON.stringify(entry.data ?? entry, null, 2)), tell);
  return <p class="block line"><button type="button" class="small" onClick={read}>Show an entry of {Math.round(size / 1024)} KiB</button></p>;
}
