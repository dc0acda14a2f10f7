// A tool call: one line that says what and how it went; open, its input, output and edits.
import { useMemo } from "preact/hooks";
import { Unified, editLines } from "../parts/diff";
import { Status, took } from "../parts/words";
import { blockText, type Block } from "../transcript";

const marks: Record<string, string> = { read: "▤", edit: "✎", delete: "✂", move: "→", search: "⌕", execute: "$", think: "…", fetch: "↓" };
const longestOutput = 20_000;

/** A fence around a whole output is for Markdown; here the output stands by itself. */
const unfenced = (text: string) => /^```[^\n]*\n([\s\S]*?)\n?```\s*$/.exec(text)?.[1] ?? text;

function Output({ text, label }: { text: string; label: string }) {
  if (!text.trim()) return null;
  const cut = text.length > longestOutput;
  return <pre tabIndex={0} role="group" aria-label={label}>{cut ? `… ${text.length - longestOutput} characters before\n${text.slice(-longestOutput)}` : text}</pre>;
}

function Edit({ path, before, after }: { path: string; before?: string | null; after: string }) {
  const lines = useMemo(() => editLines(before, after), [before, after]);
  return <div class="edit"><p class="mono">{path}{!before && <span class="quiet"> new file</span>}</p><Unified lines={lines} path={path} label={`Edit of ${path}`} numbered={false} /></div>;
}

const shown = (value: unknown) => typeof value === "string" ? value : JSON.stringify(value, null, 2);
const few = (value: any): boolean => value && typeof value === "object" && Object.keys(value).length > 0;

export function Tool({ block }: { block: Extract<Block, { is: "tool" }> }) {
  const { call } = block, content = call.content ?? [];
  const edits = content.some(part => part.type === "diff");
  const input = few(call.rawInput) ? shown(call.rawInput.command ?? call.rawInput) : undefined;
  const exit = call.rawOutput?.exit_code ?? call.rawOutput?.exitCode;
  return (
    <details class={`block tool ${call.status ?? "pending"}`} open={edits || call.status === "failed"}>
      <summary>
        <i aria-hidden="true">{marks[call.kind ?? ""] ?? "●"}</i><span class="title">{call.title || call.kind || "Tool call"}</span>
        {typeof exit === "number" && exit !== 0 && <span class="bad">exit {exit}</span>}
        <Status status={call.status ?? "pending"} />
        {/* Updates that came together have one time, which says nothing of how long the call took. */}
        {block.ended !== undefined && block.ended > block.time && <span class="quiet">{took(block.ended - block.time)}</span>}
        {block.closedBy && <span class="quiet">closed by {block.closedBy}</span>}
      </summary>
      {!edits && input !== undefined && input !== call.title && <Output label="Input" text={input} />}
      {content.map(part => part.type === "diff" ? <Edit path={part.path} before={part.oldText} after={part.newText ?? ""} />
        : part.type === "content" ? <Output label="Output" text={unfenced(blockText(part.content))} />
          : <p class="quiet">{part.type}</p>)}
      {content.length === 0 && call.rawOutput !== undefined && <Output label="Output" text={shown(call.rawOutput)} />}
      {(call.locations?.length ?? 0) > 0 && !edits && <p class="quiet mono">{call.locations!.map(one => one.line ? `${one.path}:${one.line}` : one.path).join("  ")}</p>}
    </details>
  );
}
