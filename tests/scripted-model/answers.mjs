// Replies as each provider API writes them, streamed and whole.
// Writing replies

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const pieces = (text, size) => {
  const out = [];
  const chars = [...text];
  for (let i = 0; i < chars.length; i += size) out.push(chars.slice(i, i + size).join(""));
  return out;
};

class Stream {
  constructor(response, turn) {
    this.response = response;
    this.turn = turn;
    this.chunks = 0;
    this.gone = false;
    response.on("close", () => (this.gone = true));
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache", connection: "keep-alive" });
  }
  async send(data, event) {
    if (this.gone) return;
    this.response.write(`${event ? `event: ${event}\n` : ""}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);
  }
  // Sends one piece of text; this is where a turn is slowed down or cut off.
  async chunk(data, event) {
    if (this.gone) return;
    if (this.turn.dropAfterChunks !== undefined && this.chunks >= this.turn.dropAfterChunks) {
      this.gone = true;
      await sleep(50); // lets the chunks sent so far leave
      this.response.destroy();
      return;
    }
    if (this.chunks > 0 && this.turn.chunkDelayMs) await sleep(this.turn.chunkDelayMs);
    this.chunks++;
    await this.send(data, event);
  }
  end() {
    if (!this.gone) this.response.end();
  }
}

export const sendJson = (response, status, value, headers = {}) => {
  const body = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...headers });
  response.end(body);
};

const chunkSize = (reply) => Math.max(1, reply.turn.chunkChars ?? 24);

export async function writeAnthropic(response, reply, stream) {
  const stop = reply.turn.stop ?? (reply.calls.length ? "tool_use" : "end_turn");
  const usage = { input_tokens: reply.usage.input, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: reply.usage.output };
  const head = { id: `msg_${reply.seed}`, type: "message", role: "assistant", model: reply.model };
  const blocks = [];
  if (reply.thinking) blocks.push({ type: "thinking", thinking: reply.thinking, signature: "c2NyaXB0ZWQ=" });
  if (reply.text) blocks.push({ type: "text", text: reply.text });
  for (const c of reply.calls) blocks.push({ type: "tool_use", id: `toolu_${c.id}`, name: c.name, input: c.input });
  if (!stream) return sendJson(response, 200, { ...head, content: blocks, stop_reason: stop, stop_sequence: null, usage });

  const s = new Stream(response, reply.turn);
  const send = (data) => s.send(data, data.type);
  const chunk = (data) => s.chunk(data, data.type);
  await send({ type: "message_start", message: { ...head, content: [], stop_reason: null, stop_sequence: null, usage: { ...usage, output_tokens: 1 } } });
  for (const [index, b] of blocks.entries()) {
    const delta = (d) => chunk({ type: "content_block_delta", index, delta: d });
    if (b.type === "text") {
      await send({ type: "content_block_start", index, content_block: { type: "text", text: "" } });
      for (const p of pieces(b.text, chunkSize(reply))) await delta({ type: "text_delta", text: p });
    } else if (b.type === "thinking") {
      await send({ type: "content_block_start", index, content_block: { type: "thinking", thinking: "", signature: "" } });
      for (const p of pieces(b.thinking, chunkSize(reply))) await delta({ type: "thinking_delta", thinking: p });
      await delta({ type: "signature_delta", signature: b.signature });
    } else {
      await send({ type: "content_block_start", index, content_block: { ...b, input: {} } });
      for (const p of pieces(JSON.stringify(b.input), 256)) await delta({ type: "input_json_delta", partial_json: p });
    }
    await send({ type: "content_block_stop", index });
  }
  await send({ type: "message_delta", delta: { stop_reason: stop, stop_sequence: null }, usage });
  await send({ type: "message_stop" });
  s.end();
}

export async function writeResponses(response, reply, stream) {
  const id = `resp_${reply.seed}`;
  const items = [];
  if (reply.thinking) items.push({ type: "reasoning", id: `rs_${reply.seed}`, summary: [{ type: "summary_text", text: reply.thinking }], encrypted_content: null });
  if (reply.text) items.push({ type: "message", id: `msg_${reply.seed}`, status: "completed", role: "assistant", content: [{ type: "output_text", text: reply.text, annotations: [] }] });
  for (const c of reply.calls) {
    const base = { id: `fc_${c.id}`, call_id: `call_${c.id}`, status: "completed" };
    if (c.kind === "custom") items.push({ ...base, type: "custom_tool_call", name: c.name, input: String(c.input) });
    else if (c.kind === "local_shell") items.push({ ...base, type: "local_shell_call", action: { type: "exec", command: c.input.command, env: {} } });
    else {
      const dot = c.name.lastIndexOf(".");
      const name = dot < 0 ? { name: c.name } : { namespace: c.name.slice(0, dot), name: c.name.slice(dot + 1) };
      items.push({ ...base, type: "function_call", ...name, arguments: JSON.stringify(c.input) });
    }
  }
  const usage = {
    input_tokens: reply.usage.input, input_tokens_details: { cached_tokens: 0 },
    output_tokens: reply.usage.output, output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: reply.usage.input + reply.usage.output,
  };
  const whole = (status, output, more = {}) => ({ id, object: "response", created_at: 0, status, model: reply.model, output, error: null, incomplete_details: null, ...more });
  if (!stream) return sendJson(response, 200, whole("completed", items, { usage }));

  const s = new Stream(response, reply.turn);
  let sequence = 0;
  const send = (type, data) => s.send({ type, sequence_number: sequence++, ...data }, type);
  const chunk = (type, data) => s.chunk({ type, sequence_number: sequence++, ...data }, type);
  await send("response.created", { response: whole("in_progress", []) });
  for (const [output_index, item] of items.entries()) {
    const at = { item_id: item.id, output_index };
    if (item.type === "message") {
      const text = item.content[0].text;
      await send("response.output_item.added", { output_index, item: { ...item, status: "in_progress", content: [] } });
      await send("response.content_part.added", { ...at, content_index: 0, part: { type: "output_text", text: "", annotations: [] } });
      for (const delta of pieces(text, chunkSize(reply))) await chunk("response.output_text.delta", { ...at, content_index: 0, delta });
      await send("response.output_text.done", { ...at, content_index: 0, text });
      await send("response.content_part.done", { ...at, content_index: 0, part: item.content[0] });
    } else if (item.type === "reasoning") {
      await send("response.output_item.added", { output_index, item: { ...item, summary: [] } });
      await send("response.reasoning_summary_part.added", { ...at, summary_index: 0, part: { type: "summary_text", text: "" } });
      for (const delta of pieces(reply.thinking, chunkSize(reply))) await chunk("response.reasoning_summary_text.delta", { ...at, summary_index: 0, delta });
      await send("response.reasoning_summary_text.done", { ...at, summary_index: 0, text: reply.thinking });
      await send("response.reasoning_summary_part.done", { ...at, summary_index: 0, part: item.summary[0] });
    } else if (item.type === "function_call") {
      await send("response.output_item.added", { output_index, item: { ...item, status: "in_progress", arguments: "" } });
      await chunk("response.function_call_arguments.delta", { ...at, delta: item.arguments });
      await send("response.function_call_arguments.done", { ...at, arguments: item.arguments });
    } else if (item.type === "custom_tool_call") {
      await send("response.output_item.added", { output_index, item: { ...item, status: "in_progress", input: "" } });
      await chunk("response.custom_tool_call_input.delta", { ...at, delta: item.input });
      await send("response.custom_tool_call_input.done", { ...at, input: item.input });
    } else {
      await send("response.output_item.added", { output_index, item });
    }
    await send("response.output_item.done", { output_index, item });
  }
  await send("response.completed", { response: whole("completed", items, { usage }) });
  s.end();
}

export async function writeChat(response, reply, stream, body) {
  const head = { id: `chatcmpl-${reply.seed}`, created: 0, model: reply.model };
  const finish = reply.turn.stop ?? (reply.calls.length ? "tool_calls" : "stop");
  const usage = { prompt_tokens: reply.usage.input, completion_tokens: reply.usage.output, total_tokens: reply.usage.input + reply.usage.output };
  const calls = reply.calls.map((c) => ({ id: `call_${c.id}`, type: "function", function: { name: c.name, arguments: JSON.stringify(c.input) } }));
  if (!stream) {
    const message = { role: "assistant", content: reply.text || null, ...(calls.length && { tool_calls: calls }) };
    return sendJson(response, 200, { ...head, object: "chat.completion", choices: [{ index: 0, message, finish_reason: finish }], usage });
  }
  const s = new Stream(response, reply.turn);
  const part = (delta, finish_reason = null) => ({ ...head, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] });
  await s.send(part({ role: "assistant", content: "" }));
  for (const p of pieces(reply.thinking, chunkSize(reply))) await s.chunk(part({ reasoning_content: p }));
  for (const p of pieces(reply.text, chunkSize(reply))) await s.chunk(part({ content: p }));
  for (const [index, c] of calls.entries()) await s.chunk(part({ tool_calls: [{ index, ...c }] }));
  await s.send(part({}, finish));
  if (body.stream_options?.include_usage) await s.send({ ...head, object: "chat.completion.chunk", choices: [], usage });
  await s.send("[DONE]");
  s.end();
}

// ---------------------------------------------------------------------------------------------------------
