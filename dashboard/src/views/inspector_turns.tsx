// Turns as they happen, newest first.
import { useEffect } from "preact/hooks";
import type { Entry } from "../../client";
import { useStream, type Reader } from "../live";
import { clock } from "../parts/words";

interface Turn {
  actor: string; kind: string; turn: number; revision: number; time: number; duration_us: number;
  commands: { name: string; ok: boolean; duration_us: number; principal?: string; code?: string }[];
}
const kept = 100;

class Newest implements Reader<Turn> {
  turns: Entry<Turn>[] = [];
  seen = 0;
  onEntries(entries: Entry<Turn>[]): void {
    this.turns = [...entries.slice().reverse(), ...this.turns].slice(0, kept);
    this.seen += entries.length;
  }
  onReset(): void {}
}

export function Turns({ prefix, onTurn }: { prefix: string; onTurn?: () => void }) {
  const { reader, state } = useStream<Turn, Newest>("$host#events", () => new Newest(), { prefix });
  useEffect(() => { if (reader.seen) onTurn?.(); }, [reader.seen]);
  return (
    <section class="turns" aria-label="Turns"><h2>Turns, live</h2>
      {state.is === "error" ? <p class="quiet">{state.error.detail}</p> : reader.turns.length === 0 && <p class="quiet">None since you came here.</p>}
      <table><tbody>{reader.turns.map(one => <tr key={one.seq}>
        <td><time>{clock(one.data.time)}</time></td><td class="key">{one.data.actor}</td><td>{one.data.turn}</td><td>{one.data.duration_us} µs</td>
        <td>{one.data.commands.map(each => <span class={each.ok ? "" : "bad"}>{each.name}{each.code ? ` (${each.code})` : ""}{each.principal ? ` · ${each.principal}` : ""} </span>)}</td></tr>)}</tbody></table>
    </section>
  );
}
