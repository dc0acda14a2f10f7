// The whole page: who one is, where one is, and whether what is shown is true.
import { useEffect, useState } from "preact/hooks";
import type { OrganizationSnapshot, Principal } from "../client";
import { useActions } from "./keys";
import { connect, hurry, useConnection, useSnapshot } from "./live";
import { useBell } from "./parts/bell";
import { Shortcuts, Palette } from "./parts/palette";
import { Notice, Notices } from "./parts/notice";
import { nextTheme } from "./parts/theme";
import { clock } from "./parts/words";
import { address, go, useRoute, type Route } from "./route";
import { arrive, signOut, type Arrival } from "./session";
import { waiting } from "./tasks";
import { Activity } from "./views/activity";
import { Inspector } from "./views/inspector";
import { NeedsYou } from "./views/needs";
import { NewTask } from "./views/new_task";
import { Settings } from "./views/settings";
import { TaskList } from "./views/task_list";
import { TaskView } from "./views/task";
import { You } from "./views/you";

export function App() {
  const [arrival, set] = useState<Arrival>();
  useEffect(() => {
    let timer = 0;
    const come = async () => {
      const now = await arrive();
      if (now.is === "in") connect();
      if (now.is === "unreachable") timer = window.setTimeout(come, 2000);
      set(now);
    };
    void come();
    return () => clearTimeout(timer);
  }, []);
  if (!arrival) return <main class="alone" aria-busy="true"><p class="quiet">Connecting …</p></main>;
  switch (arrival.is) {
    case "unreachable": return <main class="alone"><h1>Troupe</h1><p role="alert">The server cannot be reached. This page tries again by itself.</p></main>;
    case "out": return <SignedOut why={arrival.why} />;
    case "in": return <Shell principal={arrival.principal} />;
  }
}

function SignedOut({ why }: { why?: string | null }) {
  return (
    <main class="alone">
      <h1>Troupe</h1>
      {why && <p role="alert" class="bad">{why}</p>}
      <p>Open a sign-in link to begin. On the server, this makes one:</p>
      <pre>troupe access link {"<user>"}</pre>
      <p class="quiet">A link works once, within ten minutes. <a href="/">Try again</a> when you have signed in elsewhere in this browser.</p>
    </main>
  );
}

function Connection() {
  const state = useConnection();
  const [, redraw] = useState(0);
  useEffect(() => {
    if (state.is !== "lost") return;
    const timer = setInterval(() => redraw(count => count + 1), 1000);
    return () => clearInterval(timer);
  }, [state.is]);
  if (state.is === "live") return <span class="connection good" role="status"><i aria-hidden="true" />live</span>;
  if (state.is !== "lost") return <span class="connection" role="status"><i aria-hidden="true" />connecting</span>;
  const seconds = Math.max(0, Math.ceil((state.next - Date.now()) / 1000));
  return <span class="connection bad"><i aria-hidden="true" /><span role="status">offline since {clock(state.since)}</span>
    <button type="button" class="small" onClick={hurry}>{seconds > 0 ? `Retry (${seconds} s)` : "Trying …"}</button></span>;
}

const places: { view: "tasks" | "needs" | "activity" | "settings"; name: string; key: string }[] = [
  { view: "tasks", name: "Tasks", key: "t" },
  { view: "needs", name: "Needs you", key: "u" },
  { view: "activity", name: "Activity", key: "a" },
  { view: "settings", name: "Organization", key: "o" },
];

