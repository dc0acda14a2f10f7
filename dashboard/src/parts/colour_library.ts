// The library that knows languages, fetched when a file or a diff is first looked at.
import { common, createLowlight } from "lowlight";
import type { Piece } from "./colours";

const lowlight = createLowlight(common);

/** The text in pieces, line by line. Nothing when the language is not known here. */
export function coloured(text: string, language: string): Piece[][] | undefined {
  if (!lowlight.registered(language)) return undefined;
  const lines: Piece[][] = [[]];
  const take = (node: any, name?: string): void => {
    if (node.type === "text") {
      (node.value as string).split("\n").forEach((part, index) => {
        if (index > 0) lines.push([]);
        if (part) lines.at(-1)!.push({ text: part, name });
      });
    } else {
      const own = node.properties?.className?.[0]?.replace(/^hljs-/, "") ?? name;
      for (const child of node.children ?? []) take(child, own);
    }
  };
  take(lowlight.highlight(language, text));
  return lines;
}
