// Diffs as tables of lines: of an edit, from its two texts, and of a file, from git's patch.
import { diffLines, parsePatch } from "diff";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { Pieces, useDiffColours } from "./colours";

export interface Line {
  is: "add" | "del" | "same" | "gap";
  text: string;
  old?: number;
  new?: number;
}

const context = 3, longest = 3000;
const split = (text: string) => (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");

/** The lines of an edit with a little of what stands around it. */
export function editLines(before: string | null | undefined, after: string): Line[] {
  if (!before) return split(after).map((text, index) => ({ is: "add", text, new: index + 1 }));
  // Texts of which the difference takes long to find are shown as one taken out and one put in.
  const parts = diffLines(before, after, { timeout: 200 }) ?? [{ value: before, removed: true, added: false }, { value: after, added: true, removed: false }];
  const lines: Line[] = [];
  let old = 0, now = 0;
  parts.forEach((part, index) => {
    const texts = split(part.value);
    if (part.added) for (const text of texts) lines.push({ is: "add", text, new: ++now });
    else if (part.removed) for (const text of texts) lines.push({ is: "del", text, old: ++old });
    else {
      const head = index === 0 ? 0 : context, tail = index === parts.length - 1 ? 0 : context;
      texts.forEach((text, at) => {
        ++old;
        ++now;
        if (at < head || at >= texts.length - tail) lines.push({ is: "same", text, old, new: now });
        else if (at === head) lines.push({ is: "gap", text: `${texts.length - head - tail} lines` });
      });
    }
  });
  return lines;
}

/** The lines of git's patch of one file. */
export function patchLines(patch: string): Line[] {
  const lines: Line[] = [];
  for (const file of parsePatch(patch)) {
    for (const hunk of file.hunks) {
      let old = hunk.oldStart, now = hunk.newStart;
      lines.push({ is: "gap", text: `@@ −${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@` });
      for (const line of hunk.lines) {
        const text = line.slice(1);
        if (line[0] === "+") lines.push({ is: "add", text, new: now++ });
        else if (line[0] === "-") lines.push({ is: "del", text, old: old++ });
        else if (line[0] === " ") lines.push({ is: "same", text, old: old++, new: now++ });
      }
    }
  }
  return lines;
}

const sign = { add: "+", del: "−", same: " ", gap: "" };

interface Shown {
  lines: Line[];
  label: string;
  /** Whose ending says the language. */
  path: string;
  /** False where the lines are a part of a file of which nobody knows where it stands. */
  numbered?: boolean;
  /** Called with a line that somebody wants to say something about. */
  onLine?(line: Line): void;
  /** What stands below a line. */
  below?(line: Line): ComponentChildren;
}

function NumberCell({ line, side, onLine }: { line: Line; side: "old" | "new"; onLine?: (line: Line) => void }) {
  const number = line[side];
  if (number === undefined) return <td class="number" />;
  return <td class="number">{onLine && (side === "new" || line.is === "del")
    ? <button type="button" onClick={() => onLine(line)} aria-label={`Comment on line ${number}`}>{number}</button> : number}</td>;
}

export function Unified({ lines, label, path, numbered = true, onLine, below }: Shown) {
  const shown = lines.slice(0, longest), pieces = useDiffColours(shown, path);
  return (
    <div class="diff scroll" tabIndex={0} role="group" aria-label={label}>
      <table><tbody>
        {shown.map(line => line.is === "gap" ? <tr class="gap"><td colSpan={4}>{line.text}</td></tr> : <>
          <tr class={line.is}>
            {numbered && <><NumberCell line={line} side="old" onLine={onLine} /><NumberCell line={line} side="new" onLine={onLine} /></>}
            <td class="sign">{sign[line.is]}</td><td class="text"><Pieces pieces={pieces(line)} text={line.text} /></td>
          </tr>
          {below?.(line)}
        </>)}
      </tbody></table>
      {lines.length > longest && <p class="quiet">{lines.length - longest} more lines are not shown.</p>}
    </div>
  );
}

/** Deletions and additions that belong together, side by side. */
function pairs(lines: Line[]): [Line | undefined, Line | undefined][] {
  const rows: [Line | undefined, Line | undefined][] = [];
  for (let at = 0; at < lines.length;) {
    if (lines[at]!.is === "same" || lines[at]!.is === "gap") {
      rows.push([lines[at], lines[at]]);
      ++at;
      continue;
    }
    const out: Line[] = [], into: Line[] = [];
    while (lines[at]?.is === "del") out.push(lines[at++]!);
    while (lines[at]?.is === "add") into.push(lines[at++]!);
    for (let row = 0; row < Math.max(out.length, into.length); ++row) rows.push([out[row], into[row]]);
  }
  return rows;
}

export function SideBySide({ lines, label, path, onLine, below }: Shown) {
  const rows = useMemo(() => pairs(lines.slice(0, longest)), [lines]), pieces = useDiffColours(lines.slice(0, longest), path);
  return (
    <div class="diff scroll sides" tabIndex={0} role="group" aria-label={label}>
      <table><colgroup><col class="number" /><col /><col class="number" /><col /></colgroup><tbody>
        {rows.map(([left, right]) => left?.is === "gap" ? <tr class="gap"><td colSpan={4}>{left.text}</td></tr> : <>
          <tr>
            {left ? <><NumberCell line={left} side="old" onLine={onLine} /><td class={`text ${left.is}`}><Pieces pieces={pieces(left)} text={left.text} /></td></> : <td colSpan={2} class="none" />}
            {right ? <><NumberCell line={right} side="new" onLine={onLine} /><td class={`text ${right.is}`}><Pieces pieces={pieces(right)} text={right.text} /></td></> : <td colSpan={2} class="none" />}
          </tr>
          {left && below?.(left)}{right && right !== left && below?.(right)}
        </>)}
      </tbody></table>
      {lines.length > longest && <p class="quiet">{lines.length - longest} more lines are not shown.</p>}
    </div>
  );
}
