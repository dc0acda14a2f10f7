// A terminal of a sandbox in an element of the page. Fetched with its library when somebody first opens one.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { pauseBefore } from "../../client";

export type TerminalState = { is: "connecting" } | { is: "live" } | { is: "lost"; next: number } | { is: "ended"; code: number | null };

/** xterm.js writes style elements and attributes, which the policy for content forbids: they become
 * sheets of the document and properties. It asks the document itself for elements, so that one is told. */
function createElement(name: string, options?: ElementCreationOptions): HTMLElement {
  const made: HTMLElement = Document.prototype.createElement.call(document, name === "style" ? "template" : name, options);
  if (name === "span") {
    made.setAttribute = (attribute, value) => {
      if (attribute === "style") made.style.cssText = value;
      else Element.prototype.setAttribute.call(made, attribute, value);
    };
  }
  if (name === "style") {
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets.push(sheet);
    Object.defineProperty(made, "textContent", { set: (text: string) => sheet.replaceSync(text) });
    made.remove = () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter(one => one !== sheet);
      Element.prototype.remove.call(made);
    };
  }
  return made;
}

document.createElement = createElement as typeof document.createElement;

function theme() {
  const style = getComputedStyle(document.documentElement), colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return { background: colour("back"), foreground: colour("text"), cursor: colour("accent"), cursorAccent: colour("back"), selectionBackground: colour("mark"),
    black: colour("code"), red: colour("bad"), green: colour("good"), yellow: colour("warn"), blue: colour("busy"), magenta: colour("bad"), cyan: colour("accent"), white: colour("dim"),
    brightBlack: colour("dim"), brightRed: colour("bad"), brightGreen: colour("good"), brightYellow: colour("warn"), brightBlue: colour("busy"), brightMagenta: colour("bad"), brightCyan: colour("accent"), brightWhite: colour("text") };
}

export interface Attached {
  focus(): void;
  hurry(): void;
  dispose(): void;
}

/** Shows the terminal at `path` and what it said last; comes back by itself when the connection is lost. */
export function attach(into: HTMLElement, path: string, onState: (state: TerminalState) => void, leave: () => void): Attached {
  const terminal = new Terminal({ fontFamily: "ui-monospace, Menlo, Consolas, monospace", fontSize: 13, scrollback: 10_000, screenReaderMode: true, theme: theme() });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(into);
  terminal.attachCustomKeyEventHandler(event => {
    if (!(event.type === "keydown" && event.key === "Escape" && event.shiftKey)) return true;
    leave();
    return false;
  });
  let socket: WebSocket | undefined, timer: ReturnType<typeof setTimeout> | undefined, attempt = 0, over = false;
  const send = (frame: object) => { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame)); };
  const connect = () => {
    clearTimeout(timer);
    onState({ is: "connecting" });
    const mine = socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${path}`);
    mine.binaryType = "arraybuffer";
    mine.onmessage = event => {
      if (typeof event.data !== "string") return terminal.write(new Uint8Array(event.data));
      const frame = JSON.parse(event.data);
      if (frame.type === "ready") {
        attempt = 0;
        terminal.reset();
        fit.fit();
        send({ type: "resize", cols: terminal.cols, rows: terminal.rows });
        onState({ is: "live" });
      }
      if (frame.type === "exit") {
        over = true;
        onState({ is: "ended", code: frame.exitCode ?? null });
      }
    };
    mine.onclose = () => {
      if (over || mine !== socket) return;
      const pause = pauseBefore(attempt++);
      timer = setTimeout(connect, pause);
      onState({ is: "lost", next: Date.now() + pause });
    };
  };
  const typed = terminal.onData(data => send({ type: "input", data }));
  const raw = terminal.onBinary(data => send({ type: "input", data: btoa(data), encoding: "base64" }));
  const sized = terminal.onResize(({ cols, rows }) => send({ type: "resize", cols, rows }));
  const watch = new ResizeObserver(() => { if (into.clientHeight > 0) fit.fit(); });
  watch.observe(into);
  connect();
  return {
    focus: () => terminal.focus(),
    hurry: () => { if (!over && socket?.readyState !== WebSocket.OPEN) connect(); },
    dispose: () => {
      over = true;
      clearTimeout(timer);
      watch.disconnect();
      for (const one of [typed, raw, sized]) one.dispose();
      socket?.close();
      terminal.dispose();
    },
  };
}
