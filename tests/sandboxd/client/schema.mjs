// Holds a value against a schema, for as much of JSON Schema as the OpenAPI document uses.

const kinds = {
  string: v => typeof v === "string",
  boolean: v => typeof v === "boolean",
  integer: v => Number.isInteger(v),
  null: v => v === null,
  array: v => Array.isArray(v),
  object: v => typeof v === "object" && v !== null && !Array.isArray(v),
};
const known = new Set(["$ref", "type", "enum", "const", "minimum", "maximum", "minLength", "maxLength", "format", "description",
  "default", "required", "properties", "additionalProperties", "items", "maxItems", "oneOf"]);

/** What is wrong with the value, or undefined. Fields that the schema does not name are wrong too. */
export function mismatch(schema, value, document, at = "$") {
  for (const word of Object.keys(schema)) if (!known.has(word)) throw new Error(`the schema at ${at} uses ${word}`);
  if (schema.$ref) {
    const target = schema.$ref.slice(2).split("/").reduce((in_, name) => in_?.[name], document);
    if (!target) throw new Error(`nothing at ${schema.$ref}`);
    return mismatch(target, value, document, at);
  }
  if (schema.oneOf) {
    const faults = schema.oneOf.map(one => mismatch(one, value, document, at));
    return faults.filter(fault => !fault).length === 1 ? undefined : `${at} fits not exactly one: ${faults.join("; ")}`;
  }
  if ("const" in schema && value !== schema.const) return `${at} is ${JSON.stringify(value)}, not ${schema.const}`;
  if (schema.enum && !schema.enum.includes(value)) return `${at} is ${JSON.stringify(value)}, none of ${schema.enum}`;
  if (schema.type && ![schema.type].flat().some(kind => kinds[kind](value))) return `${at} is no ${schema.type}: ${JSON.stringify(value)}`;
  if (value < schema.minimum || value > schema.maximum) return `${at} is ${value}, beyond ${schema.minimum} to ${schema.maximum}`;
  if (Array.isArray(value) && schema.items) {
    if (value.length > schema.maxItems) return `${at} has ${value.length} items`;
    for (const [i, item] of value.entries()) {
      const wrong = mismatch(schema.items, item, document, `${at}[${i}]`);
      if (wrong) return wrong;
    }
  }
  if (kinds.object(value) && (schema.properties || schema.additionalProperties)) {
    for (const name of schema.required ?? []) if (!(name in value)) return `${at} lacks ${name}`;
    for (const [name, inner] of Object.entries(value)) {
      const rule = schema.properties?.[name] ?? schema.additionalProperties;
      // Problems carry what belongs to their kind.
      if (!rule && schema !== document.components.schemas.Problem) return `${at} has ${name}, which is not documented`;
      const wrong = rule && mismatch(rule, inner, document, `${at}.${name}`);
      if (wrong) return wrong;
    }
  }
  return undefined;
}
