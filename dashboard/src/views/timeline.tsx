// A picture of a task: how it was made ready, the agents' turns and the waiting for people as bars, prompts as dots; and the same in words.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { SessionTranscriptEntry, TaskSnapshot } from "../../client";
import { useActions } from "../keys";
import { useStream } from "../live";
import { clock, took } from "../parts/words";
import { Timeline, type Moment, type Span } from "../timeline";

type Session = TaskSnapshot["sessions"][number];
interface Row { name: string; spans: Span[]; moments: Moment[] }

const rowHeight = 34, deepest = 64;

export function TimelineView({ taskKey, data }: { taskKey: string; data: TaskSnapshot }) {
  const [rows, keep] = useState<Record<string, Timeline>>({}), [zoom, scale] = useState(1), [now, tick] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => tick(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  // What is in the middle stays there.
  const box = useRef<HTMLDivElement>(null), before = useRef(1);
  useLayoutEffect(() => {
    const { scrollLeft, clientWidth } = box.current!;
    box.current!.scrollLeft = (scrollLeft + clientWidth / 2) * (zoom / before.current) - clientWidth / 2;
    before.current = zoom;
  }, [zoom]);
  const closer = () => scale(at => Math.min(deepest, at * 2)), farther = () => scale(at => Math.max(1, at / 2));
  useActions([{ key: "+", name: "Zoom in", run: closer }, { key: "-", name: "Zoom out", run: farther }]);
  const all: Row[] = [{ name: "getting ready", moments: [], spans: data.steps.map(step => ({
    is: "step", from: step.started_at, to: step.ended_at, words: step.name, bad: step.state === "failed" })) },
  ...data.sessions.map(one => ({ name: one.title || one.agent, spans: rows[one.session]?.spans ?? [], moments: rows[one.session]?.moments ?? [] }))];
  const open = all.some(row => row.spans.some(span => span.to === undefined));
  const ends = all.flatMap(row => [...row.spans.map(span => span.to ?? now), ...row.moments.map(one => one.at)]);
  const begin = data.created_at, end = Math.max(begin + 1000, ...ends.slice(-5000), open ? now : 0), x = (at: number) => `${(100 * (at - begin)) / (end - begin)}%`;
  const said = all.flatMap(row => [...row.spans.map(span => ({ at: span.from, who: row.name, words: span.words, ms: (span.to ?? now) - span.from, bad: span.bad })),
    ...row.moments.map(one => ({ at: one.at, who: one.by, words: one.words, ms: undefined, bad: false }))]).sort((a, b) => a.at - b.at);
  return (
    <div class="details">
      <div class="tools"><p class="quiet">{clock(begin)} to {clock(end)}, {took(end - begin)}</p><span class="grow" />
        <button type="button" class="small" onClick={farther} disabled={zoom === 1}>Zoom out</button><button type="button" class="small" onClick={closer} disabled={zoom === deepest}>Zoom in</button></div>
      {data.sessions.map(one => <Watched key={one.session} taskKey={taskKey} session={one} keep={found => keep(held => ({ ...held, [one.session]: found }))} />)}
      <div class="timeline" ref={box} tabIndex={0} role="group" aria-label="Picture of the task">
        <svg role="img" aria-label="The same is below in words" style={{ width: `${100 * zoom}%`, height: `${rowHeight * all.length}px` }}>
          {all.map((row, index) => <g key={row.name + index}>
            <text x="0" y={index * rowHeight + 11}>{row.name}</text>
            <line x1="0" x2="100%" y1={index * rowHeight + 24} y2={index * rowHeight + 24} />
            {row.spans.map(span => <rect class={`${span.is} ${span.bad ? "bad" : ""}`} x={x(span.from)} y={index * rowHeight + 17} height={14} rx={2}
              style={{ width: `max(2px, ${(100 * Math.max(0, (span.to ?? now) - span.from)) / (end - begin)}%)` }}><title>{`${span.words}, ${took((span.to ?? now) - span.from)}`}</title></rect>)}
            {row.moments.map(one => <circle cx={x(one.at)} cy={index * rowHeight + 24} r={5}><title>{`${one.by}: ${one.words}`}</title></circle>)}
          </g>)}
        </svg>
      </div>
      <table><tbody>{said.slice(-500).map(one => <tr><td class="together"><time>{clock(one.at)}</time></td><td class="together">{one.who}</td>
        <td class={one.bad ? "bad text" : "text"}>{one.words}</td><td class="quiet together">{one.ms === undefined ? "" : took(one.ms)}</td></tr>)}</tbody></table>
    </div>
  );
}

/** Reads one session's transcript for the picture. */
function Watched({ taskKey, session, keep }: { taskKey: string; session: Session; keep: (found: Timeline) => void }) {
  const { reader } = useStream<SessionTranscriptEntry, Timeline>(`${taskKey}/session/${session.session}#transcript`, () => new Timeline());
  useEffect(() => keep(reader), [reader.last, reader.spans.length, reader.moments.length]);
  return null;
}
