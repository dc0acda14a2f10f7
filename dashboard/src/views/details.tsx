// What else there is to know of a task: its making, its sandbox and what that enforces, usage, operations, and its end.
import { useState } from "preact/hooks";
import type { SessionSnapshot, TaskSnapshot } from "../../client";
import { command, query } from "../live";
import { tell } from "../parts/notice";
import { Status, took, when } from "../parts/words";
import { address, go } from "../route";
import { Plan } from "./transcript";

interface Shown { org: string; taskKey: string; data: TaskSnapshot; session?: SessionSnapshot; acts: boolean }

export function Details({ org, taskKey, data, session, acts }: Shown) {
  const [log, keep] = useState<{ step: string; text: string }>();
  const task = taskKey.split("/").at(-1)!;
  const show = (step: "setup") => query(taskKey, "task.step_log", { step }).then(found => keep({ step, text: found.log }), tell);
  const remove = () => {
    if (confirm("Delete the task, its sandbox and what is not pushed?"))
      command(`org/${org}`, "org.delete_task", { task, discard: true }).then(() => go({ view: "tasks", org }), tell);
  };
  return (
    <div class="details">
      {data.description && <section><h2>Description</h2><p class="text">{data.description}</p></section>}
      {session && session.plan.length > 0 && <section class="plan"><h2>Plan</h2><Plan entries={session.plan} /></section>}
      <section><h2>Getting ready</h2>
        <table><tbody>{data.steps.map(step => <tr><td>{step.name}</td><td><Status status={step.state} /></td><td>{step.ms !== undefined && took(step.ms)}</td>
          <td class="text">{step.detail} {step.has_log && <button type="button" class="small" onClick={() => show("setup")}>Output</button>}</td></tr>)}</tbody></table>
        {log && <pre tabIndex={0}>{log.text || "It printed nothing."}</pre>}
      </section>
      <section><h2>Sandbox</h2>
        <p><Status status={data.sandbox.state} /> {data.sandbox.provider} <span class="quiet">{data.sandbox.tier}</span></p>
        <table><tbody>{Object.entries(data.sandbox.items as Record<string, any>).map(([name, item]) =>
          <tr><td>{name.replaceAll("_", " ")}</td><td class={item.state === "enforced" ? "good" : "warn"}>{String(item.state).replaceAll("_", " ")}</td><td>{item.effective}</td><td class="quiet">{item.why}</td></tr>)}</tbody></table>
      </section>
      {session && <section><h2>Use</h2><dl class="facts">
        <div><dt>agent</dt><dd>{session.agent}</dd></div><div><dt>turns</dt><dd>{session.turns}</dd></div>
        <div><dt>tokens</dt><dd>{session.usage.total_tokens.toLocaleString()}</dd></div>
        <div><dt>context</dt><dd>{session.usage.context_used.toLocaleString()} of {session.usage.context_size.toLocaleString()}</dd></div>
        <div><dt>cost</dt><dd>{session.usage.cost.toFixed(4)} {session.usage.currency}</dd></div></dl></section>}
      {data.operations.length > 0 && <section><h2>Operations</h2><table><tbody>{data.operations.map(one =>
        <tr><td>{one.what.replaceAll("_", " ")}</td><td><Status status={one.state} /></td><td>{one.by}</td><td class="bad">{one.error}</td></tr>)}</tbody></table></section>}
      <section><h2>Record</h2><dl class="facts">
        <div><dt>made by</dt><dd>{data.created_by}, {when(data.created_at)}</dd></div><div><dt>base</dt><dd class="mono">{data.base_branch} {data.diff.base?.slice(0, 12)}</dd></div>
        {data.saved_work && <div><dt>saved work</dt><dd class="mono">{data.saved_work.commit.slice(0, 12)}, {when(data.saved_work.at)}</dd></div>}</dl>
        <p><a href={address({ view: "inspector", org, key: taskKey })}>Look into the actor</a></p></section>
      {acts && <section><h2>End</h2><div class="row">
        {data.status === "archived" ? <button type="button" onClick={() => command(taskKey, "task.unarchive", {}).catch(tell)}>Take out of the archive</button>
          : <button type="button" onClick={() => command(taskKey, "task.archive", {}).catch(tell)}>Archive</button>}
        <button type="button" class="danger" onClick={remove}>Delete …</button></div></section>}
    </div>
  );
}
