// How states, times and sizes are said.
import { useEffect, useState } from "preact/hooks";

const tones: Record<string, string> = {
  running: "busy", provisioning: "busy", starting: "busy", archiving: "busy", deleting: "busy", checking: "busy", in_progress: "busy",
  needs_input: "asks", queued: "waits", pending: "waits", error: "bad", failed: "bad", killed: "bad", lost: "bad",
  idle: "good", ready: "good", completed: "good", done: "good", archived: "quiet", closed: "quiet",
};
const said: Record<string, string> = { needs_input: "needs you" };

export const statusWords = (status: string) => said[status] ?? status.replaceAll("_", " ");

export function Status({ status, detail }: { status: string; detail?: string }) {
  return <span class={`status ${tones[status] ?? "quiet"}`}><i aria-hidden="true" />{statusWords(status)}{detail && <> {detail}</>}</span>;
}

export function Numbers({ diff }: { diff: { files: number; additions: number; deletions: number } }) {
  if (!diff.files) return null;
  return <span class="numbers" title={`${diff.files} changed files`}>
    <span class="add">+{diff.additions}</span> <span class="del">−{diff.deletions}</span></span>;
}

export function took(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60 ? `${minutes} min ${Math.round((ms % 60_000) / 1000)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const bytes = (count: number) => count < 1024 ? `${count} B` : count < 1024 * 1024 ? `${Math.round(count / 1024)} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`;

export const clock = (ms: number) => new Date(ms).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const when = (ms: number) => new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });

function ago(ms: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1000));
  if (seconds < 60) return "now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** How long ago, kept true while it is shown. */
export function Ago({ at }: { at: number }) {
  const [, redraw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => redraw(count => count + 1), 30_000);
    return () => clearInterval(timer);
  }, []);
  return <time dateTime={new Date(at).toISOString()} title={when(at)}>{ago(at)}</time>;
}
