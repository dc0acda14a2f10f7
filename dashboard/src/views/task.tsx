// One task: what it is, its sessions as tabs, and the transcript, the changes or the details of it.
import { useState } from "preact/hooks";
import type { SessionSnapshot, TaskSnapshot } from "../../client";
import { useActions } from "../keys";
import { command, useSnapshot } from "../live";
import { Notice, tell } from "../parts/notice";
import { Numbers, Status, clock, statusWords, took } from "../parts/words";
import { address, go, type Route, type Tab } from "../route";
import { Changes } from "./changes";
import { Composer } from "./composer";
import { Details } from "./details";
import { Files } from "./files";
import { Permissions } from "./permissions";
import { Processes } from "./processes";
import { Terminals } from "./terminals";
import { TimelineView } from "./timeline";
import { TranscriptView } from "./transcript";

type At = Extract<Route, { view: "task" }>;
const tabs: { tab: Tab; name: string; key: string }[] = [
  { tab: "transcript", name: "Transcript", key: "v" }, { tab: "changes", name: "Changes", key: "d" }, { tab: "files", name: "Files", key: "f" },
  { tab: "terminal", name: "Terminal", key: "x" }, { tab: "processes", name: "Processes", key: "p" }, { tab: "timeline", name: "Timeline", key: "l" },
  { tab: "details", name: "Details", key: "e" },
];

export function TaskView({ org, route, acts }: { org: string; route: At; acts: boolean }) {
  const key = `org/${org}/task/${route.task}`;
  const { data, state } = useSnapshot<TaskSnapshot>(key);
  if (state.is === "error") return <div class="alone"><h1>No such task</h1><p role="alert">{state.error.status === 404
    ? "It was deleted, or never was here." : state.error.detail}</p><a href={address({ view: "tasks", org })}>Back to the tasks</a></div>;
  if (!data) return <div class="alone" aria-busy="true"><p class="quiet">Loading the task …</p></div>;
  return <Task org={org} taskKey={key} data={data} route={route} acts={acts} since={state.is === "stale" ? state.since : undefined} />;
}

