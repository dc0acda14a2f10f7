// Everything that a program needs to talk to a Troupe server.
export { Client, newId, type ClientOptions } from "./client.js";
export { pauseBefore, type ConnectionState, type Socket } from "./connection.js";
export type * from "./contract.js";
export type { Entry, Principal, Problem, Revision } from "./frames.js";
export { Refused } from "./requests.js";
export type { SnapshotListener, StreamListener, Subscription, SubscriptionState } from "./topics.js";
