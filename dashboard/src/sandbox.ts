// What is inside a sandbox: through the server's door, for members.
export const workspace = "/workspace";
export const longestFile = 512 * 1024;

export interface FolderEntry { name: string; path: string; entryType: "file" | "directory"; size: number }
export interface FileShown { text?: string; size: number; cut: boolean }

/** "org/acme/sandbox/s1" → where its API is. */
export function doorOf(sandboxKey: string): string {
  const [, org, , sandbox] = sandboxKey.split("/");
  return `/sandboxes/${org}/${sandbox}/v1`;
}

const why = async (answer: Response, path: string) =>
  new Error((await answer.json().catch(() => undefined))?.detail ?? `${path}: ${answer.status}`);

export async function listFolder(door: string, path: string): Promise<FolderEntry[]> {
  const answer = await fetch(`${door}/fs/entries?path=${encodeURIComponent(path)}`);
  if (!answer.ok) throw await why(answer, path);
  const entries: FolderEntry[] = await answer.json();
  return entries.map(one => ({ ...one, path: `${path}/${one.name}` }))
    .sort((a, b) => a.entryType === b.entryType ? a.name.localeCompare(b.name) : a.entryType === "directory" ? -1 : 1);
}

/** The beginning of a file; without a text when it is none. */
export async function readFile(door: string, path: string): Promise<FileShown> {
  const answer = await fetch(`${door}/fs/file?path=${encodeURIComponent(path)}`, { headers: { Range: `bytes=0-${longestFile - 1}` } });
  // An empty file has no bytes to give a range of.
  if (answer.status === 416) return { text: "", size: 0, cut: false };
  if (!answer.ok) throw await why(answer, path);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const size = Number(/\/(\d+)$/.exec(answer.headers.get("Content-Range") ?? "")?.[1] ?? bytes.length);
  const cut = size > bytes.length;
  if (bytes.includes(0)) return { size, cut };
  return { text: new TextDecoder().decode(bytes), size, cut };
}