function Task({ org, taskKey, data, route, acts, since }: { org: string; taskKey: string; data: TaskSnapshot; route: At; acts: boolean; since?: number }) {
  // The newest session that is open, unless the address names one.
  const chosen = data.sessions.find(one => one.session === route.session)
    ?? [...data.sessions].reverse().find(one => one.status !== "closed") ?? data.sessions.at(-1);
  const sessionKey = chosen && `${taskKey}/session/${chosen.session}`;
  const { data: session } = useSnapshot<SessionSnapshot>(sessionKey);
  const [title, rename] = useState<string>();
  const move = (tab: Tab) => go({ ...route, tab });
  const mayStop = acts && session && (session.status === "running" || session.status === "needs_input" || session.queue.length > 0);
  const stop = () => { if (sessionKey) command(sessionKey, "session.cancel", {}).catch(tell); };
  const begin = () => void command(taskKey, "task.create_session", {}).then(made => go({ ...route, session: made.session, tab: "transcript" }), tell);
  useActions([
    ...tabs.map(({ tab, name, key }) => ({ key, name: `Show ${name.toLowerCase()}`, run: () => move(tab) })),
    ...(mayStop ? [{ key: "Ctrl+.", name: "Stop the agent", run: stop }] : []),
    ...(acts ? [
      { name: "Rename the task", run: () => rename(data.title) },
      ...(data.status === "archived" ? [{ name: "Take the task out of the archive", run: () => void command(taskKey, "task.unarchive", {}).catch(tell) }]
        : [{ name: "Archive the task", run: () => void command(taskKey, "task.archive", {}).catch(tell) }]),
      { name: "New session with an agent", run: begin },
    ] : []),
  ]);
  const save = (event: Event) => {
    event.preventDefault();
    const wanted = title?.trim();
    if (wanted && wanted !== data.title) command(taskKey, "task.rename", { title: wanted }).catch(tell);
    rename(undefined);
  };
  return (
    <article class="task" aria-label={data.title}>
      <div class="head">
        <a class="back button" href={address({ view: "tasks", org })} aria-label="Back to the tasks">‹</a>
        {title === undefined ? <h1>{data.title}</h1> : <form class="rename" onSubmit={save}>
          <input autoFocus aria-label="Title" value={title} maxLength={200} onInput={event => rename(event.currentTarget.value)} onBlur={save} /></form>}
        <p class="facts">
          <span role="status"><Status status={data.status} detail={data.position ? `(place ${data.position})` : undefined} /></span>
          <span class="mono" title="branch">{data.branch}</span><span>{data.repository}</span>
          <Numbers diff={data.diff} /><span title="owner">{data.owner}</span>
          {since !== undefined && <span class="bad">as of {clock(since)}</span>}
        </p>
        {data.error && <Notice tone="bad">{data.error} {acts && data.status === "error" &&
          <button type="button" class="small" onClick={() => command(taskKey, "task.retry", {}).catch(tell)}>Try again</button>}</Notice>}
        <Steps data={data} />
      </div>
      <div class="bar">
        <nav aria-label="Parts of the task">{tabs.map(({ tab, name, key }) =>
          <a href={address({ ...route, tab })} aria-current={route.tab === tab ? "page" : undefined} title={`${name} (${key})`}>{name}{" "}
            {tab === "changes" && data.diff.files > 0 && <span class="count">{data.diff.files}</span>}</a>)}</nav>
        <span class="grow" />
        {data.sessions.length > 1 && <nav aria-label="Sessions" class="sessions">{data.sessions.map(one =>
          <a href={address({ ...route, session: one.session, tab: "transcript" })} aria-current={one.session === chosen?.session ? "true" : undefined}
            title={`${one.agent}: ${statusWords(one.status)}`}>{one.title || one.agent}{one.pending_permissions > 0 && <span class="count">?</span>}</a>)}</nav>}
        {acts && <button type="button" class="small" onClick={begin} title="Another conversation with an agent in this sandbox">New session</button>}
      </div>
      {route.tab === "changes" && <Changes taskKey={taskKey} data={data} session={chosen?.session} acts={acts} />}
      {route.tab === "files" && <Files data={data} acts={acts} />}
      {route.tab === "terminal" && <Terminals data={data} acts={acts} />}
      {route.tab === "processes" && <Processes data={data} acts={acts} />}
      {route.tab === "timeline" && <TimelineView taskKey={taskKey} data={data} />}
      {route.tab === "details" && <Details org={org} taskKey={taskKey} data={data} session={session} acts={acts} />}
      {route.tab === "transcript" && (sessionKey
        ? <TranscriptView key={sessionKey} sessionKey={sessionKey} agent={chosen!.agent} session={session} />
        : <div class="alone"><p class="quiet">No agent has been asked yet.</p></div>)}
      {route.tab === "transcript" && <footer>
        {session && sessionKey && <Permissions sessionKey={sessionKey} session={session} acts={acts} />}
        {acts && <Composer taskKey={taskKey} sessionKey={sessionKey} session={session} status={data.status} stop={mayStop ? stop : undefined} />}
      </footer>}
    </article>
  );
}

const stepWords: Record<string, string> = {
  slot: "wait for a slot", mirror: "mirror the repository", sandbox: "create the sandbox", checkout: "clone and check out",
  restore: "restore saved work", setup: "run the setup command", session: "start the agent", prompt: "send the prompt",
};

/** Shown while the task is made ready, and when that failed. */
function Steps({ data }: { data: TaskSnapshot }) {
  const failed = data.steps.some(step => step.state === "failed");
  if (data.status !== "provisioning" && data.status !== "queued" && !failed) return null;
  return (
    <ol class="steps" aria-label="Getting ready">{data.steps.map(step => <li class={step.state}>
      <i aria-hidden="true">{step.state === "done" ? "✔" : step.state === "failed" ? "✘" : "▸"}</i>
      {stepWords[step.name] ?? step.name} <span class="quiet">{step.state === "running" ? "…" : step.ms === undefined ? "" : took(step.ms)}</span>
      {step.state === "failed" && step.detail && <pre>{step.detail}</pre>}
    </li>)}</ol>
  );
}
