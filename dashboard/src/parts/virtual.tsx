// A list of rows of one height of which only those in sight are elements; ten thousand scroll as ten.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Rows {
  count: number;
  height: number;
  /** The row to keep in sight. */
  current?: number;
  label: string;
  row(index: number): ComponentChildren;
  /** Called when the end comes near. */
  onEnd?(): void;
}

const margin = 8;

export function VirtualList({ count, height, current, label, row, onEnd }: Rows) {
  const box = useRef<HTMLDivElement>(null);
  const [[top, room], see] = useState<[number, number]>([0, 800]);
  useLayoutEffect(() => {
    const element = box.current!;
    const look = () => see([element.scrollTop, element.clientHeight]);
    look();
    const sizes = new ResizeObserver(look);
    sizes.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => { sizes.disconnect(); element.removeEventListener("scroll", look); };
  }, []);
  useLayoutEffect(() => {
    const element = box.current!;
    if (current === undefined || current < 0) return;
    if (current * height < element.scrollTop) element.scrollTop = current * height;
    else if ((current + 1) * height > element.scrollTop + element.clientHeight) element.scrollTop = (current + 1) * height - element.clientHeight;
  }, [current]);
  const first = Math.max(0, Math.floor(top / height) - margin);
  const last = Math.min(count, Math.ceil((top + room) / height) + margin);
  // Also when more can be had again: what came may have been known already.
  useEffect(() => { if (last >= count - margin) onEnd?.(); }, [last, count, !onEnd]);
  return (
    <div class="virtual" ref={box}>
      <ul aria-label={label} style={{ height: `${count * height}px`, paddingTop: `${first * height}px` }}>
        {Array.from({ length: Math.max(0, last - first) }, (_, index) => row(first + index))}
      </ul>
    </div>
  );
}
