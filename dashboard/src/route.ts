// Where in the dashboard one is: the part of the address behind #.
import { useEffect, useState } from "preact/hooks";

export const tabs = ["transcript", "changes", "files", "terminal", "processes", "timeline", "details"] as const;
export type Tab = typeof tabs[number];
export type Route =
  | { view: "tasks" | "needs" | "new" | "activity" | "settings" | "you"; org?: string }
  | { view: "task"; org: string; task: string; session?: string; tab: Tab }
  | { view: "inspector"; org?: string; key?: string };

const encode = (parts: (string | undefined)[]) => "#/" + parts.filter(part => part !== undefined).map(part => encodeURIComponent(part!)).join("/");

export function address(route: Route): string {
  switch (route.view) {
    case "tasks": return encode([route.org]);
    case "task": return encode([route.org, "task", route.task,
      ...(route.session ? ["session", route.session] : []), route.tab === "transcript" ? undefined : route.tab]);
    case "inspector": return encode([route.org ?? "-", "inspector", route.key]);
    default: return encode([route.org, route.view]);
  }
}

export function parse(hash: string): Route {
  let parts: string[];
  try {
    parts = hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = [];
  }
  const [org, view, ...rest] = parts;
  if (!org) return { view: "tasks" };
  switch (view) {
    case "task": {
      const [task, ...more] = rest;
      if (!task) return { view: "tasks", org };
      const session = more[0] === "session" ? more[1] : undefined;
      const tab = tabs.find(one => one === (session ? more[2] : more[0])) ?? "transcript";
      return { view: "task", org, task, session, tab };
    }
    case "inspector": return { view: "inspector", org: org === "-" ? undefined : org, key: rest[0] };
    case "needs": case "new": case "activity": case "settings": case "you": return { view, org };
    default: return { view: "tasks", org };
  }
}

export const go = (route: Route) => { location.hash = address(route); };

export function useRoute(): Route {
  const [route, change] = useState(() => parse(location.hash));
  useEffect(() => {
    const changed = () => change(parse(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}
