// What the task changed: the files, one file's diff, and comments on its lines that go to the agent as one prompt.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { TaskDiffResult, TaskSnapshot } from "../../client";
import { useActions } from "../keys";
import { command, query } from "../live";
import { SideBySide, Unified, patchLines, type Line } from "../parts/diff";
import { Notice, tell } from "../parts/notice";
import { Numbers, clock, when } from "../parts/words";

interface Comment { path: string; line: number; side: "old" | "new"; code: string; text: string }

export function asPrompt(comments: Comment[]): string {
  return ["Comments on your changes:", ...comments.map(one =>
    `${one.path}:${one.line}${one.side === "old" ? " (a line that you removed)" : ""}\n> ${one.code.trim()}\n\n${one.text}`)].join("\n\n");
}

const marks: Record<string, string> = { added: "A", untracked: "A", modified: "M", deleted: "D", renamed: "R", copied: "C" };

export function Changes({ taskKey, data, session, acts }: { taskKey: string; data: TaskSnapshot; session?: string; acts: boolean }) {
  const [path, choose] = useState<string>(), [comments, comment] = useState<Comment[]>([]), [sides, side] = useState(false);
  const files = data.files, at = Math.max(0, files.findIndex(file => file.path === path)), file = files[at];
  const step = (by: number) => { const next = files[at + by]; if (next) choose(next.path); };
  const refresh = () => void command(taskKey, "task.refresh_diff", {}).catch(tell);
  useActions([
    { key: "]", name: "Next changed file", run: () => step(1) },
    { key: "[", name: "Previous changed file", run: () => step(-1) },
    { key: "s", name: "Diff in one column or two", run: () => side(!sides) },
    ...(acts ? [{ key: "r", name: "Look at the changes again", run: refresh }] : []),
  ]);
  const send = () => command(taskKey, "task.send_message", { text: asPrompt(comments), ...(session && { session }) }).then(() => comment([]), tell);
  return (
    <div class="changes">
      <div class="tools">
        <Numbers diff={data.diff} />
        <span class="quiet">{data.diff.refreshing ? "looking again …" : data.diff.at ? <>as of <time title={when(data.diff.at)}>{clock(data.diff.at)}</time></> : ""}{data.diff.dirty ? ", not committed" : ""}</span>
        <span class="grow" />
        {comments.length > 0 && <button type="button" class="primary" onClick={send}>Send {comments.length} {comments.length === 1 ? "comment" : "comments"} to the agent</button>}
        {files.length > 0 && <button type="button" class="small" aria-pressed={sides} onClick={() => side(!sides)}>Side by side</button>}
        {acts && <button type="button" class="small" onClick={refresh} disabled={data.diff.refreshing}>Look again</button>}
        {acts && data.diff.dirty && <Commit taskKey={taskKey} data={data} />}
        {acts && data.diff.head && <Push taskKey={taskKey} data={data} />}
      </div>
      <Pushed data={data} />
      {data.diff.error && <Notice tone="bad">{data.diff.error}</Notice>}
      {files.length === 0 && <div class="alone"><p class="quiet">{data.diff.at ? "Nothing was changed." : "Nobody has looked yet: changes show after the agent's turn."}</p></div>}
      {file && <div class="split">
        <nav aria-label="Changed files"><ul>{files.map(one => <li>
          <button type="button" class="plain file" aria-current={one.path === file.path ? "true" : undefined} onClick={() => choose(one.path)}>
            <span class={`mark ${one.status}`} title={one.status}>{marks[one.status] ?? "M"}</span>
            <span class="path" title={one.path}><bdi>{one.path}</bdi></span><span class="numbers"><span class="add">+{one.additions}</span> <span class="del">−{one.deletions}</span></span>
          </button></li>)}</ul></nav>
        <FileDiff key={file.path} taskKey={taskKey} path={file.path} at={data.diff.at} sides={sides} acts={acts}
          comments={comments.filter(one => one.path === file.path)}
          add={one => comment(all => [...all, one])} remove={one => comment(all => all.filter(other => other !== one))} />
      </div>}
    </div>
  );
}

interface FileShown {
  taskKey: string; path: string; at?: number; sides: boolean; acts: boolean;
  comments: Comment[]; add(comment: Comment): void; remove(comment: Comment): void;
}

