// Where one is signed in, and the tokens that one's programs come with: looked through, ended, made.
import { useEffect, useState } from "preact/hooks";
import { command, get } from "../live";
import { Notice, tell } from "../parts/notice";
import { makeSecret } from "../parts/secret";
import { when } from "../parts/words";
import { signOut } from "../session";

interface Credential { id: string; label: string; created_at: number; expires_at?: number }
interface Credentials { sessions: Credential[]; tokens: Credential[] }

export function You({ user }: { user: string }) {
  const [found, find] = useState<Credentials>(), [failure, fail] = useState<string>(), [round, again] = useState(0);
  const [label, write] = useState(""), [token, show] = useState<string>();
  useEffect(() => {
    let here = true;
    get<Credentials>("/v1/sessions").then(all => { if (here) { find(all); fail(undefined); } }, why => { if (here) fail(why.message); });
    return () => { here = false; };
  }, [round]);
  const then = (done: Promise<unknown>) => void done.then(() => again(count => count + 1), tell);
  const make = (event: Event) => {
    event.preventDefault();
    const { secret, hash } = makeSecret("trp");
    then(command("access", "access.create_token", { hash, label: label.trim() }).then(() => { show(secret); write(""); }));
  };
  if (failure) return <div class="page"><Notice tone="bad">It could not be read: {failure}</Notice></div>;
  if (!found) return <div class="alone" aria-busy="true"><p class="quiet">Loading …</p></div>;
  return (
    <div class="page">
      <div class="tools"><h1>{user}</h1><span class="grow" /><button type="button" onClick={() => void signOut()}>Sign out here</button></div>
      <section aria-label="Browsers"><h2>Browsers</h2>
        <Rows all={found.sessions} verb="Sign out" none="No browser is signed in." end={session => then(command("access", "access.end_session", { session }))} />
        {found.sessions.length > 1 && <button type="button" class="danger" onClick={() => then(command("access", "access.end_sessions", { user }))}>Sign out everywhere</button>}</section>
      <section aria-label="Tokens"><h2>Tokens</h2>
        <Rows all={found.tokens} verb="Revoke" none="No token: programs cannot come in your name." end={one => then(command("access", "access.revoke_token", { token: one }))} />
        {token && <Notice tone="quiet">The token, shown this once: <code class="mono link">{token}</code></Notice>}
        <form class="row" onSubmit={make}><input aria-label="What the token is for" placeholder="what it is for" maxLength={200} value={label} onInput={event => write(event.currentTarget.value)} />
          <button disabled={!label.trim()}>Make a token</button></form></section>
    </div>
  );
}

function Rows({ all, verb, none, end }: { all: Credential[]; verb: string; none: string; end: (id: string) => void }) {
  if (!all.length) return <p class="quiet">{none}</p>;
  return <table><thead><tr><th>Since</th><th>What</th><th>Ends</th><th><span class="unseen">{verb}</span></th></tr></thead>
    <tbody>{all.map(one => <tr key={one.id}><td class="together">{when(one.created_at)}</td><td class="url">{one.label}</td><td class="together">{one.expires_at ? when(one.expires_at) : "when revoked"}</td>
      <td><button type="button" class="small" onClick={() => end(one.id)}>{verb}</button></td></tr>)}</tbody></table>;
}
