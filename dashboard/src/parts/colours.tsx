// Syntax colours: texts become pieces with a name each, elements and never markup.
import { useEffect, useState } from "preact/hooks";
import type { Line } from "./diff";

export interface Piece { text: string; name?: string }

const longest = 400_000;
const languages: Record<string, string> = {
  bash: "bash", c: "c", cc: "cpp", cpp: "cpp", cs: "csharp", css: "css", cxx: "cpp", diff: "diff", go: "go", graphql: "graphql", h: "cpp", hpp: "cpp",
  htm: "xml", html: "xml", ini: "ini", java: "java", js: "javascript", json: "json", jsx: "javascript", kt: "kotlin", less: "less", lua: "lua",
  m: "objectivec", md: "markdown", mjs: "javascript", mk: "makefile", patch: "diff", php: "php", pl: "perl", py: "python", r: "r", rb: "ruby", rs: "rust",
  scss: "scss", sh: "bash", sql: "sql", swift: "swift", svg: "xml", toml: "ini", ts: "typescript", tsx: "typescript", vb: "vbnet", xml: "xml",
  yaml: "yaml", yml: "yaml", zsh: "bash",
};
const names: Record<string, string> = { makefile: "makefile", dockerfile: "bash", "cmakelists.txt": "bash" };

export function languageOf(path: string): string | undefined {
  const name = path.split("/").at(-1)!.toLowerCase();
  return names[name] ?? languages[name.split(".").at(-1)!];
}

/** The lines of a text in pieces, as soon as the library is there. */
export function useColours(text: string | undefined, path: string): Piece[][] | undefined {
  const [found, find] = useState<{ text: string; path: string; lines?: Piece[][] }>();
  const language = languageOf(path);
  useEffect(() => {
    if (text === undefined || !language || text.length > longest) return;
    let here = true;
    // Without the library, a server that is away say, text stays as it is.
    import("./colour_library").then(({ coloured }) => { if (here) find({ text, path, lines: coloured(text, language) }); }, () => {});
    return () => { here = false; };
  }, [text, path]);
  return found && found.text === text && found.path === path ? found.lines : undefined;
}

const side = (lines: Line[], out: "add" | "del") => lines.filter(line => line.is !== "gap" && line.is !== out);

/** The pieces of each line of a diff: what stood before and what stands now are coloured each as a text of its own. */
export function useDiffColours(lines: Line[], path: string): (line: Line) => Piece[] | undefined {
  const now = side(lines, "del"), before = side(lines, "add");
  const colouredNow = useColours(now.map(line => line.text).join("\n"), path);
  const colouredBefore = useColours(before.map(line => line.text).join("\n"), path);
  const found = new Map<Line, Piece[] | undefined>();
  before.forEach((line, index) => found.set(line, colouredBefore?.[index]));
  now.forEach((line, index) => found.set(line, colouredNow?.[index]));
  return line => found.get(line);
}

export function Pieces({ pieces, text }: { pieces?: Piece[]; text: string }) {
  return <>{pieces ? pieces.map(one => one.name ? <span class={`code-${one.name}`}>{one.text}</span> : one.text) : text}</>;
}
