// What the model says, as JSON: read and checked.
import { readFileSync } from "node:fs";

export function loadScript(path) {
  return checkScript(JSON.parse(readFileSync(path, "utf8")));
}

export function checkScript(script) {
  const fail = (where, what) => {
    throw new Error(`script: ${where}: ${what}`);
  };
  if (script === null || typeof script !== "object" || Array.isArray(script)) fail("top level", "not an object");
  known(script, ["name", "about", "models", "usage", "rules", "scenarios", "turns", "fallback"], "top level");
  const checkTurn = (turn, where) => {
    if (turn === null || typeof turn !== "object") fail(where, "not an object");
    known(turn, ["when", "choose", "text", "thinking", "calls", "usage", "delayMs", "chunkChars", "chunkDelayMs",
      "fail", "dropAfterChunks", "stop"], where);
    if (turn.choose) turn.choose.forEach((t, i) => checkTurn(t, `${where}.choose[${i}]`));
    else if (turn.text === undefined && !turn.calls?.length && !turn.fail && !turn.thinking) {
      fail(where, "needs one of text, calls, thinking, fail, choose");
    }
    (turn.calls ?? []).forEach((c, i) => {
      known(c, ["tool", "input"], `${where}.calls[${i}]`);
      if (typeof c.tool !== "string") fail(`${where}.calls[${i}]`, "tool is not a string");
    });
  };
  function known(object, keys, where) {
    for (const key of Object.keys(object)) if (!keys.includes(key)) fail(where, `unknown key "${key}"`);
  }
  const regex = (value, where) => {
    if (value === undefined) return undefined;
    try {
      return new RegExp(value, "s");
    } catch (e) {
      return fail(where, e.message);
    }
  };
  const scenarios = (script.scenarios ?? []).map((s, i) => {
    const where = `scenarios[${i}]`;
    known(s, ["name", "prompt", "withoutTools", "turns"], where);
    if (!s.turns?.length) fail(where, "no turns");
    s.turns.forEach((t, j) => checkTurn(t, `${where}.turns[${j}]`));
    return { name: s.name ?? `scenario ${i}`, prompt: regex(s.prompt, where), withoutTools: !!s.withoutTools, turns: s.turns };
  });
  if (script.turns) {
    script.turns.forEach((t, j) => checkTurn(t, `turns[${j}]`));
    scenarios.push({ name: "default", prompt: undefined, withoutTools: false, turns: script.turns });
  }
  const rules = (script.rules ?? []).map((r, i) => {
    const where = `rules[${i}]`;
    known(r, ["name", "when", "reply"], where);
    checkTurn(r.reply ?? fail(where, "no reply"), `${where}.reply`);
    const w = r.when ?? fail(where, "no when");
    known(w, ["path", "model", "system", "prompt", "tools"], `${where}.when`);
    return {
      name: r.name ?? `rule ${i}`,
      reply: r.reply,
      path: regex(w.path, where),
      model: regex(w.model, where),
      system: regex(w.system, where),
      prompt: regex(w.prompt, where),
      tools: w.tools,
    };
  });
  if (script.fallback) checkTurn(script.fallback, "fallback");
  return { ...script, models: script.models ?? ["scripted-model"], scenarios, rules };
}
