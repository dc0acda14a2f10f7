// Under the hood: actors with what waits in them, one actor's history with the rows that it changed, turns as they happen.
import { useEffect, useState } from "preact/hooks";
import { get } from "../live";
import { Notice } from "../parts/notice";
import { Ago, bytes } from "../parts/words";
import { address } from "../route";
import { ActorView } from "./inspector_actor";
import { Turns } from "./inspector_turns";

interface Actor {
  key: string; kind: string; awake: boolean; quarantined: boolean; failure: string | null; turn: number; revision: number;
  mailbox: number; outbox: number; effects: number; feeds: number; bytes: number; last_active: number;
}

export function Inspector({ org, actor }: { org: string; actor?: string }) {
  return actor ? <ActorView key={actor} org={org} actor={actor} /> : <Actors key={org} org={org} />;
}

function Actors({ org }: { org: string }) {
  const [text, type] = useState(""), [awake, only] = useState(false);
  const [list, keep] = useState<Actor[]>(), [next, follow] = useState<string | null>(null), [failure, fail] = useState<string>(), [turns, count] = useState(0);
  const read = (after?: string) => get(`/v1/inspect/actors?prefix=${encodeURIComponent(`org/${org}`)}&limit=500${awake ? "&awake=true" : ""}${after ? `&after=${encodeURIComponent(after)}` : ""}`)
    .then(page => { keep(old => after ? [...old ?? [], ...page.actors] : page.actors); follow(page.next); fail(undefined); }, why => fail(why.message));
  // What the turns below show has changed the figures: they are read again a moment after.
  useEffect(() => {
    const timer = setTimeout(() => void read(), list ? 500 : 0);
    return () => clearTimeout(timer);
  }, [org, awake, turns]);
  const shown = list?.filter(one => one.key.includes(text.trim()) || one.kind === text.trim());
  return (
    <div class="page inspector">
      <div class="tools"><h1>Actors</h1><span class="grow" />
        <label class="check"><input type="checkbox" checked={awake} onChange={event => only(event.currentTarget.checked)} />awake only</label>
        <input type="search" aria-label="Key or kind" placeholder="key or kind" value={text} onInput={event => type(event.currentTarget.value)} /></div>
      {failure && <Notice tone="bad">{failure}</Notice>}
      {!list && !failure && <p class="quiet">Loading …</p>}
      {shown && <div class="scroll" tabIndex={0} role="group" aria-label="Actors"><table>
        <thead><tr><th>Key</th><th>Kind</th><th>Turn</th><th>Mailbox</th><th>Outbox</th><th>Effects</th><th>File</th><th>Active</th></tr></thead>
        <tbody>{shown.map(one => <tr key={one.key}>
          <td class="key"><i class={`dot ${one.quarantined ? "bad" : one.awake ? "good" : "quiet"}`} aria-hidden="true" />
            <a style={{ paddingLeft: `${one.key.split("/").length / 2}em` }} href={address({ view: "inspector", org, key: one.key })}>{one.key}</a>
            {one.quarantined && <span class="bad"> quarantined: {one.failure}</span>}<span class="unseen">{one.awake ? ", awake" : ", asleep"}</span></td>
          <td>{one.kind}</td><td>{one.turn}</td><td>{one.mailbox || ""}</td><td>{one.outbox || ""}</td><td>{one.effects || ""}</td><td>{bytes(one.bytes)}</td><td><Ago at={one.last_active} /></td></tr>)}</tbody>
      </table></div>}
      {next && <button type="button" onClick={() => void read(next)}>More</button>}
      <Turns prefix={`org/${org}`} onTurn={() => count(before => before + 1)} />
    </div>
  );
}
