// A turn as the reply to one agent: placeholders filled in, tool calls in the names that the agent offers.
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { findCwd } from "./conversation.mjs";

// Tool calls: "shell", "read", "write", "edit" and "mcp:SERVER/TOOL" are translated to what the agent offers.

const property = (tool, ...names) => names.find((n) => tool.schema?.properties?.[n] !== undefined) ?? names[0];

function translateCall(call, tools, cwd) {
  const find = (...names) => names.map((n) => tools.find((t) => t.name === n)).find(Boolean);
  const input = call.input ?? {};
  const exact = (t, value) => ({ name: t.name, kind: t.kind, input: value });
  const absolute = (p) => (posix.isAbsolute(p) || !cwd ? p : posix.join(cwd, p));
  const shell = (command, workdir) => {
    const t = find("Bash", "exec_command", "shell_command", "shell", "container.exec", "local_shell", "bash", "run_shell_command");
    if (!t) return undefined;
    const at = workdir ? { workdir } : {};
    if (t.name === "exec_command") return exact(t, { cmd: command, ...at });
    if (t.name === "shell_command") return exact(t, { command, ...at });
    if (t.name === "local_shell") return exact(t, { command: ["bash", "-lc", command] });
    if (t.name === "shell" || t.name === "container.exec") return exact(t, { command: ["bash", "-lc", command], ...at });
    const about = t.schema?.properties?.description ? { description: input.description ?? command.slice(0, 60) } : {};
    return exact(t, { command, ...about });
  };
  const patch = (text) => {
    const t = find("apply_patch");
    if (t) return t.kind === "custom" ? exact(t, text) : exact(t, { [property(t, "input", "patch", "patchText")]: text });
    return undefined;
  };
  const lines = (text, mark) => text.replace(/\n$/, "").split("\n").map((l) => mark + l).join("\n");
  const heredoc = (command, text) => `${command} <<'SCRIPTED_EOF'\n${text.replace(/\n$/, "")}\nSCRIPTED_EOF`;

  if (call.tool === "shell") return shell(input.command, input.workdir);
  if (call.tool === "read") {
    const t = find("Read", "read", "read_file");
    if (t) return exact(t, { [property(t, "file_path", "filePath", "path", "absolute_path")]: absolute(input.path) });
    return shell(`cat -- '${input.path}'`);
  }
  if (call.tool === "write") {
    const t = find("Write", "write", "write_file");
    if (t) return exact(t, { [property(t, "file_path", "filePath", "path")]: absolute(input.path), content: input.content });
    return patch(`*** Begin Patch\n*** Add File: ${input.path}\n${lines(input.content, "+")}\n*** End Patch`)
      ?? shell(heredoc(`cat > '${input.path}'`, input.content));
  }
  if (call.tool === "edit") {
    const t = find("Edit", "edit", "replace");
    if (t) {
      return exact(t, {
        [property(t, "file_path", "filePath", "path")]: absolute(input.path),
        [property(t, "old_string", "oldString", "oldText")]: input.old,
        [property(t, "new_string", "newString", "newText")]: input.new,
      });
    }
    const text = `*** Begin Patch\n*** Update File: ${input.path}\n@@\n${lines(input.old, "-")}\n${lines(input.new, "+")}\n*** End Patch`;
    return patch(text) ?? shell(heredoc("apply_patch", text));
  }
  const mcp = /^mcp:([^/]+)\/(.+)$/.exec(call.tool);
  if (mcp) {
    const t = tools.find((x) => x.name.includes(mcp[1]) && x.name.endsWith(mcp[2]));
    return t ? exact(t, input) : undefined;
  }
  const t = find(call.tool);
  return t ? exact(t, input) : undefined;
}

const fill = (value, vars) => {
  if (typeof value === "string") return value.replace(/\$\{([a-z]+(?:\.\d+)?)\}/g, (all, name) => vars[name] ?? all);
  if (Array.isArray(value)) return value.map((v) => fill(v, vars));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, fill(v, vars)]));
  return value;
};

export function composeReply(script, request, decision) {
  const { conversation } = request;
  const cwd = findCwd(conversation);
  const vars = { cwd, prompt: decision.state.prompt, result: decision.state.results.at(-1)?.text ?? "", model: request.model };
  (decision.match ?? []).forEach((m, i) => (vars[`match.${i}`] = m ?? ""));
  const turn = decision.turn;
  const problems = [];
  // Ids depend on the conversation alone, so that a retried request gets the very same reply.
  const seed = createHash("sha256")
    .update(JSON.stringify([decision.key, conversation.events.map((e) => [e.kind, e.id ?? "", e.text ?? ""])]))
    .digest("hex").slice(0, 16);
  const calls = [];
  for (const [i, call] of (turn.calls ?? []).entries()) {
    const made = translateCall(fill(call, vars), conversation.tools, cwd);
    if (made) calls.push({ ...made, id: `${seed}${String(i).padStart(2, "0")}` });
    else problems.push(`tool "${call.tool}" is not offered (offered: ${conversation.tools.map((t) => t.name).join(", ")})`);
  }
  let text = fill(turn.text ?? "", vars);
  if (problems.length) text = [text, ...problems.map((p) => `scripted-model: ${p}`)].filter(Boolean).join("\n");
  const words = (s) => Math.ceil(s.length / 4);
  const usage = {
    input: 100 + words(conversation.system) + conversation.events.reduce((n, e) => n + words(e.text ?? ""), 0),
    output: 1 + words(text) + words(turn.thinking ?? "") + calls.reduce((n, c) => n + words(JSON.stringify(c.input)), 0),
    ...script.usage,
    ...turn.usage,
  };
  return { seed, text, thinking: fill(turn.thinking ?? "", vars), calls, usage, turn, problems, model: request.model };
}

// ---------------------------------------------------------------------------------------------------------