function FileDiff({ taskKey, path, at, sides, acts, comments, add, remove }: FileShown) {
  const [found, find] = useState<TaskDiffResult["files"][number] | null>(), [failure, fail] = useState<string>(), [on, write] = useState<Line>();
  useEffect(() => {
    let here = true;
    query(taskKey, "task.diff", { path }).then(
      diff => { if (here) { find(diff.files.find(file => file.path === path) ?? null); fail(undefined); } },
      why => { if (here) fail(why.message); });
    return () => { here = false; };
  }, [taskKey, path, at]);
  const lines = useMemo(() => found ? patchLines(found.diff) : [], [found]);
  const number = (line: Line) => line.new ?? line.old ?? 0;
  const below = (line: Line) => {
    const here = comments.filter(one => one.line === number(line) && (one.side === "old") === (line.new === undefined));
    if (!here.length && on !== line) return null;
    return <tr class="comments"><td colSpan={4}>
      {here.map(one => <p class="comment"><span class="text">{one.text}</span>
        <button type="button" class="plain" aria-label="Remove the comment" onClick={() => remove(one)}>×</button></p>)}
      {on === line && <CommentField line={number(line)} done={text => {
        if (text) add({ path, line: number(line), side: line.new === undefined ? "old" : "new", code: line.text, text });
        write(undefined);
      }} />}
    </td></tr>;
  };
  if (failure) return <Notice tone="bad">The diff could not be read: {failure}</Notice>;
  if (found === undefined) return <p class="quiet" aria-busy="true">Loading …</p>;
  if (found === null) return <p class="quiet">This file is as it was.</p>;
  const shown = { lines, path, label: `Diff of ${path}`, onLine: acts ? write : undefined, below };
  return (
    <section class="filediff" aria-label={path}>
      <h2 class="mono">{found.old_path && found.old_path !== path ? `${found.old_path} → ` : ""}{path}</h2>
      {found.binary ? <p class="quiet">A binary file: there is nothing to show line by line.</p>
        : lines.length === 0 ? <p class="quiet">{found.cut ? "The diff is too long to keep: look at the branch itself." : "No line was changed."}</p>
          : sides ? <SideBySide {...shown} /> : <Unified {...shown} />}
      {found.cut && lines.length > 0 && <p class="quiet">The rest is too long to keep: look at the branch itself.</p>}
    </section>
  );
}

function CommentField({ line, done }: { line: number; done: (text?: string) => void }) {
  const [text, write] = useState("");
  return (
    <form class="comment" onSubmit={event => { event.preventDefault(); done(text.trim()); }}>
      <textarea autoFocus rows={2} aria-label={`Comment on line ${line}`} placeholder="What should be different here?" value={text}
        onInput={event => write(event.currentTarget.value)}
        onKeyDown={event => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); done(text.trim()); }
          if (event.key === "Escape") done();
        }} />
      <div class="row"><button class="primary" disabled={!text.trim()}>Add</button><button type="button" onClick={() => done()}>Cancel</button></div>
    </form>
  );
}

function Commit({ taskKey, data }: { taskKey: string; data: TaskSnapshot }) {
  const [message, write] = useState<string>();
  const running = data.operations.some(one => one.what === "commit" && one.state === "running");
  const failed = data.operations.find(one => one.what === "commit");
  if (message === undefined) return <>
    {failed?.state === "failed" && <span class="bad">{failed.error}</span>}
    <button type="button" class="small" disabled={running} onClick={() => write(data.title)}>{running ? "Committing …" : "Commit …"}</button></>;
  return (
    <form class="row" onSubmit={event => {
      event.preventDefault();
      command(taskKey, "task.commit", { message }).then(() => write(undefined), tell);
    }}>
      <input autoFocus aria-label="Message of the commit" value={message} onInput={event => write(event.currentTarget.value)}
        onKeyDown={event => { if (event.key === "Escape") write(undefined); }} />
      <button class="primary" disabled={!message.trim()}>Commit</button>
    </form>
  );
}

const newestPush = (data: TaskSnapshot) => data.operations.find(one => one.what === "push");  // the newest comes first

function Push({ taskKey, data }: { taskKey: string; data: TaskSnapshot }) {
  const running = newestPush(data)?.state === "running", there = data.pushed?.commit === data.diff.head || data.diff.head === data.diff.base;
  return <button type="button" class="small" disabled={running || there} onClick={() => void command(taskKey, "task.push", {}).catch(tell)}
    title={there ? "the remote has all that is committed" : `${data.branch}, with your credential${data.diff.dirty ? "; what is not committed stays here" : ""}`}>
    {running ? "Pushing …" : "Push"}</button>;
}

/** How the newest push went: what the remote has, or its words and what to do. */
function Pushed({ data }: { data: TaskSnapshot }) {
  const newest = newestPush(data), { pushed } = data;
  if (newest?.state === "failed") return <Notice tone="bad">The push did not go through: {newest.error}</Notice>;
  if (!pushed) return null;
  return <p class="quiet">The remote has <span class="mono">{pushed.commit.slice(0, 12)}</span>, pushed by {pushed.by}.{" "}
    {pushed.link?.startsWith("https://") && <a href={pushed.link} rel="noreferrer" target="_blank">Open a pull request</a>}</p>;
}
