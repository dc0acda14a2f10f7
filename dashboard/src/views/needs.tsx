// What waits for a person, across all tasks: permissions to answer, errors to mend, finished work to look at.
import type { OrganizationSnapshot, SessionSnapshot } from "../../client";
import { useSnapshot } from "../live";
import { BellSwitch } from "../parts/bell";
import { Ago, Numbers, Status } from "../parts/words";
import { address } from "../route";
import type { Summary } from "../tasks";
import { Permissions } from "./permissions";

const finished = (data: OrganizationSnapshot): Summary[] => data.tasks.filter(task => task.status === "idle" && task.diff.files > 0);

export function NeedsYou({ org, data, acts }: { org: string; data?: OrganizationSnapshot; acts: boolean }) {
  if (!data) return <div class="alone" aria-busy="true"><p class="quiet">Loading …</p></div>;
  const asks = data.tasks.filter(task => task.status === "needs_input"), errors = data.tasks.filter(task => task.status === "error");
  const done = finished(data);
  return (
    <div class="page">
      <div class="tools"><h1>Needs you</h1><span class="grow" /><BellSwitch /></div>
      {!asks.length && !errors.length && <p class="quiet">Nothing waits for an answer.</p>}
      {asks.length > 0 && <section aria-label="Questions"><h2>Questions</h2>{asks.map(task => <div class="card" key={task.task}><Line org={org} task={task} />
        {task.sessions.filter(one => one.pending_permissions > 0).map(one =>
          <Asked key={one.session} sessionKey={`org/${org}/task/${task.task}/session/${one.session}`} acts={acts} />)}</div>)}</section>}
      {errors.length > 0 && <section aria-label="Errors"><h2>Errors</h2>{errors.map(task =>
        <div class="card" key={task.task}><Line org={org} task={task} /><p class="bad">{task.error}</p></div>)}</section>}
      {done.length > 0 && <section aria-label="Finished work"><h2>Finished work</h2>{done.map(task => <div class="card" key={task.task}><Line org={org} task={task} /></div>)}</section>}
      {data.task_count > data.tasks.length && <p class="quiet">Of the {data.tasks.length} tasks that changed last.</p>}
    </div>
  );
}

function Line({ org, task }: { org: string; task: Summary }) {
  return <p class="facts"><a href={address({ view: "task", org, task: task.task, tab: task.status === "idle" ? "changes" : "transcript" })}>{task.title}</a>
    <Status status={task.status} /><span>{task.repository}</span><Numbers diff={task.diff} /><span class="grow" /><Ago at={task.updated_at} /></p>;
}

function Asked({ sessionKey, acts }: { sessionKey: string; acts: boolean }) {
  const { data } = useSnapshot<SessionSnapshot>(sessionKey);
  return data ? <Permissions sessionKey={sessionKey} session={data} acts={acts} /> : null;
}
