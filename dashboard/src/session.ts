// Who the person in front of this browser is: signing in by a link's word, and out.
import type { Principal } from "../client";

export type Arrival = { is: "in"; principal: Principal } | { is: "out"; why?: string | null } | { is: "unreachable" };

// Read before anything else can change the address. Used or not, the word goes from it and from the history.
const word = new URLSearchParams(location.hash.slice(1)).get("sign-in");
if (word) history.replaceState(null, "", location.pathname);

// A link that is opened where the dashboard is already changes the address alone.
addEventListener("hashchange", () => { if (location.hash.startsWith("#sign-in=")) location.reload(); });

async function signIn(secret: string): Promise<string | undefined> {
  const answer = await fetch("/v1/session", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ word: secret }),
  });
  if (answer.ok) return undefined;
  return (await answer.json().catch(() => ({}))).detail || "This sign-in link does not work.";
}

export async function arrive(): Promise<Arrival> {
  try {
    const why = word && await signIn(word);
    const me = await fetch("/v1/session");
    if (me.ok) return { is: "in", principal: await me.json() };
    return { is: "out", why };
  } catch {
    return { is: "unreachable" };
  }
}

/** False when the server says that nobody is signed in here. */
export const welcome = async () => (await fetch("/v1/session")).status !== 401;

export async function signOut(): Promise<void> {
  await fetch("/v1/session", { method: "DELETE" });
  location.hash = "";
  location.reload();
}
