#!/usr/bin/env python3
"""Draws a flame graph of what `perf record` saw: where the time of one kind of thread goes.

  perf record -F 499 --call-graph dwarf,8192 -o turn.data build/release/bench/troupe-bench --only normal/1/64/on
  perf script -i turn.data --comm caf.multiplexer | bench/flame_graph.py --from run_turn > docs/pictures/turn.svg

Width is time, the caller is below. A tooltip gives name and share.
"""
import argparse
import html
import re
import sys

FRAME = re.compile(r"^\s+[0-9a-f]+ (.+?) \(([^)]*)\)$")
HEIGHT, WIDTH, LEAST = 17, 1200, 0.4  # pixels; a share in percent that is still drawn


def short(name, library):
    """troupe::cell::apply instead of four lines of templates."""
    if name == "[unknown]":
        return "sqlite (inner)" if "sqlite" in library else library.rsplit("/", 1)[-1]
    name = re.sub(r"\+0x[0-9a-f]+$", "", name)
    name = name.replace("(anonymous namespace)::", "").replace(" (inlined)", "")
    depth, out = 0, ""
    for c in name:
        depth += c == "<"
        if depth == 0:
            out += c
        depth -= c == ">"
    return re.sub(r"\(.*", "", out).replace("troupe::", "").strip() or name


def stacks(lines):
    stack = []
    for line in lines:
        if not line.strip():
            if stack:
                yield stack[::-1]
            stack = []
        elif found := FRAME.match(line.rstrip()):
            stack.append(short(found[1], found[2]))
    if stack:
        yield stack[::-1]


class Node:
    def __init__(self):
        self.samples, self.below = 0, {}


def grow(all_stacks, start):
    root, skipped = Node(), re.compile(r"^(std|__|_M_|operator|caf|boost|decltype)|^$|lambda")
    for stack in all_stacks:
        at = next((i for i, name in enumerate(stack) if start in name), None)
        if at is None:
            continue
        node = root
        node.samples += 1
        last = None
        for name in stack[at:]:
            if skipped.match(name) or name == last:
                continue
            last = name
            node = node.below.setdefault(name, Node())
            node.samples += 1
    return root


def draw(node, total, x, depth, out):
    for name, one in sorted(node.below.items()):
        width = one.samples * WIDTH / total
        if one.samples * 100 / total >= LEAST:
            hue = "#d9822b" if name.startswith("sqlite") else "#4a7ebb" if "::" in name else "#8aa05a"
            text = html.escape(name).replace("%", "%%")
            room = max(0, int((width - 10) / 6.7))
            fits = html.escape(name if len(name) <= room else name[:room]).replace("%", "%%")
            share = f"{one.samples * 100 / total:.1f} %%"
            out.append((depth, f'<g><title>{text}: {share}</title><rect x="{x:.1f}" width="{max(width - 0.5, 0.5):.1f}" '
                               f'y="%d" height="{HEIGHT - 1}" fill="{hue}" rx="2"/>'
                               f'<text x="{x + 4:.1f}" y="%d">{fits}</text></g>'))
            draw(one, total, x, depth + 1, out)
        x += width


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--from", dest="start", default="run_turn", help="the function at the bottom")
    root = grow(stacks(sys.stdin), ask.parse_args().start)
    if root.samples == 0:
        sys.exit("flame_graph: no sample on standard input has that function; see --help")
    boxes = []
    draw(root, root.samples, 0, 0, boxes)
    tall = (max(depth for depth, _ in boxes) + 1) * HEIGHT
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {tall + 4}" font-family="monospace" font-size="11">')
    print("<style>text{fill:#fff;pointer-events:none}rect:hover{stroke:#000}</style>")
    for depth, box in boxes:
        y = tall - (depth + 1) * HEIGHT
        print(box % (y, y + 12))
    print("</svg>")


if __name__ == "__main__":
    main()
