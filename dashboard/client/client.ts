// The client of a Troupe server: subscriptions that say how true they are, and commands that are applied once.
import type { Messages } from "./contract.js";
import { Connection, pauseBefore, type ConnectionState, type Socket } from "./connection.js";
import type { Frame, Reply } from "./frames.js";
import { passing, Requests } from "./requests.js";
import { SnapshotTopic, StreamTopic, type SnapshotListener, type StreamListener, type Subscription, type Topic } from "./topics.js";

export interface ClientOptions {
  /** The server's address, http or https; in a browser the page's own. */
  url?: string;
  /** Makes a socket; a program adds its token here. Without it, the browser's WebSocket and its cookie. */
  open?(url: string, protocol: string): Socket;
  /** Asked when a connection could not be made: false ends the attempts. */
  welcome?(): Promise<boolean>;
  onState?(state: ConnectionState): void;
  connectMs?: number;
  quietMs?: number;
  answerMs?: number;
}

const protocol = "troupe.v1";
const requestMs = 120_000;

export class Client {
  private readonly topics = new Map<string, Topic>();
  private readonly connection: Connection;
  private readonly requests: Requests;
  private readonly pauses = new Set<ReturnType<typeof setTimeout>>();
  private readonly onState?: (state: ConnectionState) => void;
  private questions = 0;

  constructor(options: ClientOptions = {}) {
    const url = (options.url ?? location.origin).replace(/^http/, "ws") + "/v1/ws";
    const open = options.open ?? ((at: string, name: string) => new WebSocket(at, name) as Socket);
    this.onState = options.onState;
    this.requests = new Requests(message => this.connection.send(message), () => this.connection?.live ?? false);
    this.connection = new Connection({
      open: () => open(url, protocol), welcome: options.welcome,
      connectMs: options.connectMs ?? 10_000, quietMs: options.quietMs ?? 15_000, answerMs: options.answerMs ?? 5000,
      onFrame: frame => this.take(frame), onState: state => this.changed(state),
    });
  }

  get state(): ConnectionState { return this.connection.state; }

  private changed(state: ConnectionState): void {
    if (state.is === "lost" || state.is === "refused") {
      this.requests.lost();
      for (const topic of this.topics.values()) topic.change({ is: "stale", since: "since" in state ? state.since : Date.now() });
    }
    this.onState?.(state);
  }

  private take(frame: Frame): void {
    switch (frame.op) {
      case "hello":
        for (const topic of this.topics.values()) this.ask(topic);
        return this.requests.flush();
      case "reply": return this.requests.take(frame) ? undefined : this.answered(frame);
      default: {
        const topic = this.topics.get(frame.topic);
        if (topic?.take(frame) === "ask again") this.ask(topic);
      }
    }
  }

  private ask(topic: Topic): void {
    if (!this.connection.live) return;
    topic.asked = `topic ${++this.questions}`;
    this.connection.send({ id: topic.asked, ...topic.question() });
  }

  private answered(reply: Reply): void {
    const topic = [...this.topics.values()].find(one => one.asked === reply.id);
    if (!topic) return;
    if (reply.ok) return topic.answered();
    const { error } = reply;
    const early = error.status === 404 && topic.young;
    if (!early && !passing.has(error.status)) topic.change({ is: "error", error });
    if (error.status !== 404 && !passing.has(error.status)) return;
    const pause = setTimeout(() => {
      this.pauses.delete(pause);
      if (this.topics.get(topic.name) === topic) this.ask(topic);
    }, early ? pauseBefore(0) / 10 : pauseBefore(topic.refused()));
    this.pauses.add(pause);
  }

  /** The snapshot of an actor: at once if it is known here, and whenever it changes. */
  subscribe<T>(key: string, listener: SnapshotListener<T>): Subscription {
    let topic = this.topics.get(key) as SnapshotTopic | undefined;
    if (!topic) {
      topic = new SnapshotTopic(key);
      this.topics.set(key, topic);
      this.ask(topic);
    }
    topic.add(listener);
    const held = topic;
    return {
      get state() { return held.state; },
      dispose: () => {
        held.listeners.delete(listener);
        if (held.listeners.size === 0) this.forget(held);
      },
    };
  }

  /**
   * Every entry of a stream behind `after`, once and in order. A topic has one reader: a later one takes its place, and the
   * earlier hears no more. (A page may show a view anew before it has taken leave of the old one.)
   */
  stream<T>(name: string, listener: StreamListener<T>, { after = 0, ...extra }: { after?: number; prefix?: string } = {}): Subscription {
    const topic = new StreamTopic(name, after, extra, listener);
    this.topics.set(name, topic);
    this.ask(topic);
    return { get state() { return topic.state; }, dispose: () => this.forget(topic) };
  }

  private forget(topic: Topic): void {
    if (this.topics.get(topic.name) !== topic) return;
    this.topics.delete(topic.name);
    if (this.connection.live) this.connection.send({ op: "unsubscribe", id: `topic ${++this.questions}`, topic: topic.name });
  }

  /** Applied exactly once however often the connection is lost meanwhile; `id` makes that true across programs, too. */
  command<N extends keyof Messages>(to: string, name: N, body: Messages[N]["body"],
    { id = newId(), ms = requestMs }: { id?: string; ms?: number } = {}): Promise<Messages[N]["result"]> {
    return this.requests.ask({ op: "command", id, to, name, body } as { id: string }, ms);
  }

  query<N extends keyof Messages>(to: string, name: N, body: Messages[N]["body"],
    { ms = requestMs }: { ms?: number } = {}): Promise<Messages[N]["result"]> {
    return this.requests.ask({ op: "query", id: newId(), to, name, body } as { id: string }, ms);
  }

  /** For the moment in which a laptop wakes or a network comes back. */
  hurry(): void { this.connection.hurry(); }

  close(): void {
    this.connection.close();
    for (const pause of this.pauses) clearTimeout(pause);
    this.topics.clear();
    this.requests.close();
  }
}

/** Also where pages are not served over TLS, from which browsers keep randomUUID. */
export function newId(): string {
  return Array.from({ length: 4 }, () => Math.floor(Math.random() * 2 ** 32).toString(36)).join("-") + Date.now().toString(36);
}
