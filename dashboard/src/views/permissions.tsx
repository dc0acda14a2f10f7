// What the agent asks to be allowed, as buttons and keys.
import { useState } from "preact/hooks";
import type { SessionSnapshot } from "../../client";
import { useActions } from "../keys";
import { command } from "../live";
import { tell } from "../parts/notice";
import { Refused } from "../../client";

type Permission = SessionSnapshot["permissions"][number];
type Answer = "allow_once" | "allow_always" | "reject";
const answers: { answer: Answer; name: string; key: string }[] = [
  { answer: "allow_once", name: "Allow once", key: "y" }, { answer: "allow_always", name: "Allow always", key: "Y" }, { answer: "reject", name: "Reject", key: "n" },
];

export const pending = (session: SessionSnapshot) => session.permissions.filter(one => one.state === "pending");

function kinds(one: Permission): Set<string> {
  return new Set(one.options.map(option => String((option as { kind?: string }).kind ?? "").replace("reject_once", "reject").replace("reject_always", "reject")));
}

export function Permissions({ sessionKey, session, acts }: { sessionKey: string; session: SessionSnapshot; acts: boolean }) {
  const asked = pending(session), first = asked[0];
  const [under, way] = useState<string>();
  const answer = (permission: string, how: Answer) => {
    way(permission);
    command(sessionKey, "session.answer_permission", { permission, answer: how }).catch(why => {
      // Somebody else was faster, or its time ran out: the transcript says which.
      if (!(why instanceof Refused && why.problem.code === "permission_settled")) tell(why);
    }).finally(() => way(undefined));
  };
  useActions(first && acts ? answers.filter(one => kinds(first).has(one.answer))
    .map(one => ({ key: one.key, name: `${one.name}: ${first.title}`, run: () => answer(first.permission, one.answer) })) : []);
  return (
    <div class="permissions" aria-live="assertive">{asked.map((one, index) =>
      <section class="permission" aria-label="Permission">
        <p><strong>{session.agent} asks</strong> {one.title || one.kind}</p>
        {acts && <div class="row">{answers.filter(({ answer: how }) => kinds(one).has(how)).map(({ answer: how, name, key }) =>
          <button type="button" class={how === "allow_once" ? "primary" : ""} disabled={under === one.permission} onClick={() => answer(one.permission, how)}>
            {name}{index === 0 && <kbd>{key}</kbd>}</button>)}</div>}
      </section>)}
    </div>
  );
}
