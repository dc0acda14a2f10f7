// The organization: its repositories, members and defaults.
import { useState } from "preact/hooks";
import type { OrganizationSnapshot } from "../../client";
import { command } from "../live";
import { Notice, tell } from "../parts/notice";
import { makeSecret } from "../parts/secret";
import { Ago, Status } from "../parts/words";

const roles = ["viewer", "member", "admin", "owner"] as const;
const atLeast = (role: string, wanted: string) => roles.indexOf(role as typeof roles[number]) >= roles.indexOf(wanted as typeof roles[number]);

/** `instance`: may make users, too. */
export function Settings({ org, data, role, instance }: { org: string; data?: OrganizationSnapshot; role: string; instance: boolean }) {
  const [link, show] = useState<Link>();
  if (!data) return <div class="alone" aria-busy="true"><p class="quiet">Loading …</p></div>;
  const admin = atLeast(role, "admin"), key = `org/${org}`;
  return (
    <div class="page">
      <h1>{data.display_name || org}</h1>
      <section aria-label="Repositories"><h2>Repositories</h2>
        {!data.repositories.length && <p class="quiet">No repository yet.</p>}
        <table><tbody>{data.repositories.map(one => <tr>
          <td class="together"><strong>{one.repository}</strong></td><td class="mono url">{one.url}</td><td><Status status={one.state} /></td><td class="mono">{one.base_branch ?? one.default_branch}</td>
          <td class="together">{one.tasks} tasks</td><td class="bad">{one.error?.detail}</td>
          <td>{atLeast(role, "member") && <button type="button" class="small" disabled={one.state === "checking"}
            onClick={() => command(key, "org.check_repository", { repository: one.repository }).catch(tell)}>Check</button>}</td></tr>)}</tbody></table>
        {admin && <AddRepository orgKey={key} />}
      </section>
      <section aria-label="Members"><h2>Members</h2>
        <table><tbody>{data.members.map(one => <tr><td>{one.user}</td>
          <td>{admin ? <select aria-label={`Role of ${one.user}`} value={one.role}
            onChange={event => command(key, "org.set_member_role", { user: one.user, role: event.currentTarget.value as typeof roles[number] }).catch(tell)}>
            {roles.map(name => <option value={name}>{name}</option>)}</select> : one.role}</td><td class="quiet">since <Ago at={one.added_at} /></td>
          <td class="together">{instance && <button type="button" class="small" onClick={() => signInLink(one.user).then(url => show({ user: one.user, url }), tell)}>Sign-in link</button>}{" "}
            {admin && <button type="button" class="small" onClick={() => void command(key, "org.remove_member", { user: one.user }).catch(tell)}>Remove</button>}</td></tr>)}</tbody></table>
        {link && <Notice tone="quiet">This link signs {link.user} in, once, within ten minutes: <code class="mono link">{link.url}</code>{" "}
          {/* Browsers keep the clipboard from pages that are not served over TLS. */}
          {navigator.clipboard && <button type="button" class="small" onClick={() => void navigator.clipboard.writeText(link.url).catch(tell)}>Copy</button>}</Notice>}
        {admin && <AddMember orgKey={key} />}
        {instance && <Invite orgKey={key} made={show} />}
      </section>
      <section aria-label="Defaults"><h2>Defaults</h2><Defaults key={JSON.stringify(data.settings)} orgKey={key} data={data} admin={admin} /></section>
    </div>
  );
}

interface Link { user: string; url: string }

async function signInLink(user: string): Promise<string> {
  const { secret, hash } = makeSecret("link");
  await command("access", "access.create_link", { user, hash });
  return `${location.origin}/#sign-in=${secret}`;
}

/** Somebody who was never here: a login name, a role, and a link to send them. */
function Invite({ orgKey, made }: { orgKey: string; made: (link: Link) => void }) {
  const [user, write] = useState(""), [role, choose] = useState<typeof roles[number]>("member");
  const invite = async (event: Event) => {
    event.preventDefault();
    const name = user.trim();
    await command("access", "access.create_user", { user: name });
    await command(orgKey, "org.add_member", { user: name, role });
    made({ user: name, url: await signInLink(name) });
    write("");
  };
  return <form class="row" onSubmit={event => void invite(event).catch(tell)}><input aria-label="New login name" placeholder="new login name" value={user} onInput={event => write(event.currentTarget.value)} />
    <select aria-label="Role of the new one" value={role} onChange={event => choose(event.currentTarget.value as typeof roles[number])}>{roles.map(name => <option value={name}>{name}</option>)}</select>
    <button disabled={!user.trim()}>Invite by link</button></form>;
}

function AddRepository({ orgKey }: { orgKey: string }) {
  const [url, write] = useState(""), [failure, fail] = useState<string>();
  const add = (event: Event) => {
    event.preventDefault();
    fail(undefined);
    command(orgKey, "org.add_repository", { url: url.trim() }).then(() => write(""), why => fail(why.message));
  };
  return <form onSubmit={add}><div class="row"><input aria-label="Address of a repository" placeholder="https://… or git@host:path" value={url} onInput={event => write(event.currentTarget.value)} />
    <button disabled={!url.trim()}>Add repository</button></div>{failure && <Notice tone="bad">{failure}</Notice>}</form>;
}

function AddMember({ orgKey }: { orgKey: string }) {
  const [user, write] = useState(""), [role, choose] = useState<typeof roles[number]>("member");
  const add = (event: Event) => {
    event.preventDefault();
    command(orgKey, "org.add_member", { user: user.trim(), role }).then(() => write(""), tell);
  };
  return <form class="row" onSubmit={add}><input aria-label="Login name" placeholder="login name" value={user} onInput={event => write(event.currentTarget.value)} />
    <select aria-label="Role" value={role} onChange={event => choose(event.currentTarget.value as typeof roles[number])}>{roles.map(name => <option value={name}>{name}</option>)}</select>
    <button disabled={!user.trim()}>Add member</button></form>;
}

const fields = [["display_name", "Name"], ["default_agent", "Agent"], ["default_model", "Model"], ["default_mode", "Mode"], ["branch_prefix", "Branches begin with"]] as const;

function Defaults({ orgKey, data, admin }: { orgKey: string; data: OrganizationSnapshot; admin: boolean }) {
  const now: Record<string, string> = { display_name: data.display_name };
  for (const [name] of fields) if (name !== "display_name") now[name] = data.settings[name] ?? "";
  const [given, give] = useState(now);
  if (!admin) return <dl class="facts">{fields.map(([name, label]) => <div><dt>{label}</dt><dd>{now[name] || "—"}</dd></div>)}</dl>;
  const changed = Object.fromEntries(Object.entries(given).filter(([name, value]) => value !== now[name])
    .map(([name, value]) => [name, value.trim() || (name.startsWith("default_mo") ? null : "")]));
  const save = (event: Event) => {
    event.preventDefault();
    command(orgKey, "org.update_settings", changed as object).catch(tell);
  };
  return <form class="columns" onSubmit={save}>{fields.map(([name, label]) => <label>{label}
    <input value={given[name]} onInput={event => give({ ...given, [name]: event.currentTarget.value })} /></label>)}
    <div class="row"><button class="primary" disabled={!Object.keys(changed).length}>Save</button></div></form>;
}
