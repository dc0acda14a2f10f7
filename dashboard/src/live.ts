// The one client of this page, as hooks.
import { useEffect, useRef, useState } from "preact/hooks";
import { Client, type ConnectionState, type Entry, type Messages, type SubscriptionState } from "../client";
import { welcome } from "./session";

let client: Client | undefined;
let connection: ConnectionState = { is: "connecting" };
const listeners = new Set<() => void>();

export function connect(): void {
  client = new Client({ welcome, onState: state => { connection = state; for (const one of [...listeners]) one(); } });
  const hurry = () => { if (document.visibilityState === "visible") client?.hurry(); };
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
}

export const hurry = () => client?.hurry();

export function useConnection(): ConnectionState {
  const [, redraw] = useState(0);
  useEffect(() => {
    const one = () => redraw(count => count + 1);
    listeners.add(one);
    one();
    return () => void listeners.delete(one);
  }, []);
  return connection;
}

export interface Held<T> {
  data?: T;
  state: SubscriptionState;
}

/** The newest snapshot of an actor; nothing of another actor is ever shown under its key. */
export function useSnapshot<T>(key: string | undefined): Held<T> {
  const [held, hold] = useState<Held<T> & { key?: string }>({ state: { is: "connecting" } });
  useEffect(() => {
    if (!key) return;
    hold({ key, state: { is: "connecting" } });
    const subscription = client!.subscribe<T>(key, {
      onSnapshot: data => hold({ key, data, state: { is: "live" } }),
      onState: state => hold(last => ({ ...last, key, state })),
    });
    return () => subscription.dispose();
  }, [key]);
  return held.key === key ? held : { state: { is: "connecting" } };
}

export interface Reader<T> {
  onEntries(entries: Entry<T>[], end: number): void;
  onReset(): void;
}

/** Reads a stream into `reader`, made anew for each topic, and redraws at most once a frame. */
export function useStream<T, R extends Reader<T>>(topic: string | undefined, make: () => R,
  options: { after?: number; prefix?: string } = {}): { reader: R; state: SubscriptionState } {
  const [, redraw] = useState(0);
  const held = useRef<{ topic?: string; reader: R; state: SubscriptionState } | undefined>(undefined);
  if (!held.current || held.current.topic !== topic) held.current = { topic, reader: make(), state: { is: "connecting" } };
  const now = held.current;
  useEffect(() => {
    if (!topic) return;
    let frame = 0;
    const soon = () => { frame ||= requestAnimationFrame(() => { frame = 0; redraw(count => count + 1); }); };
    const subscription = client!.stream<T>(topic, {
      onEntries: (entries, end) => { now.reader.onEntries(entries, end); soon(); },
      onReset: () => { now.reader.onReset(); soon(); },
      onState: state => { now.state = state; soon(); },
    }, options);
    return () => { subscription.dispose(); cancelAnimationFrame(frame); };
  }, [topic]);
  return now;
}

export function command<N extends keyof Messages>(to: string, name: N, body: Messages[N]["body"]) {
  return client!.command(to, name, body);
}

export function query<N extends keyof Messages>(to: string, name: N, body: Messages[N]["body"]) {
  return client!.query(to, name, body, { ms: 30_000 });
}

/** What only HTTP has: the inspector, and entries that are too long for a frame. */
export async function get<T = any>(path: string): Promise<T> {
  const answer = await fetch(path);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail || `${path}: ${answer.status}`);
  return body;
}
