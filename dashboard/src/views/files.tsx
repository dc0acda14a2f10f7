// The files of the sandbox as they are now: a tree that is read as one opens it, and one file with its lines.
import { useEffect, useState } from "preact/hooks";
import type { TaskSnapshot } from "../../client";
import { useActions } from "../keys";
import { Pieces, useColours } from "../parts/colours";
import { Notice } from "../parts/notice";
import { VirtualList } from "../parts/virtual";
import { bytes } from "../parts/words";
import { listFolder, longestFile, readFile, workspace, type FileShown, type FolderEntry } from "../sandbox";
import { InsideView, type Inside } from "./inside";

const lineHeight = 19;

export function Files({ data, acts }: { data: TaskSnapshot; acts: boolean }) {
  return <InsideView data={data} acts={acts}>{inside => <Tree key={inside.key} inside={inside} at={data.diff.at} changed={new Set(data.files.map(one => `${workspace}/${one.path}`))} />}</InsideView>;
}

/** `at`: when somebody last looked at what changed; the files are read again then. */
function Tree({ inside, at, changed }: { inside: Inside; at?: number; changed: Set<string> }) {
  const [chosen, choose] = useState<FolderEntry>(), [round, again] = useState(0);
  useActions([{ key: "r", name: "Read the files again", run: () => again(round + 1) }]);
  return (
    <div class="split files">
      <nav aria-label="Files">
        <button type="button" class="small" onClick={() => again(round + 1)}>Read again</button>
        <Folder door={inside.door} path={workspace} version={`${round} ${at}`} chosen={chosen?.path} choose={choose} changed={changed} />
      </nav>
      {chosen ? <FileView key={chosen.path} door={inside.door} path={chosen.path} version={`${round} ${at}`} />
        : <div class="alone"><p class="quiet">Choose a file.</p></div>}
    </div>
  );
}

interface FolderShown { door: string; path: string; version: string; chosen?: string; choose(entry: FolderEntry): void; changed: Set<string> }

function Folder(shown: FolderShown) {
  const { door, path, version, chosen, choose, changed } = shown;
  const [entries, find] = useState<FolderEntry[]>(), [failure, fail] = useState<string>(), [open, toggle] = useState(new Set<string>());
  useEffect(() => {
    let here = true;
    listFolder(door, path).then(found => { if (here) { find(found); fail(undefined); } }, why => { if (here) fail(why.message); });
    return () => { here = false; };
  }, [door, path, version]);
  if (failure) return <p class="bad">{failure}</p>;
  if (!entries) return <p class="quiet" aria-busy="true">…</p>;
  const press = (one: FolderEntry) => {
    if (one.entryType === "file") return choose(one);
    const next = new Set(open);
    if (!next.delete(one.path)) next.add(one.path);
    toggle(next);
  };
  const holds = (one: FolderEntry) => one.entryType === "directory" ? [...changed].some(file => file.startsWith(`${one.path}/`)) : changed.has(one.path);
  return <ul>{entries.map(one => <li key={one.path}>
    <button type="button" class="plain file" aria-expanded={one.entryType === "directory" ? open.has(one.path) : undefined}
      aria-current={one.path === chosen ? "true" : undefined} onClick={() => press(one)}>
      <i aria-hidden="true">{one.entryType === "file" ? "" : open.has(one.path) ? "▾" : "▸"}</i><span class={`name ${holds(one) ? "warn" : ""}`}>{one.name}</span>
      {holds(one) && <span class="unseen">changed</span>}</button>
    {open.has(one.path) && <Folder {...shown} path={one.path} />}
  </li>)}{!entries.length && <li class="quiet">empty</li>}</ul>;
}

function FileView({ door, path, version }: { door: string; path: string; version: string }) {
  const [found, find] = useState<FileShown>(), [failure, fail] = useState<string>();
  useEffect(() => {
    let here = true;
    readFile(door, path).then(file => { if (here) { find(file); fail(undefined); } }, why => { if (here) fail(why.message); });
    return () => { here = false; };
  }, [door, path, version]);
  const colours = useColours(found?.text, path), name = path.slice(workspace.length + 1);
  const lines = found?.text?.replace(/\n$/, "").split("\n") ?? [];
  return (
    <section class="fileview" aria-label={name}>
      <div class="tools"><h2 class="mono">{name}</h2>{found && <span class="quiet">{bytes(found.size)}</span>}<span class="grow" />
        <a class="button small" href={`${door}/fs/file?path=${encodeURIComponent(path)}`} download={name.split("/").at(-1)}>Download</a></div>
      {failure ? <Notice tone="bad">The file could not be read: {failure}</Notice> : !found ? <p class="quiet" aria-busy="true">Loading …</p>
        : found.text === undefined ? <p class="quiet">A binary file: there is nothing to show line by line.</p>
          : found.size === 0 ? <p class="quiet">The file is empty.</p>
            : <VirtualList count={lines.length} height={lineHeight} label={`Lines of ${name}`}
              row={index => <li class="codeline mono" key={index}><span class="number">{index + 1}</span><Pieces pieces={colours?.[index]} text={lines[index]!} /></li>} />}
      {found?.cut && <p class="quiet">Only the first {bytes(longestFile)} are shown.</p>}
    </section>
  );
}
