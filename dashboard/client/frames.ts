// What goes over the wire, as docs/protocol.md has it.
export interface Revision {
  incarnation: string;
  revision: number;
}

/** An RFC 9457 problem, with a code that programs can rely on. */
export interface Problem {
  status: number;
  code: string;
  title?: string;
  detail?: string;
  instance?: string;
  violations?: { pointer: string; detail: string }[];
}

export interface Principal {
  user: string;
  roles: Record<string, string>;
  admin?: boolean;
}

export interface Entry<T> {
  seq: number;
  time: number;
  turn: number;
  /** Of an entry that is too long for a frame `{stub: true, size, sha256}`: it is read whole by its own address. */
  data: T;
}

export interface Hello { op: "hello"; protocol: string; server: { name: string; version: string }; principal: Principal }
export interface Snapshot extends Revision { op: "snapshot"; topic: string; data: unknown }
/** The step from revision `from` to `revision`, RFC 6902, and the hash of what results. */
export interface Patch extends Revision { op: "patch"; topic: string; from: number; hash: string; patch: Operation[] }
export interface Operation { op: "add" | "remove" | "replace"; path: string; value?: unknown }
export interface Entries {
  op: "entries"; topic: string; incarnation?: string;
  after: number; first: number; last: number; end: number; entries: Entry<unknown>[];
}
export interface Reset { op: "reset"; topic: string; incarnation?: string; first: number }
export interface Gone { op: "gone"; topic: string; reason: string }
export type Reply = { op: "reply"; id: string } & ({ ok: true; result: unknown; turn?: number } | { ok: false; error: Problem });

export type Frame = Hello | Snapshot | Patch | Entries | Reset | Gone | Reply;
