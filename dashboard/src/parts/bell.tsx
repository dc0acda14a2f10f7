// The desktop bell: a notification of this computer when something begins to wait for a person. Off until somebody turns it
// on in this browser; silent while the page itself is looked at.
import { useEffect, useRef, useState } from "preact/hooks";
import type { OrganizationSnapshot } from "../../client";
import { address } from "../route";
import { waiting } from "../tasks";

const name = "troupe bell";

function isOn(): boolean {
  try {
    return localStorage.getItem(name) === "on" && "Notification" in window && Notification.permission === "granted";
  } catch {
    return false;
  }
}

function remember(on: boolean): void {
  try {
    localStorage.setItem(name, on ? "on" : "off");
  } catch {
    // A browser that stores nothing forgets it with the page.
  }
}

/** Rings for what waits now and did not in the snapshot before. */
export function useBell(org: string | undefined, data: OrganizationSnapshot | undefined): void {
  const before = useRef<Set<string> | undefined>(undefined);
  useEffect(() => { before.current = undefined; }, [org]);
  useEffect(() => {
    if (!data || !org) return;
    const now = waiting(data), known = before.current;
    before.current = new Set(now.map(task => `${task.task} ${task.status}`));
    if (!known || !isOn() || document.hasFocus()) return;
    for (const task of now.filter(one => !known.has(`${one.task} ${one.status}`))) {
      const shown = new Notification(task.status === "error" ? "A task failed" : "An agent asks", { body: task.title, tag: `${org}/${task.task}` });
      shown.onclick = () => {
        window.focus();
        location.hash = address({ view: "task", org, task: task.task, tab: "transcript" });
        shown.close();
      };
    }
  }, [org, data]);
}

export function BellSwitch() {
  const [on, turn] = useState(isOn), [refused, refuse] = useState(false);
  if (!("Notification" in window)) return null;
  const change = async (wanted: boolean) => {
    const allowed = !wanted || await Notification.requestPermission() === "granted";
    refuse(!allowed);
    remember(wanted && allowed);
    turn(isOn());
  };
  return <p class="row"><label class="check"><input type="checkbox" checked={on} onChange={event => void change(event.currentTarget.checked)} />
    Tell me on the desktop when something waits</label>
    {refused && <span class="warn" role="alert">This browser does not let the page: allow notifications in the settings of the site.</span>}</p>;
}
