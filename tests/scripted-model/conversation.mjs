// Each provider API's request as one list of events:
//   {kind:"user",text} | {kind:"reply",text} | {kind:"call",id,name} | {kind:"result",id,text,isError}

// User text that agents put into a conversation on their own; it is never taken for the person's prompt.
const INJECTED_TEXT = [
  /^\s*<system-reminder>/,
  /^\s*<(environment_context|user_instructions|permissions instructions|collaboration_mode|skills_instructions|INSTRUCTIONS)/,
  /^\s*<(local-command|command-name|command-message|turn_aborted|session_context|task-notification)/,
  /^\s*# AGENTS\.md instructions/,
  /^\s*\[Request interrupted/,
  /^\s*Caveat: The messages below/,
];

const asText = (content) => {
  if (content === undefined || content === null) return "";
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map(asText).filter(Boolean).join("\n");
  if (typeof content.text === "string") return content.text;
  if (content.content !== undefined) return asText(content.content);
  if (content.output !== undefined) return asText(content.output);
  return "";
};

export function readAnthropic(body) {
  const events = [];
  for (const m of body.messages ?? []) {
    const blocks = typeof m.content === "string" ? [{ type: "text", text: m.content }] : m.content ?? [];
    for (const b of blocks) {
      if (b.type === "tool_result") events.push({ kind: "result", id: b.tool_use_id, text: asText(b.content), isError: !!b.is_error });
      else if (b.type === "tool_use") events.push({ kind: "call", id: b.id, name: b.name });
      else if (b.type === "text") events.push({ kind: m.role === "assistant" ? "reply" : m.role === "user" ? "user" : "system", text: b.text });
    }
  }
  const tools = (body.tools ?? []).map((t) => ({ name: t.name, kind: t.type ?? "function", schema: t.input_schema }));
  const format = body.output_config?.format ?? body.output_format;
  return { events, system: asText(body.system), tools, schema: format?.schema, messages: (body.messages ?? []).length };
}

export function readResponses(body) {
  const events = [];
  const system = [body.instructions ?? ""];
  const items = typeof body.input === "string" ? [{ type: "message", role: "user", content: body.input }] : body.input ?? [];
  for (const it of items) {
    const type = it.type ?? "message";
    if (type === "message") {
      const parts = typeof it.content === "string" ? [it.content] : (it.content ?? []).map((c) => c.text ?? "");
      if (it.role === "assistant") events.push({ kind: "reply", text: parts.join("") });
      else if (it.role === "user") for (const p of parts) events.push({ kind: "user", text: p });
      else system.push(parts.join("\n"));
    } else if (/_call$/.test(type)) events.push({ kind: "call", id: it.call_id, name: it.name ?? type });
    else if (/_call_output$/.test(type)) {
      const text = asText(it.output);
      events.push({ kind: "result", id: it.call_id, text, isError: /^(exec|execution|command) (error|failed)|^(Exit code:|Process exited with code) [1-9]/im.test(text) });
    }
  }
  const tools = flattenTools(body.tools ?? []);
  return { events, system: system.join("\n"), tools, schema: body.text?.format?.schema, messages: items.length };
}

function flattenTools(list, prefix = "") {
  return list.flatMap((t) => {
    if (t.type === "namespace") return flattenTools(t.tools ?? [], `${prefix}${t.name}.`);
    return [{ name: prefix + (t.name ?? t.function?.name ?? t.type), kind: t.type ?? "function", schema: t.parameters ?? t.function?.parameters }];
  });
}

export function readChat(body) {
  const events = [];
  const system = [];
  for (const m of body.messages ?? []) {
    if (m.role === "system" || m.role === "developer") system.push(asText(m.content));
    else if (m.role === "tool") events.push({ kind: "result", id: m.tool_call_id, text: asText(m.content), isError: false });
    else if (m.role === "assistant") {
      if (asText(m.content)) events.push({ kind: "reply", text: asText(m.content) });
      for (const c of m.tool_calls ?? []) events.push({ kind: "call", id: c.id, name: c.function?.name });
    } else {
      const parts = typeof m.content === "string" ? [m.content] : (m.content ?? []).map((c) => c.text ?? "");
      for (const p of parts) events.push({ kind: "user", text: p });
    }
  }
  return {
    events,
    system: system.join("\n"),
    tools: flattenTools(body.tools ?? []),
    schema: body.response_format?.json_schema?.schema,
    messages: (body.messages ?? []).length,
  };
}

// The state that picks a turn: the latest prompt of the person, and the tool results since.
// `prompt` is the last block of user text; `wide` also holds the blocks right before it (a prompt of several
// blocks, or an earlier prompt that never got a reply).
export function stateOf(events) {
  const byPerson = (e) => e.kind === "user" && e.text.trim() !== "" && !INJECTED_TEXT.some((r) => r.test(e.text));
  const last = events.findLastIndex(byPerson);
  let first = last;
  while (first > 0 && events[first - 1].kind === "user") first--;
  const blocks = events.slice(Math.max(first, 0), last + 1).filter(byPerson).map((e) => e.text);
  return { prompt: blocks.at(-1) ?? "", wide: blocks.join("\n"), results: events.slice(last + 1).filter((e) => e.kind === "result") };
}

export function findCwd(conversation) {
  const texts = [conversation.system, ...conversation.events.filter((e) => e.kind !== "result").map((e) => e.text ?? "")];
  let found = "";
  for (const t of texts) {
    const m = /<cwd>([^<\n]+)<\/cwd>/.exec(t) ?? /(?:[Ww]orking directory|Current directory|cwd):\s*`?(\/[^\s`<]*)/.exec(t);
    if (m) found = m[1].trim();
  }
  return found;
}