function Shell({ principal: first }: { principal: Principal }) {
  const connection = useConnection(), route = useRoute();
  const [principal, know] = useState(first);
  const [open, show] = useState<"palette" | "shortcuts">();
  useEffect(() => { if (connection.is === "live") know(connection.principal); }, [connection]);
  const names = Object.keys(principal.roles).sort();
  const org = route.org ?? names[0];
  const { data, state } = useSnapshot<OrganizationSnapshot>(org ? `org/${org}` : undefined);
  useBell(org, data);
  const inspects = principal.admin || ["admin", "owner"].includes(principal.roles[org ?? ""] ?? "");
  useActions([
    { key: "?", name: "Show the keys", run: () => show("shortcuts") },
    { key: "Ctrl+K", name: "Do something …", run: () => show("palette") },
    { key: "c", name: "New task", run: () => org && go({ view: "new", org }) },
    ...places.map(({ view, name, key }) => ({ key, name: `Go to ${name}`, run: () => go({ view, org }) })),
    ...(inspects ? [{ key: "i", name: "Go to Inspector", run: () => go({ view: "inspector", org }) }] : []),
    ...names.filter(name => name !== org).map(name => ({ name: `Go to the organization ${name}`, run: () => go({ view: "tasks", org: name }) })),
    { name: "Show where I am signed in", run: () => go({ view: "you", org }) },
    { name: "Switch between dark, light and the system's colours", run: nextTheme },
    { name: "Sign out", run: () => void signOut() },
  ]);
  if (connection.is === "refused") return <SignedOut why="You were signed out." />;
  const asks = data ? waiting(data).length : 0;
  return (
    <div class={`shell at-${route.view}`}>
      <a class="skip" href="#main" onClick={event => { event.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the content</a>
      <header>
        <strong class="name">Troupe</strong>
        {names.length > 1 || (org && !names.includes(org))
          ? <select aria-label="Organization" value={org} onChange={event => go({ view: "tasks", org: event.currentTarget.value })}>
            {[...new Set([...names, ...(org ? [org] : [])])].map(name => <option value={name}>{name}</option>)}</select>
          : <span class="org">{org}</span>}
        {org && <nav aria-label="Views">
          {places.map(({ view, name }) => <a href={address({ view, org })} aria-current={isAt(route, view) ? "page" : undefined}>{name}{" "}
            {view === "needs" && asks > 0 && <span class="count" aria-label={`${asks} waiting`}>{asks}</span>}</a>)}
          {inspects && <a href={address({ view: "inspector", org })} aria-current={route.view === "inspector" ? "page" : undefined}>Inspector</a>}
        </nav>}
        <span class="grow" />
        <Connection />
        <button type="button" class="plain" onClick={() => show("palette")} title="Do something … (Ctrl+K)" aria-label="Do something …">⌘</button>
        <a class="user" href={address({ view: "you", org })} aria-current={route.view === "you" ? "page" : undefined}
          title={`${principal.user}, ${principal.roles[org ?? ""] ?? "no role here"}: where you are signed in`}>{principal.user}</a>
      </header>
      {state.is === "stale" && <p class="stale" role="alert">What you see was true at {clock(state.since)}. The server cannot be reached.</p>}
      {route.view === "you" ? <div class="panes"><main id="main" tabIndex={-1}><You user={principal.user} /></main></div> : !org ? <main class="alone"><h1>No organization yet</h1><p>On the server, this makes one:</p><pre>troupe org create {"<name>"}</pre></main>
        : state.is === "error" ? <main class="alone"><h1>{org}</h1><p role="alert">{state.error.status === 404
          ? "There is no such organization, or you are not a member of it." : state.error.detail}</p></main>
          : <Body route={route} org={org} data={data} role={principal.roles[org] ?? (principal.admin ? "owner" : "viewer")} instance={principal.admin ?? false} />}
      {open === "palette" && <Palette close={() => show(undefined)} />}
      {open === "shortcuts" && <Shortcuts close={() => show(undefined)} />}
      <Notices />
    </div>
  );
}

const isAt = (route: Route, view: string) => route.view === view || (view === "tasks" && (route.view === "task" || route.view === "new"));

function Body({ route, org, data, role, instance }: { route: Route; org: string; data?: OrganizationSnapshot; role: string; instance: boolean }) {
  const acts = role !== "viewer";
  const beside = route.view === "tasks" || route.view === "task" || route.view === "new";
  return (
    <div class="panes">
      {beside && <TaskList key={org} org={org} data={data} current={route.view === "task" ? route.task : undefined} acts={acts} />}
      <main id="main" tabIndex={-1}>
        {data?.warnings.map(warning => <Notice tone="warn">{warning.detail}</Notice>)}
        {route.view === "tasks" && <div class="alone"><p class="quiet">{data && data.task_count === 0
          ? data.repositories.length ? "No task yet." : "No repository yet: add one under Organization, then make a task."
          : "Choose a task."} Press <kbd>?</kbd> for the keys.</p></div>}
        {route.view === "task" && <TaskView key={route.task} org={org} route={route} acts={acts} />}
        {route.view === "new" && <NewTask key={org} org={org} data={data} acts={acts} />}
        {route.view === "needs" && <NeedsYou org={org} data={data} acts={acts} />}
        {route.view === "activity" && <Activity key={org} org={org} />}
        {route.view === "settings" && <Settings org={org} data={data} role={role} instance={instance} />}
        {route.view === "inspector" && <Inspector org={org} actor={route.key} />}
      </main>
    </div>
  );
}
