// Keys and commands: what can be done now, by key, by the palette, and as `?` lists it.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Action {
  /** As it is shown: "j", "Ctrl+K", "?". Without one the palette alone has it. */
  key?: string;
  name: string;
  run(): void;
}

const groups = new Set<{ actions: Action[] }>();
const listeners = new Set<() => void>();
const told = () => { for (const one of [...listeners]) one(); };

/** The newest group first, so that an inner view may take a key from an outer one. */
export function actions(): Action[] {
  const taken = new Set<string>(), found: Action[] = [];
  for (const group of [...groups].reverse()) {
    for (const action of group.actions) {
      if (action.key && taken.has(action.key)) continue;
      if (action.key) taken.add(action.key);
      found.push(action);
    }
  }
  return found;
}

/** Makes actions possible while the component that says so is there. */
export function useActions(list: Action[]): void {
  const group = useRef<{ actions: Action[] }>({ actions: list }).current;
  group.actions = list;
  // Before the next key, not merely soon.
  useLayoutEffect(() => {
    groups.add(group);
    told();
    return () => { groups.delete(group); told(); };
  }, []);
}

export function useAllActions(): Action[] {
  const [, redraw] = useState(0);
  useEffect(() => {
    const one = () => redraw(count => count + 1);
    listeners.add(one);
    return () => void listeners.delete(one);
  }, []);
  return actions();
}

function nameOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 && (event.ctrlKey || event.metaKey) ? event.key.toUpperCase() : event.key;
  return (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + key;
}

export function listen(): void {
  addEventListener("keydown", event => {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    const name = nameOf(event), at = event.target as HTMLElement;
    const writing = at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
    // In a field and in a dialog, letters are letters.
    if ((writing || at.closest("dialog")) && !name.startsWith("Ctrl+")) return;
    const action = actions().find(one => one.key === name);
    if (!action) return;
    event.preventDefault();
    action.run();
  });
}
