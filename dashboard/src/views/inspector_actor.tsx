// One actor: what it holds, what waits in it, and the commands that it applied with the rows that each changed.
import { useEffect, useState } from "preact/hooks";
import { get } from "../live";
import { Notice } from "../parts/notice";
import { bytes, when } from "../parts/words";
import { address } from "../route";

type Change = ["+" | "-", string, unknown, Record<string, unknown>] | ["~", string, unknown, Record<string, [unknown, unknown]>] | ["…", number];
interface Applied {
  seq: number; turn: number; time: number; from: string; sender: string; principal: string; name: string; ok: boolean;
  body: unknown; result?: unknown; error?: { code?: string; detail?: string }; duration_us: number; changes: Change[];
}
const page = 50;
const words = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value) ?? "";
const short = (value: unknown) => { const text = words(value); return text.length > 160 ? `${text.slice(0, 160)}…` : text; };

export function ActorView({ org, actor }: { org: string; actor: string }) {
  const [found, find] = useState<any>(), [failure, fail] = useState<string>(), [state, show] = useState<unknown>();
  const [history, keep] = useState<Applied[]>(), [first, begin] = useState(0), [round, again] = useState(0);
  const path = `/v1/inspect/actors/${actor}`;
  const read = async (after: number, before?: number) => {
    const all: Applied[] = [];
    for (let at: number | null = after; at !== null && all.length < 500;) {
      const got: { history: Applied[]; next: number | null } = await get(`${path}/history?limit=${page}&after=${at}`);
      all.push(...got.history);
      at = got.next;
      if (before !== undefined && (all.at(-1)?.seq ?? before) >= before) break;
    }
    return before === undefined ? all : all.filter(one => one.seq < before);
  };
  useEffect(() => {
    let here = true;
    (async () => {
      const now = await get(path), after = Math.max(0, (now.commands?.count ?? 0) - page), applied = await read(after);
      if (!here) return;
      find(now);
      keep(applied);
      begin(after);
      fail(undefined);
      show(await get(`/v1/actors/${actor}/snapshot`).catch(() => undefined));
    })().catch(why => { if (here) fail(why.message); });
    return () => { here = false; };
  }, [actor, round]);
  if (failure) return <div class="page"><Notice tone="bad">{failure}</Notice><a href={address({ view: "inspector", org })}>All actors</a></div>;
  if (!found) return <div class="alone" aria-busy="true"><p class="quiet">Loading …</p></div>;
  const earlier = async () => {
    const after = Math.max(0, first - page), more = await read(after, history?.[0]?.seq ?? first);
    keep([...more, ...history ?? []]);
    begin(after);
  };
  return (
    <div class="page inspector">
      <div class="tools"><a class="button" href={address({ view: "inspector", org })} aria-label="All actors">‹</a><h1 class="mono">{actor}</h1><span class="grow" />
        <button type="button" class="small" onClick={() => again(round + 1)}>Read again</button></div>
      {found.quarantined && <Notice tone="bad">Quarantined: {found.failure}</Notice>}
      <dl class="facts">
        <div><dt>kind</dt><dd>{found.kind}</dd></div><div><dt>state</dt><dd>{found.awake ? "awake" : "asleep"}</dd></div><div><dt>turn</dt><dd>{found.meta?.turn}</dd></div>
        <div><dt>revision</dt><dd>{found.meta?.revision}</dd></div><div><dt>file</dt><dd>{bytes(found.bytes ?? 0)}</dd></div>
        <div><dt>commands</dt><dd>{found.commands?.count}, {found.commands?.failed} refused, mean {Math.round(found.commands?.mean_us ?? 0)} µs, longest {found.commands?.max_us} µs</dd></div></dl>
      <Rows name="Effects under way" rows={found.effects} /><Rows name="Outbox" rows={found.outbox} /><Rows name="Timers" rows={found.timers} />
      <Rows name="Feeds" rows={found.feeds} /><Rows name="Dead letters" rows={found.dead} />
      <details><summary>Tables ({found.tables?.length})</summary><p class="mono">{found.tables?.map((one: any) => `${one.name} ${one.rows}`).join("   ")}</p></details>
      {state !== undefined && <details><summary>Snapshot</summary><pre tabIndex={0}>{JSON.stringify(state, null, 2)}</pre></details>}
      <section aria-label="History"><h2>History</h2>
        {first > 0 && <button type="button" class="small" onClick={() => void earlier().catch(why => fail(why.message))}>Earlier</button>}
        {[...history ?? []].reverse().map(one => <Command key={one.seq} one={one} />)}</section>
    </div>
  );
}

const times = new Set(["time", "due", "since", "deadline"]);

function Rows({ name, rows }: { name: string; rows?: Record<string, unknown>[] }) {
  if (!rows?.length) return null;
  return <section><h2>{name}</h2><table><thead><tr>{Object.keys(rows[0]!).map(column => <th>{column}</th>)}</tr></thead>
    <tbody>{rows.map(row => <tr>{Object.entries(row).map(([column, value]) =>
      <td class="mono">{times.has(column) && typeof value === "number" ? when(value) : short(value)}</td>)}</tr>)}</tbody></table></section>;
}

function Command({ one }: { one: Applied }) {
  return (
    <details class="applied">
      <summary><span class="quiet">{one.turn}</span> <strong class={one.ok ? "" : "bad"}>{one.name}</strong>
        <span>{one.principal || one.from}</span><span class="quiet">{when(one.time)} · {one.duration_us} µs · {one.changes.length} rows</span></summary>
      <p class="quiet mono">{one.from} {one.sender}</p>
      <pre tabIndex={0}>{JSON.stringify(one.body, null, 2)}</pre>
      <p class={one.ok ? "quiet mono" : "bad mono"}>{one.ok ? `→ ${short(one.result)}` : `✘ ${one.error?.code}: ${one.error?.detail}`}</p>
      {one.changes.length > 0 && <div class="diff scroll" tabIndex={0} role="group" aria-label="Changed rows"><table><tbody>{one.changes.map(change => change[0] === "…"
        ? <tr><td colSpan={3}>{change[1]} more</td></tr>
        : <tr class={change[0] === "+" ? "add" : change[0] === "-" ? "del" : ""}><td class="sign">{change[0]}</td><td>{change[1]} {words(change[2])}</td>
          <td class="text">{Object.entries(change[3]).map(([column, value]) => <span class="cell"><b>{column}</b> {change[0] === "~" ? <>
            <del>{short((value as [unknown, unknown])[0])}</del> <ins>{short((value as [unknown, unknown])[1])}</ins></> : short(value)}</span>)}</td></tr>)}</tbody></table></div>}
    </details>
  );
}
