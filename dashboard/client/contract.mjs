// contract.mjs SCHEMAS OUT: writes the types of every body, result, snapshot and stream entry below SCHEMAS, and of
// commands and queries by their names.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [from, out] = process.argv.slice(2);

const literal = value => JSON.stringify(value);
const union = parts => [...new Set(parts)].join(" | ");

function type(schema) {
  if (typeof schema !== "object") return "unknown";
  if ("const" in schema) return literal(schema.const);
  if (schema.enum) return union(schema.enum.map(literal));
  const either = schema.anyOf ?? schema.oneOf;
  if (either) return `(${union(either.map(type))})`;
  if (Array.isArray(schema.type)) return `(${union(schema.type.map(one => type({ ...schema, type: one })))})`;
  switch (schema.type) {
    case "array": return `${type(schema.items ?? {})}[]`;
    case "object": return object(schema);
    case "integer": case "number": return "number";
    case "string": case "boolean": case "null": return schema.type;
    default: return "unknown";
  }
}

function object(schema) {
  const required = new Set(schema.required);
  const members = Object.entries(schema.properties ?? {})
    .map(([name, value]) => `${literal(name)}${required.has(name) ? "" : "?"}: ${type(value)}`);
  if (schema.additionalProperties !== false)
    members.push(`[name: string]: ${members.length ? "any" : typeof schema.additionalProperties === "object" ? type(schema.additionalProperties) : "any"}`);
  return `{ ${members.join("; ")} }`;
}

const words = text => text.split(/[._-]/).filter(Boolean).map(word => word[0].toUpperCase() + word.slice(1)).join("");
const lines = ["// Made from schemas/ by contract.mjs."], messages = new Map();
for (const kind of readdirSync(from, { withFileTypes: true }).filter(one => one.isDirectory()).map(one => one.name).sort()) {
  for (const file of readdirSync(join(from, kind)).filter(name => name.endsWith(".json")).sort()) {
    const stem = file.slice(0, -".json".length), message = /^(.*)\.(body|result)$/.exec(stem);
    const name = words(message ? stem : `${kind}.${stem}`);
    lines.push(`export type ${name} = ${type(JSON.parse(readFileSync(join(from, kind, file), "utf8")))};`);
    if (message) messages.set(message[1], { ...messages.get(message[1]), [message[2]]: name });
  }
}
lines.push("", "/** Commands and queries: what they take and what they answer. */", "export interface Messages {");
for (const [name, { body = "{}", result = "unknown" }] of messages) lines.push(`  ${literal(name)}: { body: ${body}; result: ${result} };`);
writeFileSync(out, `${lines.join("\n")}\n}\n`);
