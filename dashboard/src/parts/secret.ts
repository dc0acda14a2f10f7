// Secrets are made here and shown once: the server is given the hash alone.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

export function makeSecret(prefix: "link" | "trp"): { secret: string; hash: string } {
  const secret = `${prefix}_${bytesToHex(crypto.getRandomValues(new Uint8Array(32)))}`;
  return { secret, hash: bytesToHex(sha256(utf8ToBytes(secret))) };
}
