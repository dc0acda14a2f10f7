// What to tell the agent next: a draft that is kept, the prompts that wait, stop, and how the agent works.
import { useEffect, useRef, useState } from "preact/hooks";
import type { SessionSnapshot } from "../../client";
import { useActions } from "../keys";
import { command } from "../live";
import { tell } from "../parts/notice";

const drafts = "troupe draft ";
function stored(key: string): string {
  try { return localStorage.getItem(drafts + key) ?? ""; } catch { return ""; }
}
function store(key: string, text: string): void {
  try {
    if (text) localStorage.setItem(drafts + key, text);
    else localStorage.removeItem(drafts + key);
  } catch {
    // A browser that stores nothing forgets the draft with the page.
  }
}

interface Shown { taskKey: string; sessionKey?: string; session?: SessionSnapshot; status: string; stop?: () => void }

export function Composer({ taskKey, sessionKey, session, status, stop }: Shown) {
  const [text, write] = useState(() => stored(taskKey)), [sending, send] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => store(taskKey, text), [taskKey, text]);
  useActions([{ key: "m", name: "Write to the agent", run: () => field.current?.focus() }]);
  const submit = (event?: Event) => {
    event?.preventDefault();
    const wanted = text.trim();
    if (!wanted || sending) return;
    send(true);
    command(taskKey, "task.send_message", { text: wanted, ...(sessionKey && session?.status !== "closed" && { session: sessionKey.split("/").at(-1)! }) })
      .then(() => write(now => now.trim() === wanted ? "" : now), tell).finally(() => send(false));
  };
  const still = status === "archived" || status === "deleting";
  const waits = session && (session.status === "running" || session.status === "needs_input");
  return (
    <form class="composer" onSubmit={submit}>
      {session && sessionKey && <Queue sessionKey={sessionKey} session={session} />}
      <textarea ref={field} rows={2} aria-label="Message to the agent" value={text} disabled={still}
        placeholder={still ? "An archived task takes no messages." : "Message to the agent"}
        onInput={event => { write(event.currentTarget.value); store(taskKey, event.currentTarget.value); }}
        onKeyDown={event => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
          if (event.key === "Escape") event.currentTarget.blur();
        }} />
      <div class="row">
        {session && sessionKey && <Pickers sessionKey={sessionKey} session={session} />}
        <span class="grow" />
        {session && session.usage.context_size > 0 && <span class="quiet" title="context that is used">
          {Math.round(100 * session.usage.context_used / session.usage.context_size)} %</span>}
        {session && session.usage.cost > 0 && <span class="quiet" title="cost">{session.usage.cost.toFixed(2)} {session.usage.currency}</span>}
        {stop && <button type="button" onClick={stop} title="Stop the agent (Ctrl+.)">Stop</button>}
        <button class="primary" disabled={!text.trim() || sending || still} title="Ctrl+Enter">{waits ? "Queue" : "Send"}</button>
      </div>
    </form>
  );
}

function Queue({ sessionKey, session }: { sessionKey: string; session: SessionSnapshot }) {
  if (!session.queue.length) return null;
  const move = (prompt: string, position: number) => command(sessionKey, "session.move_prompt", { prompt, position }).catch(tell);
  return (
    <ol class="queue" aria-label="Prompts that wait">{session.queue.map((one, index) => <li>
      <span class="text">{one.text}</span><span class="quiet">{one.by}</span>
      <button type="button" class="plain" aria-label="Earlier" disabled={index === 0} onClick={() => move(one.prompt, index - 1)}>↑</button>
      <button type="button" class="plain" aria-label="Later" disabled={index === session.queue.length - 1} onClick={() => move(one.prompt, index + 1)}>↓</button>
      <button type="button" class="plain" aria-label="Remove" onClick={() => command(sessionKey, "session.remove_prompt", { prompt: one.prompt }).catch(tell)}>×</button>
    </li>)}</ol>
  );
}

interface Choice { id: string; name: string }
const choices = (list: any, name: string): Choice[] =>
  Array.isArray(list) ? list.map(one => ({ id: one.id ?? one[name] ?? one.value, name: one.name ?? one.id ?? one[name] })).filter(one => one.id) : [];

/** Mode and model, as far as the agent offers them. */
function Pickers({ sessionKey, session }: { sessionKey: string; session: SessionSnapshot }) {
  const modes = choices((session.modes as any)?.availableModes, "id"), mode = session.mode ?? (session.modes as any)?.currentModeId;
  const models = choices((session.models as any)?.availableModels, "modelId"), model = session.model ?? (session.models as any)?.currentModelId;
  return <>
    {modes.length > 1 && <select aria-label="Mode" value={mode} onChange={event => command(sessionKey, "session.set_mode", { mode: event.currentTarget.value }).catch(tell)}>
      {modes.map(one => <option value={one.id}>{one.name}</option>)}</select>}
    {models.length > 1 && <select aria-label="Model" value={model} onChange={event => command(sessionKey, "session.set_model", { model: event.currentTarget.value }).catch(tell)}>
      {models.map(one => <option value={one.id}>{one.name}</option>)}</select>}
  </>;
}
