// A new task: what should be done, where and by whom. The title and branch that it will get show while one types.
import { useEffect, useState } from "preact/hooks";
import type { OrganizationSnapshot, OrgCreateTaskBody, OrgPreviewTaskResult } from "../../client";
import { Refused } from "../../client";
import { command, query } from "../live";
import { Notice } from "../parts/notice";
import { address, go } from "../route";

/** What the server would call it, a moment after the last key. */
function usePreview(org: string, repository: string | undefined, description: string, title: string | undefined) {
  const [preview, show] = useState<OrgPreviewTaskResult>();
  useEffect(() => {
    if (!repository || !description.trim()) return show(undefined);
    let here = true;
    const timer = setTimeout(() => {
      query(`org/${org}`, "org.preview_task", { repository, description, ...(title && { title }) })
        .then(found => { if (here) show(found); }, () => { if (here) show(undefined); });
    }, 150);
    return () => { here = false; clearTimeout(timer); };
  }, [org, repository, description, title]);
  return preview;
}

export function NewTask({ org, data, acts }: { org: string; data?: OrganizationSnapshot; acts: boolean }) {
  const [description, describe] = useState(""), [repository, choose] = useState<string>(), [more, expand] = useState(false);
  const [given, give] = useState<Partial<Record<"title" | "branch" | "base_branch" | "agent" | "model" | "mode", string>>>({});
  const [failure, fail] = useState<string>(), [sending, send] = useState(false);
  const chosen = data?.repositories.find(one => one.repository === repository) ?? data?.repositories[0];
  const preview = usePreview(org, acts ? chosen?.repository : undefined, description, given.title?.trim());
  if (!data) return <div class="alone" aria-busy="true"><p class="quiet">Loading …</p></div>;
  if (!acts) return <div class="alone"><h1>New task</h1><p>Making tasks takes the role member; yours here is viewer.</p></div>;
  const repositories = data.repositories;
  if (!chosen) return <div class="alone"><h1>New task</h1><p>A task works on a repository. <a href={address({ view: "settings", org })}>Add one</a> first.</p></div>;
  const branch = given.branch?.trim() || preview?.branch;
  const submit = (event?: Event) => {
    event?.preventDefault();
    if (!description.trim() || sending) return;
    send(true);
    fail(undefined);
    const extra = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value.trim()]).filter(([, value]) => value));
    const body: OrgCreateTaskBody = { repository: chosen.repository, description: description.trim(), ...extra };
    command(`org/${org}`, "org.create_task", body).then(made => go({ view: "task", org, task: made.task, tab: "transcript" }),
      why => fail(why instanceof Refused ? why.problem.violations?.map(one => `${one.pointer} ${one.detail}`).join("; ") || why.message : String(why)))
      .finally(() => send(false));
  };
  const field = (name: keyof typeof given, label: string, placeholder: string) => <label>{label}
    <input value={given[name] ?? ""} placeholder={placeholder} onInput={event => give({ ...given, [name]: event.currentTarget.value })} /></label>;
  return (
    <form class="page new" onSubmit={submit}>
      <h1>New task</h1>
      <label>What should be done?
        <textarea autoFocus rows={6} required value={description} onInput={event => describe(event.currentTarget.value)}
          onKeyDown={event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event); }} /></label>
      <p class="preview" aria-live="polite">{preview ? <><strong>{preview.title}</strong> <span class="mono">{branch}</span></> : <span class="quiet">The title and the branch show here.</span>}</p>
      <label>Repository
        <select value={chosen.repository} onChange={event => choose(event.currentTarget.value)}>{repositories.map(one =>
          <option value={one.repository} disabled={one.state === "error"}>{one.repository}{one.state === "ready" ? "" : ` (${one.state})`}</option>)}</select></label>
      {more ? <div class="columns">
        {field("title", "Title", preview?.title ?? "from the description")}
        {field("branch", "Branch", preview?.branch ?? "from the title")}
        {field("base_branch", "Base branch", chosen.base_branch ?? chosen.default_branch ?? "the repository's")}
        {field("agent", "Agent", data.settings.default_agent)}
        {field("model", "Model", data.settings.default_model ?? "the agent's")}
        {field("mode", "Mode", data.settings.default_mode ?? "the agent's")}
      </div> : <p><button type="button" class="small" onClick={() => expand(true)}>Title, branch, agent, model …</button></p>}
      {failure && <Notice tone="bad">{failure}</Notice>}
      <div class="row"><button class="primary" disabled={!description.trim() || sending} title="Ctrl+Enter">Create</button>
        <a class="button" href={address({ view: "tasks", org })}>Cancel</a></div>
    </form>
  );
}
