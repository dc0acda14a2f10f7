// Everything that a program needs to talk to a Troupe server.
export { Client, newId, type ClientOptions } from "./client";
export { pauseBefore, type ConnectionState, type Socket } from "./connection";
export type * from "./contract";
export type { Entry, Principal, Problem, Revision } from "./frames";
export { Refused } from "./requests";
export type { SnapshotListener, StreamListener, Subscription, SubscriptionState } from "./topics";
