// Markdown as elements. Nothing that an agent writes is ever read as HTML, and a link leads only to http, https or mail.
import { marked, type Token, type Tokens } from "marked";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";

const safe = /^(https?:|mailto:)/i;
// In text, though not in code, these stand for what they name.
const entities: Record<string, string> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": "\"", "&#39;": "'" };
const plain = (text: string) => text.replace(/&(amp|lt|gt|quot|#39);/g, whole => entities[whole]!);

function link(href: string, inside: ComponentChildren) {
  return safe.test(href) ? <a href={href} target="_blank" rel="noopener noreferrer">{inside}</a> : <>{inside}</>;
}

const all = (tokens: Token[] | undefined) => (tokens ?? []).map(element);

function element(token: Token): ComponentChildren {
  switch (token.type) {
    case "space": return null;
    case "heading": {
      // The page has a heading of its own above these.
      const Tag = `h${Math.min(6, (token as Tokens.Heading).depth + 2)}` as "h3";
      return <Tag>{all(token.tokens)}</Tag>;
    }
    case "paragraph": return <p>{all(token.tokens)}</p>;
    case "text": return token.tokens ? <>{all(token.tokens)}</> : plain(token.text);
    case "escape": return plain(token.text);
    case "strong": return <strong>{all(token.tokens)}</strong>;
    case "em": return <em>{all(token.tokens)}</em>;
    case "del": return <del>{all(token.tokens)}</del>;
    case "codespan": return <code>{token.text}</code>;
    case "br": return <br />;
    case "hr": return <hr />;
    case "code": return <pre tabIndex={0}><code>{token.text}</code></pre>;
    case "blockquote": return <blockquote>{all(token.tokens)}</blockquote>;
    case "link": return link(token.href, all(token.tokens));
    // Pictures are not fetched: an address can carry away what the agent knows.
    case "image": return link(token.href, token.text || token.href);
    case "list": {
      const list = token as Tokens.List, items = list.items.map(item =>
        <li>{item.task && <input type="checkbox" checked={item.checked} disabled aria-label={item.text} />}{all(item.tokens)}</li>);
      return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>;
    }
    case "table": {
      const table = token as Tokens.Table;
      return <div class="scroll" tabIndex={0}><table>
        <thead><tr>{table.header.map(cell => <th>{all(cell.tokens)}</th>)}</tr></thead>
        <tbody>{table.rows.map(row => <tr>{row.map(cell => <td>{all(cell.tokens)}</td>)}</tr>)}</tbody>
      </table></div>;
    }
    default: return token.raw;
  }
}

export function Markdown({ text }: { text: string }) {
  return <div class="markdown">{useMemo(() => all(marked.lexer(text, { gfm: true, breaks: true })), [text])}</div>;
}
