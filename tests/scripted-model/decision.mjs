// Which turn of the script answers a conversation.
import { stateOf } from "./conversation.mjs";

// Turns are spent by their tool calls: a turn with two calls is over once two results came back.
function pickTurn(turns, resultCount) {
  let left = resultCount;
  for (let i = 0; i < turns.length; i++) {
    if (left <= 0) return { index: i, turn: turns[i] };
    const calls = turns[i].choose ? Math.max(...turns[i].choose.map((t) => t.calls?.length ?? 0)) : turns[i].calls?.length ?? 0;
    left -= Math.max(calls, 1);
  }
  return { index: turns.length, turn: { text: "Done." } };
}

function pickAlternative(turn, results) {
  if (!turn.choose) return turn;
  const last = results.at(-1) ?? { text: "", isError: false };
  for (const t of turn.choose) {
    const w = t.when ?? {};
    if (w.result !== undefined && !new RegExp(w.result, "s").test(last.text)) continue;
    if (w.isError !== undefined && w.isError !== last.isError) continue;
    return t;
  }
  return { text: "scripted-model: no alternative of this turn applies." };
}

function sampleOf(schema) {
  if (!schema || typeof schema !== "object") return "scripted";
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "object" || schema.properties) {
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([k, v]) => [k, sampleOf(v)]));
  }
  if (type === "array") return [];
  if (type === "integer" || type === "number") return 0;
  if (type === "boolean") return false;
  if (type === "null") return null;
  return "scripted";
}

export function decide(script, request) {
  const { path, model, conversation } = request;
  const state = stateOf(conversation.events);
  const offered = conversation.tools.length > 0;
  for (const rule of script.rules) {
    if (rule.path && !rule.path.test(path)) continue;
    if (rule.model && !rule.model.test(model)) continue;
    if (rule.system && !rule.system.test(conversation.system)) continue;
    if (rule.prompt && !rule.prompt.test(state.wide)) continue;
    if (rule.tools !== undefined && rule.tools !== offered) continue;
    return { by: `rule:${rule.name}`, key: `rule:${rule.name}`, turn: pickAlternative(rule.reply, state.results), state };
  }
  const usable = script.scenarios.filter((s) => offered || s.withoutTools);
  for (const test of [(s) => s.prompt?.exec(state.prompt), (s) => s.prompt?.exec(state.wide), (s) => (s.prompt ? null : [])]) {
    for (const s of usable) {
      const match = test(s);
      if (!match) continue;
      const { index, turn } = pickTurn(s.turns, state.results.length);
      return {
        by: `scenario:${s.name}`, key: `scenario:${s.name}#${index}`, index, match, state,
        turn: pickAlternative(turn, state.results),
      };
    }
  }
  if (!offered) {
    const text = conversation.schema ? JSON.stringify(sampleOf(conversation.schema)) : "scripted side reply";
    return { by: "side", key: "side", turn: { text }, state };
  }
  const turn = script.fallback ?? { text: "scripted-model: no scenario matches this prompt." };
  return { by: "fallback", key: "fallback", turn, state };
}

// ---------------------------------------------------------------------------------------------------------
