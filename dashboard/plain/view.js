// Elements from data. Text is always text: nothing here reads markup.
export function el(tag, fields = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) if (child !== null && child !== undefined) made.append(child);
  return made;
}

export function replace(parent, ...children) { parent.replaceChildren(...children.filter(Boolean)); }

const block_text = block => !block ? "" : block.type === "text" ? block.text : block.uri ? `[${block.uri}]` : `[${block.type}]`;

function diff_lines(before, after) {
  const pre = el("pre");
  const lines = text => text ? text.replace(/\n$/, "").split("\n") : [];
  for (const line of lines(before)) pre.append(el("span", { class: "del" }, `- ${line}\n`));
  for (const line of lines(after)) pre.append(el("span", { class: "add" }, `+ ${line}\n`));
  return pre;
}

function tool_parts(call) {
  const parts = [];
  for (const one of call.content || []) {
    if (one.type === "diff") parts.push(el("div", { class: "dim" }, one.path), diff_lines(one.oldText, one.newText));
    else if (one.type === "content") parts.push(el("pre", {}, block_text(one.content)));
  }
  return parts;
}

// Draws a transcript entry by entry: chunks of one message join, updates of a tool call change what is there.
export class transcript {
  constructor(parent) {
    this.parent = parent;
    this.clear();
  }

  clear() {
    replace(this.parent);
    this.open = null;        // {kind, id, p} of the message that grows
    this.calls = new Map();  // tool call id → {box, call}
  }

  add(node) {
    this.open = null;
    this.parent.append(node);
    return node;
  }

  line(by, text, kind = "") {
    return this.add(el("div", { class: `entry ${kind}` }, by ? el("div", { class: "by" }, by) : null, el("p", {}, text)));
  }

  chunk(kind, by, update) {
    const text = block_text(update.content);
    if (this.open && this.open.kind === kind && this.open.id === update.messageId) {
      this.open.p.append(text);
      return;
    }
    const p = el("p", {}, text);
    this.add(el("div", { class: `entry ${kind}` }, el("div", { class: "by" }, by), p));
    this.open = { kind, id: update.messageId, p };
  }

  tool(update) {
    let known = this.calls.get(update.toolCallId);
    if (!known) {
      known = { box: this.add(el("div", { class: "entry" })), call: {} };
      this.calls.set(update.toolCallId, known);
    }
    for (const [name, value] of Object.entries(update)) if (value !== null && value !== undefined) known.call[name] = value;
    const call = known.call;
    replace(known.box,
      el("div", {}, el("span", { class: call.status || "" }, `${call.status || "pending"} `), call.title || call.toolCallId),
      ...tool_parts(call));
  }

  take(entry) {
    const update = entry.update;
    switch (entry.type) {
      case "prompt": return this.line(entry.by, (entry.content || []).map(block_text).join("\n"), "prompt");
      case "update":
        switch (update.sessionUpdate) {
          case "agent_message_chunk": return this.chunk("message", "agent", update);
          case "agent_thought_chunk": return this.chunk("thought", "thinking", update);
          case "user_message_chunk": return this.chunk("prompt", "you", update);
          case "tool_call": case "tool_call_update": return this.tool(update);
          case "plan":
            return this.add(el("div", { class: "entry" }, el("div", { class: "by" }, "plan"),
              ...(update.entries || []).map(one => el("div", { class: one.status }, `${one.status === "completed" ? "x" : "-"} ${one.content}`))));
          default: return;
        }
      case "permission_requested": return this.line("permission", entry.request?.toolCall?.title || "The agent asks", "warn");
      case "permission_answered": return this.line("permission", `${entry.answer}${entry.by ? ` by ${entry.by}` : ""}`, "dim");
      case "error": return this.line("error", entry.message || entry.code, "bad");
      default: return this.line("", entry.type.replaceAll("_", " "), "dim");
    }
  }
}
