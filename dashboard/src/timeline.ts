// What happened in a session when: turns as spans, waiting for people as spans, prompts as moments.
import type { Entry, SessionTranscriptEntry } from "../client";
import type { Reader } from "./live";
import { blockText } from "./transcript";

export interface Span { is: "turn" | "wait" | "step"; from: number; to?: number; words: string; bad?: boolean }
export interface Moment { at: number; by: string; words: string }

const longest = 120;
const cut = (text: string) => text.length > longest ? `${text.slice(0, longest)}…` : text;

export class Timeline implements Reader<SessionTranscriptEntry> {
  spans: Span[] = [];
  moments: Moment[] = [];
  last = 0;
  private waits = new Map<string, Span>();

  onReset(): void {
    this.spans = [];
    this.moments = [];
    this.waits.clear();
  }

  onEntries(entries: Entry<SessionTranscriptEntry>[]): void {
    for (const { time, data } of entries as Entry<any>[]) {
      this.last = Math.max(this.last, time);
      if (data.type === "prompt") this.moments.push({ at: time, by: data.by, words: cut(data.content.map(blockText).join(" ")) });
      if (data.type === "turn_ended")
        this.spans.push({ is: "turn", from: time - data.duration_ms, to: time, words: data.error?.message ?? data.stop_reason.replaceAll("_", " "), bad: Boolean(data.error) });
      if (data.type === "permission_requested") {
        const span: Span = { is: "wait", from: time, words: cut(data.request?.toolCall?.title || "a permission") };
        this.waits.set(data.permission, span);
        this.spans.push(span);
      }
      const asked = data.type === "permission_answered" && this.waits.get(data.permission);
      if (asked) {
        asked.to = time;
        asked.words += `: ${String(data.answer).replaceAll("_", " ")}${data.by ? ` by ${data.by}` : ""}`;
      }
    }
  }
}
