// One WebSocket at a time to the server, made again with growing pauses until it is closed for good.
import type { Frame, Principal } from "./frames.js";

/** The part of a WebSocket that is used: a browser's own, or the package ws. */
export interface Socket {
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(text: string): void;
  close(): void;
}

export type ConnectionState =
  | { is: "connecting" }
  | { is: "live"; principal: Principal }
  /** There is no connection since `since`; the next attempt begins at `next`. */
  | { is: "lost"; since: number; next: number }
  /** The server does not know who this is, or no longer: nothing is tried again. */
  | { is: "refused" }
  | { is: "closed" };

export interface ConnectionOptions {
  open(): Socket;
  /** Asked when a connection could not be made: false when trying again is in vain without signing in. */
  welcome?(): Promise<boolean>;
  /** How long a connection may take, and after how much silence the server is asked for a sign of life. */
  connectMs: number;
  quietMs: number;
  answerMs: number;
  onFrame(frame: Frame): void;
  onState(state: ConnectionState): void;
}

const revoked = 4401;
const firstPause = 1000, longestPause = 30_000, jitter = 0.3;

/** Doubles from one second to thirty, each a little longer by chance so that clients do not come back at once. */
export function pauseBefore(attempt: number, random: () => number = Math.random): number {
  return Math.min(longestPause / (1 + jitter), firstPause * 2 ** attempt) * (1 + jitter * random());
}

export class Connection {
  private socket?: Socket;
  private timer?: ReturnType<typeof setTimeout>;
  private attempt = 0;
  private lostAt = 0;
  private asked = 0;
  state: ConnectionState = { is: "connecting" };

  constructor(private readonly options: ConnectionOptions) { this.connect(); }

  private change(state: ConnectionState): void {
    this.state = state;
    this.options.onState(state);
  }

  private after(ms: number, then: () => void): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(then, ms);
  }

  private connect(): void {
    const socket = this.socket = this.options.open();
    socket.onmessage = event => this.take(`${event.data}`);
    socket.onerror = () => {};
    socket.onclose = event => this.lost(event.code === revoked);
    this.after(this.options.connectMs, () => this.lost(false));
  }

  /** Forgets the socket: whatever still comes from it is not heard. */
  private drop(): void {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  private lost(refused: boolean): void {
    const wasLive = this.state.is === "live";
    this.drop();
    if (refused) return this.change({ is: "refused" });
    if (wasLive || !this.lostAt) this.lostAt = Date.now();
    const pause = pauseBefore(this.attempt++);
    this.after(pause, () => void this.again());
    this.change({ is: "lost", since: this.lostAt, next: Date.now() + pause });
  }

  private async again(): Promise<void> {
    const before = this.attempt;
    const welcome = await this.options.welcome?.().catch(() => true) ?? true;
    // Closed, or hurried, while the answer was under way.
    if (this.state.is !== "lost" || this.socket || before !== this.attempt) return;
    if (welcome) this.connect();
    else this.change({ is: "refused" });
  }

  private take(text: string): void {
    const frame = JSON.parse(text) as Frame;
    this.watch();
    if (frame.op === "hello") {
      this.attempt = 0;
      this.lostAt = 0;
      this.change({ is: "live", principal: frame.principal });
    }
    this.options.onFrame(frame);
  }

  /** A server that is frozen, or beyond a network that is gone, keeps its connection: silence alone tells. */
  private watch(): void {
    this.after(this.options.quietMs, () => {
      this.send({ op: "ping", id: `ping ${++this.asked}` });
      this.after(this.options.answerMs, () => this.lost(false));
    });
  }

  send(message: object): void { this.socket?.send(JSON.stringify(message)); }

  get live(): boolean { return this.state.is === "live"; }

  /** The network or the person is back: what waits for its next attempt tries now, what is live shows that it is. */
  hurry(): void {
    if (this.state.is === "lost" && !this.socket) {
      this.attempt = 0;
      clearTimeout(this.timer);
      void this.again();
    } else if (this.live) {
      this.send({ op: "ping", id: `ping ${++this.asked}` });
      this.after(this.options.answerMs, () => this.lost(false));
    }
  }

  close(): void {
    this.drop();
    this.change({ is: "closed" });
  }
}
