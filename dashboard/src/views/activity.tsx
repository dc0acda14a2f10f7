// The audit log of the organization, newest first: filtered by what, who and which task, followed live, exported whole.
import { useEffect, useRef, useState } from "preact/hooks";
import type { AuditListResult, AuditLogSnapshot } from "../../client";
import { get, query, useSnapshot } from "../live";
import { Notice, tell } from "../parts/notice";
import { when } from "../parts/words";
import { address } from "../route";

type Entry = AuditListResult["entries"][number];
const pageSize = 100;
const kinds = [["", "everything"], ["task.", "tasks"], ["session.", "sessions"], ["repository.", "repositories"], ["member.", "members"], ["organization.", "settings"], ["sandbox.", "sandboxes"]] as const;

const shown = (value: unknown) => typeof value === "string" ? value : JSON.stringify(value);

/** The whole log as a file, one entry on a line, as the stream has it. */
async function exportAll(org: string, key: string): Promise<void> {
  const lines: string[] = [];
  for (let after = 0; ;) {
    const page = await get(`/v1/actors/${key}/streams/entries?after=${after}`);
    for (const entry of page.entries) lines.push(JSON.stringify(entry.data));
    if (!page.entries.length || page.last >= page.end) break;
    after = page.last;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.map(line => `${line}\n`).join("")], { type: "application/x-ndjson" }));
  link.download = `${org}-audit.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function Activity({ org }: { org: string }) {
  const key = `org/${org}/audit-log`;
  const { data, state } = useSnapshot<AuditLogSnapshot>(key);
  const [kind, choose] = useState(""), [principal, who] = useState(""), [task, which] = useState("");
  const [entries, keep] = useState<Entry[]>([]), [next, follow] = useState<number | null>(null), [failure, fail] = useState<string>();
  const asked = useRef(0), [exporting, save] = useState(false);
  const filter = { ...(kind && { kind }), ...(principal.trim() && { principal: principal.trim() }), ...(task.trim() && { task: task.trim() }) };
  const read = async (before?: number) => {
    const mine = ++asked.current;
    try {
      const page = await query(key, "audit.list", { ...filter, limit: pageSize, ...(before && { before }) });
      if (mine !== asked.current) return;
      // A newer first page joins what was read further down.
      keep(old => before ? [...old, ...page.entries]
        : [...page.entries, ...old.filter(one => page.entries.length > 0 && one.seq < page.entries.at(-1)!.seq)]);
      if (before || entries.length === 0 || page.entries.length < pageSize) follow(page.next);
      fail(undefined);
    } catch (why) {
      if (mine === asked.current) fail((why as Error).message);
    }
  };
  useEffect(() => { keep([]); follow(null); }, [kind, principal, task]);
  const end = data?.entries;
  useEffect(() => {
    const timer = setTimeout(() => void read(), 100);
    return () => clearTimeout(timer);
  }, [kind, principal, task, end]);
  return (
    <div class="page activity">
      <div class="tools"><h1>Activity</h1><span class="grow" />
        <select aria-label="What" value={kind} onChange={event => choose(event.currentTarget.value)}>{kinds.map(([value, name]) => <option value={value}>{name}</option>)}</select>
        <input type="search" aria-label="Who" placeholder="who" value={principal} onInput={event => who(event.currentTarget.value)} />
        <input type="search" aria-label="Task" placeholder="task id" value={task} onInput={event => which(event.currentTarget.value)} />
        <button type="button" disabled={exporting} onClick={() => { save(true); exportAll(org, key).catch(tell).finally(() => save(false)); }}>{exporting ? "Reading …" : "Export"}</button></div>
      {state.is === "error" && <Notice tone="bad">{state.error.detail}</Notice>}
      {failure && <Notice tone="bad">The log could not be read: {failure}</Notice>}
      {!entries.length && !failure && <p class="quiet">{data ? "Nothing fits." : "Loading …"}</p>}
      {entries.length > 0 && <div class="scroll" tabIndex={0} role="group" aria-label="Entries"><table>
        <thead><tr><th>When</th><th>Who</th><th>What</th><th>Task</th><th>Details</th></tr></thead>
        <tbody>{entries.map(one => <tr key={one.seq}>
          <td><time>{when(one.time)}</time></td><td>{one.principal}</td><td>{one.kind}</td>
          <td>{one.task ? <a href={address({ view: "task", org, task: one.task, session: one.session ?? undefined, tab: "transcript" })}>{one.branch ?? one.task}</a> : one.repository}</td>
          <td class="payload">{Object.entries(one.payload).map(([name, value]) => <span><b>{name}</b> {shown(value)}</span>)}</td></tr>)}</tbody>
      </table></div>}
      {next !== null && <button type="button" onClick={() => void read(entries.at(-1)?.seq)}>Earlier</button>}
    </div>
  );
}
