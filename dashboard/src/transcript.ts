// Entries of a transcript as blocks to show: chunks of one message join, updates of a tool call change what is there.
import type { Entry, SessionTranscriptEntry } from "../client";
import type { Reader } from "./live";

export interface ToolCall {
  toolCallId: string;
  title?: string;
  kind?: string;
  status?: string;
  content?: any[];
  locations?: { path: string; line?: number }[];
  rawInput?: any;
  rawOutput?: any;
}

export type Block = { key: number; time: number; version: number } & (
  | { is: "prompt"; by: string; text: string; guard?: number }
  | { is: "message" | "thought"; id?: string; text: string }
  | { is: "tool"; call: ToolCall; ended?: number; closedBy?: string }
  | { is: "plan"; entries: { content: string; status: string }[] }
  | { is: "permission"; permission: string; title: string; answer?: string; by?: string }
  | { is: "turn"; reason: string; ms: number; error?: string }
  | { is: "note"; text: string; tone?: "bad" | "warn" }
  | { is: "stub"; seq: number; size: number });

export function blockText(block: any): string {
  if (!block) return "";
  if (block.type === "text") return block.text ?? "";
  if (block.type === "resource") return block.resource?.text ?? `[${block.resource?.uri ?? "resource"}]`;
  return block.uri ? `[${block.uri}]` : `[${block.type}]`;
}

export class Transcript implements Reader<SessionTranscriptEntry> {
  blocks: Block[] = [];
  /** The last entry read and the last that there is. */
  last = 0;
  end = 0;
  private calls = new Map<string, Extract<Block, { is: "tool" }>>();
  private asked = new Map<string, Extract<Block, { is: "permission" }>>();

  onReset(): void {
    this.blocks = [];
    this.calls.clear();
    this.asked.clear();
  }

  onEntries(entries: Entry<SessionTranscriptEntry>[], end: number): void {
    for (const entry of entries) this.take(entry);
    this.end = end;
  }

  /** Blocks are objects that change in place; their version says that they did. */
  take(entry: Entry<SessionTranscriptEntry>): void {
    this.last = entry.seq;
    const data = entry.data as any, at = { key: entry.seq, time: entry.time, version: 0 };
    if (data.stub) return this.add({ ...at, is: "stub", seq: entry.seq, size: data.size });
    switch (data.type) {
      case "prompt":
        return this.add({ ...at, is: "prompt", by: data.by, guard: data.guard, text: data.content.map(blockText).join("\n") });
      case "update": return this.update(at, data);
      case "permission_requested": {
        const title = data.request?.toolCall?.title || "The agent asks for a permission";
        const block = { ...at, is: "permission" as const, permission: data.permission, title };
        this.asked.set(data.permission, block);
        return this.add(block);
      }
      case "permission_answered": {
        const block = this.asked.get(data.permission);
        if (!block) return;
        block.answer = data.answer;
        block.by = data.by;
        block.version++;
        return;
      }
      case "turn_ended":
        return this.add({ ...at, is: "turn", reason: data.stop_reason, ms: data.duration_ms, error: data.error?.message });
      case "error": return this.note(at, data.message, "bad");
      case "agent_started":
        if (data.how !== "new") this.note(at, `${data.agent} started again (${data.how})`);
        return;
      case "agent_exited": return this.note(at, `the agent ended: ${words(data.message)}`, "bad");
      case "agent_output": return this.note(at, `the agent said: ${words(data.message)}`, "warn");
      case "gap": return this.note(at, `${data.missing} messages are missing here`, "warn");
      case "setting": return this.note(at, `${data.what} is now ${data.value}`);
      case "closed": return this.note(at, `closed by ${data.by}`);
      default: return this.note(at, words(data));
    }
  }

  private add(block: Block): void { this.blocks.push(block); }

  private note(at: { key: number; time: number; version: number }, text: string, tone?: "bad" | "warn"): void {
    this.add({ ...at, is: "note", text, tone });
  }

  private update(at: { key: number; time: number; version: number }, data: any): void {
    const { update } = data;
    switch (update.sessionUpdate) {
      case "agent_message_chunk": return this.chunk(at, "message", update);
      case "agent_thought_chunk": return this.chunk(at, "thought", update);
      case "user_message_chunk": return this.add({ ...at, is: "prompt", by: "you", text: blockText(update.content) });
      case "tool_call": case "tool_call_update": return this.tool(at, update, data.closed_by);
      case "plan": {
        const last = this.blocks.at(-1);
        // An agent sends the whole plan each time: one that nothing stands behind yet is replaced.
        if (last?.is === "plan") {
          last.entries = update.entries ?? [];
          last.version++;
        } else {
          this.add({ ...at, is: "plan", entries: update.entries ?? [] });
        }
        return;
      }
      case "current_mode_update": return this.note(at, `mode is now ${update.currentModeId}`);
      default: return;
    }
  }

  private chunk(at: { key: number; time: number; version: number }, is: "message" | "thought", update: any): void {
    const last = this.blocks.at(-1), text = blockText(update.content);
    if (last?.is === is && last.id === update.messageId) {
      last.text += text;
      last.version++;
    } else {
      this.add({ ...at, is, id: update.messageId, text });
    }
  }

  private tool(at: { key: number; time: number; version: number }, update: any, closedBy?: string): void {
    let block = this.calls.get(update.toolCallId);
    if (!block) {
      block = { ...at, is: "tool", call: { toolCallId: update.toolCallId } };
      this.calls.set(update.toolCallId, block);
      this.add(block);
    }
    for (const [name, value] of Object.entries(update)) {
      if (value !== null && value !== undefined && name !== "sessionUpdate") (block.call as any)[name] = value;
    }
    if (block.call.status === "completed" || block.call.status === "failed") block.ended ??= at.time;
    block.closedBy = closedBy ?? block.closedBy;
    block.version++;
  }
}

const words = (value: any): string => typeof value === "string" ? value : JSON.stringify(value);
