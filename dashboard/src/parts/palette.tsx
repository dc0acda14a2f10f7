// Everything that can be done now: found by typing, and listed with its keys.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { actions, useAllActions } from "../keys";

export function Dialog({ label, close, children }: { label: string; close: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current!.showModal();
    return () => before?.focus();
  }, []);
  return <dialog ref={dialog} aria-label={label} onClose={close}
    onClick={event => { if (event.target === dialog.current) close(); }}>{children}</dialog>;
}

export function Palette({ close }: { close: () => void }) {
  const [all] = useState(actions), [text, type] = useState(""), [at, move] = useState(0);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter(one => words.every(word => one.name.toLowerCase().includes(word)));
  const run = (index: number) => {
    const action = found[index];
    close();
    // Once the dialog has given the focus back.
    if (action) setTimeout(action.run);
  };
  const keys = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step) {
      event.preventDefault();
      move((at + step + found.length) % Math.max(1, found.length));
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(at);
    }
  };
  return (
    <Dialog label="Do something" close={close}>
      <input autoFocus value={text} placeholder="What do you want to do?" aria-label="What do you want to do?" role="combobox"
        aria-expanded="true" aria-controls="found" aria-activedescendant={found.length ? `found-${at}` : undefined}
        onInput={event => { type(event.currentTarget.value); move(0); }} onKeyDown={keys} />
      <ul id="found" role="listbox" aria-label="Actions">
        {found.map((one, index) => <li id={`found-${index}`} role="option" aria-selected={index === at} onClick={() => run(index)}>
          <span>{one.name}</span>{one.key && <kbd>{one.key}</kbd>}</li>)}
      </ul>
      {!found.length && <p class="quiet">Nothing is called so.</p>}
    </Dialog>
  );
}

export function Shortcuts({ close }: { close: () => void }) {
  const all = useAllActions().filter(one => one.key);
  return (
    <Dialog label="Keys" close={close}>
      <h2>Keys</h2>
      <dl class="keys">{all.map(one => <div><dt><kbd>{one.key}</kbd></dt><dd>{one.name}</dd></div>)}
        <div><dt><kbd>Esc</kbd></dt><dd>Close this</dd></div></dl>
    </Dialog>
  );
}
