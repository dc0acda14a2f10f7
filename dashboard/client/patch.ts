// Snapshots by patches: applied without changing what others may hold, and checked by their hash.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { Operation, Patch, Snapshot } from "./frames.js";

/** RFC 8785: names in order, nothing between; numbers and texts as ECMAScript writes them. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map(name => `${JSON.stringify(name)}:${canonical((value as any)[name])}`).join(",")}}`;
}

export function contentHash(value: unknown): string {
  return bytesToHex(sha256(new TextEncoder().encode(canonical(value)))).slice(0, 32);
}

function changed(value: any, names: string[], { op, value: given }: Operation): any {
  if (!names.length) return given;
  const [name, ...rest] = names as [string, ...string[]];
  if (value === null || typeof value !== "object") throw new Error(`there is no ${name}`);
  if (rest.length) {
    const copy = Array.isArray(value) ? [...value] : { ...value };
    copy[name] = changed(value[name], rest, { op, path: "", value: given });
    return copy;
  }
  if (Array.isArray(value)) {
    const at = name === "-" ? value.length : Number(name);
    return op === "add" ? [...value.slice(0, at), given, ...value.slice(at)] : op === "remove" ? value.filter((_, index) => index !== at) : value.map((one, index) => index === at ? given : one);
  }
  const { [name]: _, ...others } = value;
  return op === "remove" ? others : { ...others, [name]: given };
}

export function apply(value: unknown, operations: Operation[]): unknown {
  return operations.reduce((now, one) =>
    changed(now, one.path.split("/").slice(1).map(part => part.replaceAll("~1", "/").replaceAll("~0", "~")), one), value);
}

/** What `from` becomes by the patch; nothing when they do not fit together. */
export function patched(from: Snapshot, patch: Patch): unknown {
  if (from.incarnation !== patch.incarnation || from.revision !== patch.from) return undefined;
  try {
    const data = apply(from.data, patch.patch);
    return contentHash(data) === patch.hash ? data : undefined;
  } catch {
    return undefined;
  }
}
