// The tasks of an organization as one list: pages of a query, kept true by the snapshot, which has the 200 that changed last.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { OrganizationSnapshot, OrgListTasksResult } from "../client";
import { query } from "./live";

export type Summary = OrganizationSnapshot["tasks"][number];
export interface Filter { text: string; status: string }

/** What the choices of the list stand for. */
export const statuses: Record<string, string[]> = {
  active: ["queued", "provisioning", "running", "needs_input", "idle", "error"],
  running: ["queued", "provisioning", "running"],
  needs_input: ["needs_input"],
  idle: ["idle"],
  error: ["error", "killed"],
  archived: ["archiving", "archived"],
};

/** What cannot go on without somebody. */
export const waiting = (data: OrganizationSnapshot): Summary[] => data.tasks.filter(task => task.status === "needs_input" || task.status === "error");

const pageSize = 100, pause = 150, retry = 2000;

function fits(task: Summary, { text, status }: Filter): boolean {
  const wanted = statuses[status];
  if (wanted && !wanted.includes(task.status)) return false;
  const low = text.trim().toLowerCase();
  return !low || [task.title, task.branch, task.repository, task.owner].some(value => value.toLowerCase().includes(low));
}

export function useTasks(org: string, data: OrganizationSnapshot | undefined, filter: Filter) {
  const [pages, keep] = useState<Summary[]>([]);
  const [next, follow] = useState<string | null>(null);
  const [loading, load] = useState(false);
  const [failure, fail] = useState<string>();
  // What an older filter asked for is not heard any more.
  const asked = useRef(0);
  const complete = !!data && data.task_count <= data.tasks.length;

  const more = async (cursor: string | null) => {
    const mine = ++asked.current;
    load(true);
    fail(undefined);
    const wanted = statuses[filter.status], text = filter.text.trim();
    try {
      // A page with a filter may be empty and yet have a next one.
      for (let at = cursor, found = 0; found === 0;) {
        const page: OrgListTasksResult = await query(`org/${org}`, "org.list_tasks", {
          limit: pageSize, sort: "updated", order: "descending",
          ...(wanted && { status: wanted }), ...(text && { text }), ...(at && { cursor: at }),
        });
        if (mine !== asked.current) return;
        found = page.tasks.length;
        keep(before => cursor ? [...before, ...page.tasks] : page.tasks);
        follow(at = page.next);
        if (!at) break;
      }
    } catch (why) {
      if (mine !== asked.current) return;
      fail(why instanceof Error ? why.message : String(why));
      setTimeout(() => { if (mine === asked.current) void more(cursor); }, retry);
    } finally {
      if (mine === asked.current) load(false);
    }
  };

  const known = !!data;
  useEffect(() => {
    if (!known) return;
    keep([]);
    follow(null);
    asked.current++;
    if (complete) return load(false);
    const timer = setTimeout(() => void more(null), pause);
    return () => { clearTimeout(timer); asked.current++; };
  }, [org, known, complete, filter.text, filter.status]);

  const tasks = useMemo(() => {
    if (!data) return [];
    const all = new Map<string, Summary>();
    // What changed since the oldest of the snapshot's tasks and is not in it has gone.
    const oldest = complete ? 0 : Math.min(...data.tasks.map(task => task.updated_at));
    if (!complete) for (const task of pages) if (task.updated_at <= oldest) all.set(task.task, task);
    for (const task of data.tasks) all.set(task.task, task);
    return [...all.values()].filter(task => fits(task, filter))
      .sort((a, b) => b.updated_at - a.updated_at || (a.task < b.task ? 1 : -1));
  }, [data, pages, complete, filter.text, filter.status]);

  return { tasks, loading, failure, more: next && !loading ? () => void more(next) : undefined, complete: complete || (!next && !loading) };
}
