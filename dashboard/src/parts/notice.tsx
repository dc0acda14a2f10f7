// What went wrong, or is worth knowing: in place, and as a short list that anything can add to.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

export function Notice({ tone, children }: { tone: "bad" | "warn" | "quiet"; children: ComponentChildren }) {
  return <p class={`notice ${tone}`} role={tone === "bad" ? "alert" : undefined}>{children}</p>;
}

interface Told { id: number; text: string }
const most = 4;
let all: Told[] = [], last = 0;
const listeners = new Set<() => void>();

function change(next: Told[]): void {
  all = next.slice(-most);
  for (const one of [...listeners]) one();
}

/** Shows why something that a person asked for was not done, until it is put away. */
export function tell(why: unknown): void {
  change([...all, { id: ++last, text: why instanceof Error ? why.message : String(why) }]);
}

export function Notices() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const one = () => redraw(count => count + 1);
    listeners.add(one);
    return () => void listeners.delete(one);
  }, []);
  return (
    <div class="notices" role="alert">
      {all.map(one => <p key={one.id} class="notice bad">{one.text}
        <button type="button" class="plain" aria-label="Put away" onClick={() => change(all.filter(other => other !== one))}>×</button></p>)}
    </div>
  );
}
