// node --test
import test from "node:test";
import assert from "node:assert/strict";
import { checkScript, loadScript } from "./script.mjs";
import { startScriptedModel } from "./scripted-model.mjs";

const here = (p) => new URL(p, import.meta.url).pathname;
const withModel = async (script, body) => {
  const model = await startScriptedModel({ script });
  try {
    await body(model, (path, value) => fetch(model.url + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(value) }));
  } finally {
    await model.close();
  }
};
const events = (text) => text.split("\n").filter((l) => l.startsWith("data: ") && l !== "data: [DONE]").map((l) => JSON.parse(l.slice(6)));
const hello = () => loadScript(here("examples/hello.json"));

test("Messages: turns advance with the tool results", () => withModel(hello(), async (model, post) => {
  const tools = [
    { name: "Write", input_schema: { type: "object", properties: { file_path: {}, content: {} } } },
    { name: "Bash", input_schema: { type: "object", properties: { command: {}, description: {} } } },
  ];
  const ask = async (messages, stream = false) => (await post("/v1/messages?beta=true", { model: "m", system: "Working directory: /w", tools, messages, stream }));
  const messages = [{ role: "user", content: [{ type: "text", text: "<system-reminder>x</system-reminder>" }, { type: "text", text: "hi" }] }];
  const first = await (await ask(messages)).json();
  assert.equal(first.stop_reason, "tool_use");
  const call = first.content.find((b) => b.type === "tool_use");
  assert.equal(call.name, "Write");
  assert.equal(call.input.file_path, "/w/hello.txt");
  assert.deepEqual(await (await ask(messages)).json(), first, "the same conversation gets the same reply");
  messages.push({ role: "assistant", content: first.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "ok" }] });
  const streamed = events(await (await ask(messages, true)).text());
  assert.equal(streamed.at(-1).type, "message_stop");
  assert.equal(streamed.filter((e) => e.delta?.type === "text_delta").map((e) => e.delta.text).join(""), "Now I will look at it.");
  const input = streamed.filter((e) => e.delta?.type === "input_json_delta").map((e) => e.delta.partial_json).join("");
  assert.equal(JSON.parse(input).command, "cat hello.txt && wc -l hello.txt");
  assert.equal(model.requests.at(-1).turn, 1);
}));

test("Responses: a patch tool and a shell tool are used where those are offered", () => withModel(hello(), async (model, post) => {
  const tools = [{ type: "function", name: "exec_command", parameters: {} }, { type: "custom", name: "apply_patch" }];
  const input = [{ type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] }];
  const first = events(await (await post("/v1/responses", { model: "m", input, tools, stream: true })).text());
  const patch = first.find((e) => e.type === "response.output_item.done" && e.item.type === "custom_tool_call").item;
  assert.match(patch.input, /^\*\*\* Begin Patch\n\*\*\* Add File: hello\.txt\n\+hello from the script\n\*\*\* End Patch$/);
  assert.equal(first.at(-1).type, "response.completed");
  input.push(patch, { type: "custom_tool_call_output", call_id: patch.call_id, output: "done" });
  const second = await (await post("/v1/responses", { model: "m", input, tools })).json();
  assert.match(second.output.at(-1).arguments, /cat hello\.txt/);
}));

test("Chat Completions: alternatives look at the last result", () => withModel(hello(), async (model, post) => {
  const tools = [{ type: "function", function: { name: "bash", parameters: {} } }];
  const done = (content) => [
    { role: "user", content: "hi" },
    { role: "assistant", tool_calls: [{ id: "a", type: "function", function: { name: "bash", arguments: "{}" } }] }, { role: "tool", tool_call_id: "a", content: "" },
    { role: "assistant", tool_calls: [{ id: "b", type: "function", function: { name: "bash", arguments: "{}" } }] }, { role: "tool", tool_call_id: "b", content },
  ];
  const say = async (content) => (await (await post("/v1/chat/completions", { model: "m", tools, messages: done(content) })).json()).choices[0].message.content;
  assert.equal(await say("hello from the script"), "hello.txt is in place.");
  assert.equal(await say("no such file"), "That did not work: no such file");
}));

test("side requests, failures, unknown tools, cut streams", () => withModel(loadScript(here("examples/conversation.json")), async (model, post) => {
  const tools = [{ name: "Other", input_schema: {} }];
  const ask = (text, more = {}) => post("/v1/messages", { model: "m", tools, messages: [{ role: "user", content: text }], ...more });
  const textOf = async (r) => (await r.json()).content[0].text;
  assert.equal(await textOf(await ask("x", { tools: [], system: "Write a title" })), "A scripted title");
  const schema = { type: "object", properties: { title: { type: "string" } } };
  assert.deepEqual(JSON.parse(await textOf(await ask("x", { tools: [], output_config: { format: { type: "json_schema", schema } } }))), { title: "scripted" });
  const busy = await ask("try when busy");
  assert.equal(busy.status, 529);
  assert.equal((await busy.json()).error.type, "overloaded_error");
  assert.equal(await textOf(await ask("try when busy")), "It went through.");
  assert.match(await textOf(await ask("look around")), /tool "shell" is not offered/);
  assert.equal(await textOf(await ask("anything else")), "I have no script for that.");
  await assert.rejects(async () => (await ask("break the stream", { stream: true })).text());
  assert.equal((await post("/v1/messages/count_tokens", { messages: [] })).status, 200);
  assert.equal((await fetch(`${model.url}/v1/models`)).status, 200);
  assert.equal((await fetch(`${model.url}/v1/nothing`)).status, 404);
}));

test("a script with an unknown key is refused", () => {
  assert.throws(() => checkScript({ turns: [{ txt: "x" }] }), /unknown key "txt"/);
});
