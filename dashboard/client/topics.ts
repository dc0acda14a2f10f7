// What is subscribed to: where each stands, and what its next question to the server is.
import type { Entries, Entry, Gone, Patch, Problem, Reset, Revision, Snapshot } from "./frames.js";
import { patched } from "./patch.js";

export type SubscriptionState =
  | { is: "connecting" }
  | { is: "live" }
  /** What was shown last was true at `since`. */
  | { is: "stale"; since: number }
  | { is: "error"; error: Problem };

export interface Subscription {
  readonly state: SubscriptionState;
  dispose(): void;
}

type TopicFrame = Snapshot | Patch | Entries | Reset | Gone;

export abstract class Topic {
  state: SubscriptionState = { is: "connecting" };
  /** The subscribe that is not answered yet; streams hear nothing before, as it may be meant for an earlier reader. */
  asked?: string;
  private refusals = 0;
  private readonly made = Date.now();

  constructor(readonly name: string) {}

  abstract question(): object;
  abstract take(frame: TopicFrame): "ask again" | void;
  protected abstract tell(): void;

  change(state: SubscriptionState): void {
    if (state.is === "stale" && this.state.is !== "live") return;
    this.state = state;
    this.tell();
  }

  answered(): void {
    this.asked = undefined;
    this.refusals = 0;
  }

  /** A parent may name a child that is not made yet: this long "not found" is not believed, and asked again soon. */
  get young(): boolean { return Date.now() - this.made < 2000; }

  /** How often it was refused since it was last answered, which says how long to wait. */
  refused(): number { return this.refusals++; }
}

export interface SnapshotListener<T> {
  onSnapshot(data: T, at: Revision): void;
  onState?(state: SubscriptionState): void;
}

/** One actor's snapshot, for any number of listeners. */
export class SnapshotTopic extends Topic {
  readonly listeners = new Set<SnapshotListener<any>>();
  private newest?: Snapshot;

  question(): object {
    const have = this.newest && { incarnation: this.newest.incarnation, revision: this.newest.revision };
    return { op: "subscribe", topic: this.name, mode: "patch", ...(have && { have }) };
  }

  override answered(): void {
    super.answered();
    // What we have is the current one, or the current one comes.
    if (this.newest) this.change({ is: "live" });
  }

  take(frame: TopicFrame): "ask again" | void {
    if (frame.op === "gone") return this.change(gone(frame));
    if (frame.op === "patch") {
      const data = this.newest && patched(this.newest, frame);
      // What does not fit together is asked for whole.
      this.newest = data === undefined ? undefined : { ...frame, op: "snapshot", data };
      if (!this.newest) return "ask again";
    } else if (frame.op === "snapshot") {
      this.newest = frame;
    } else {
      return;
    }
    if (this.state.is !== "live") this.change({ is: "live" });
    for (const one of [...this.listeners]) one.onSnapshot(this.newest.data, this.newest);
  }

  add(listener: SnapshotListener<any>): void {
    this.listeners.add(listener);
    if (this.newest) listener.onSnapshot(this.newest.data, this.newest);
  }

  protected tell(): void { for (const one of [...this.listeners]) one.onState?.(this.state); }
}

export interface StreamListener<T> {
  /** `end`: the last entry that the server has, so that `entries` are the live end when they reach it. */
  onEntries(entries: Entry<T>[], end: number): void;
  /** What came so far does not connect to what comes next, which begins at `first`: begin anew. */
  onReset?(first: number): void;
  onState?(state: SubscriptionState): void;
}

/** One reader of a stream: each entry once and in order, whatever happens to connections in between. */
export class StreamTopic extends Topic {
  private incarnation?: string;

  constructor(name: string, private cursor: number, private readonly extra: object,
    private readonly listener: StreamListener<any>) { super(name); }

  question(): object { return { op: "subscribe", topic: this.name, after: this.cursor, ...this.extra }; }

  override answered(): void {
    super.answered();
    this.change({ is: "live" });
  }

  take(frame: TopicFrame): "ask again" | void {
    if (frame.op === "gone") return this.change(gone(frame));
    if (this.asked) return;
    if (frame.op === "reset") return this.restart(frame.first - 1, frame.incarnation);
    if (frame.op !== "entries") return;
    if (this.incarnation && frame.incarnation && frame.incarnation !== this.incarnation) {
      // Another life of the actor: its numbers mean other entries.
      this.restart(0, frame.incarnation);
      return "ask again";
    }
    this.incarnation = frame.incarnation ?? this.incarnation;
    if (frame.last <= this.cursor) return;
    if (frame.after !== this.cursor) return "ask again";
    this.cursor = frame.last;
    this.listener.onEntries(frame.entries as Entry<any>[], frame.end);
  }

  private restart(cursor: number, incarnation?: string): void {
    this.cursor = cursor;
    this.incarnation = incarnation;
    this.listener.onReset?.(cursor + 1);
  }

  protected tell(): void { this.listener.onState?.(this.state); }
}

function gone(frame: Gone): SubscriptionState {
  return { is: "error", error: { status: 404, code: frame.reason, detail: `${frame.topic} is gone: ${frame.reason}` } };
}
