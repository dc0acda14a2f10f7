// Commands and queries that wait for their replies, over as many connections as it takes.
import { pauseBefore } from "./connection.js";
import type { Problem, Reply } from "./frames.js";

export class Refused extends Error {
  constructor(readonly problem: Problem) { super(problem.detail || problem.title || problem.code); }
}

const limit = 1000;
/** The server takes 256 at once; what is more waits here. */
const inFlight = 200;
/** Answers after which the same question may get another one: too much at once, stopping, not in time. */
export const passing = new Set([429, 503, 504]);

interface Request {
  message: { id: string };
  sent: boolean;
  attempts: number;
  resolve(result: any): void;
  reject(why: Error): void;
  deadline: ReturnType<typeof setTimeout>;
  pause?: ReturnType<typeof setTimeout>;
  last?: Problem;
}

const late = (ms: number): Problem => ({
  status: 504, code: "timed_out",
  detail: `no answer within ${Math.round(ms / 1000)} s; it may still be applied: the same id asks again without doing it twice`,
});

export class Requests {
  private readonly waiting = new Map<string, Request>();
  private sent = 0;

  constructor(private readonly send: (message: object) => void, private readonly live: () => boolean) {}

  ask(message: { id: string }, ms: number): Promise<any> {
    return new Promise((resolve, reject) => {
      if (this.waiting.size >= limit)
        return reject(new Refused({ status: 429, code: "too_many_waiting", detail: `${limit} commands wait for the server already: try again later` }));
      if (this.waiting.has(message.id))
        return reject(new Refused({ status: 409, code: "id_in_use", detail: `a command with the id ${message.id} is under way` }));
      const deadline = setTimeout(() => {
        const one = this.settle(message.id);
        one?.reject(new Refused(one.last ?? late(ms)));
      }, ms);
      this.waiting.set(message.id, { message, sent: false, attempts: 0, resolve, reject, deadline });
      this.flush();
    });
  }

  private settle(id: string): Request | undefined {
    const one = this.waiting.get(id);
    if (!one) return;
    clearTimeout(one.deadline);
    clearTimeout(one.pause);
    if (one.sent) this.sent--;
    this.waiting.delete(id);
    return one;
  }

  take(reply: Reply): boolean {
    const one = this.waiting.get(reply.id);
    if (!one) return false;
    if (!reply.ok && passing.has(reply.error.status)) {
      one.last = reply.error;
      this.unsend(one);
      one.pause = setTimeout(() => { one.pause = undefined; this.flush(); }, pauseBefore(one.attempts++));
      return true;
    }
    this.settle(reply.id);
    if (reply.ok) one.resolve(reply.result);
    else one.reject(new Refused(reply.error));
    this.flush();
    return true;
  }

  private unsend(one: Request): void {
    if (one.sent) this.sent--;
    one.sent = false;
  }

  /** The connection is another one: nothing is known of what went over the last. */
  lost(): void { for (const one of this.waiting.values()) this.unsend(one); }

  flush(): void {
    if (!this.live()) return;
    for (const one of this.waiting.values()) {
      if (this.sent >= inFlight) return;
      if (one.sent || one.pause) continue;
      one.sent = true;
      this.sent++;
      this.send(one.message);
    }
  }

  close(): void {
    for (const id of [...this.waiting.keys()])
      this.settle(id)?.reject(new Refused({ status: 499, code: "closed", detail: "the client was closed before the answer came" }));
  }
}
