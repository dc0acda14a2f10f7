// The organization's tasks beside whatever is open: filtered as one types, walked with j and k.
import { useRef, useState } from "preact/hooks";
import type { OrganizationSnapshot } from "../../client";
import { useActions } from "../keys";
import { VirtualList } from "../parts/virtual";
import { Ago, Numbers, Status } from "../parts/words";
import { address, go } from "../route";
import { useTasks, type Summary } from "../tasks";

const rowHeight = 52;
const choices = [["", "all"], ["active", "not archived"], ["running", "running"], ["needs_input", "needs you"], ["idle", "idle"], ["error", "error"], ["archived", "archived"]] as const;

const counted = (counts: Record<string, number>, choice: string) => choice === "needs_input" || choice === "idle" ? counts[choice] : undefined;

export function TaskList({ org, data, current, acts }: { org: string; data?: OrganizationSnapshot; current?: string; acts: boolean }) {
  const [text, type] = useState(""), [status, choose] = useState("");
  const search = useRef<HTMLInputElement>(null);
  const { tasks, loading, failure, more, complete } = useTasks(org, data, { text, status });
  const at = tasks.findIndex(task => task.task === current);
  const open = (index: number) => {
    const task = tasks[index];
    if (task) go({ view: "task", org, task: task.task, tab: "transcript" });
  };
  useActions([
    { key: "j", name: "Next task", run: () => open(Math.min(tasks.length - 1, at + 1)) },
    { key: "k", name: "Previous task", run: () => open(Math.max(0, at < 0 ? 0 : at - 1)) },
    { key: "/", name: "Search tasks", run: () => search.current?.focus() },
  ]);
  const found = `${tasks.length}${complete ? "" : "+"} of ${data?.task_count ?? 0}`;
  return (
    <section class="tasks" aria-label="Tasks">
      <div class="tools">
        <input ref={search} type="search" placeholder="Search tasks" aria-label="Search tasks" value={text}
          onInput={event => type(event.currentTarget.value)}
          onKeyDown={event => { if (event.key === "Enter") open(0); if (event.key === "Escape") event.currentTarget.blur(); }} />
        <select aria-label="Status" value={status} onChange={event => choose(event.currentTarget.value)}>
          {choices.map(([value, name]) => {
            const count = data && counted(data.counts, value);
            return <option value={value}>{name}{count ? ` (${count})` : ""}</option>;
          })}
        </select>
        {acts && <a class="button" href={address({ view: "new", org })} title="New task (c)">New</a>}
      </div>
      <p class="found" role="status">{data ? loading ? `${found}, looking …` : found : "Loading …"}</p>
      {failure && <p class="notice bad" role="alert">The list could not be read and is tried again: {failure}</p>}
      {data && !loading && tasks.length === 0 && <p class="quiet empty">{data.task_count ? "No task fits." : "No task yet."}</p>}
      <VirtualList label="Tasks" count={tasks.length} height={rowHeight} current={at} onEnd={more}
        row={index => <Row key={tasks[index]!.task} org={org} task={tasks[index]!} current={index === at} />} />
    </section>
  );
}

function Row({ org, task, current }: { org: string; task: Summary; current: boolean }) {
  const detail = task.status === "queued" && task.position ? `(${task.position})` : task.status === "provisioning" && task.step ? `(${task.step})` : undefined;
  return (
    <li style={{ height: `${rowHeight}px` }}>
      <a href={address({ view: "task", org, task: task.task, tab: "transcript" })} aria-current={current ? "page" : undefined}>
        <span class="title">{task.title}</span>
        <span class="sub"><Status status={task.deleting ? "deleting" : task.status} detail={detail} /><span class="repository">{task.repository}</span>
          <Numbers diff={task.diff} /><span class="grow" /><Ago at={task.updated_at} /></span>
      </a>
    </li>
  );
}
