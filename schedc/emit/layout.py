"""The look of the C: what a kernel developer expects of blank lines, declarations and long lines.

Input: C as the templates and functions make it: each statement on one line, tabs right,
declarations of a function's outermost block anywhere in it. Output: the same program with
declarations at the top of the block, one blank line after them, and no line over `WIDTH` columns
where it can be broken. Invariant: only white space, and where a value is assigned to a local
variable, change.

Lines between the marks of `schedc.emit.functions` come from a line of the policy; so do the parts
that one of them is broken into.
"""

from __future__ import annotations

import re

WIDTH = 100
TAB = 8
_DEEPEST = 64

_TYPE = r"(?:(?:struct \w+|[us](?:8|16|32|64)|bool|int) \*?)"
_DECLARATION = re.compile(rf"\t(?P<type>(?:const )?{_TYPE})(?P<name>\w+)(?P<rest>(?: = |, |;).*)$")
_MARKS = "\x01\x02"


def tidy(text: str) -> str:
    """The whole layout."""
    lines: list[str] = []
    body: list[str] | None = None
    for line in text.split("\n"):
        if body is not None:
            if line == "}":
                lines += [*_body(body), line]
                body = None
            else:
                body.append(line)
            continue
        lines.append(line)
        if line == "{":
            body = []
    lines += body or []
    return "\n".join(part for line in _spaced(lines) for part in wrap(line))


def _body(lines: list[str]) -> list[str]:
    """A function's outermost block with its declarations first."""
    top: list[str] = []
    rest: list[str] = []
    for line in lines:
        found = _DECLARATION.match(line)
        if found is None:
            rest += [line] if line.strip() or rest else []
        elif not any(other.strip() for other in rest):
            top.append(line)
        else:
            # What stands before it may be needed for its value: only the name goes to the top.
            top.append(f"\t{found['type']}{found['name']};")
            rest.append(f"\t{found['name']}{found['rest']}")
    return [*top, "", *rest] if top and rest else [*top, *rest]


def _spaced(lines: list[str]) -> list[str]:
    """No two blank lines, none at the ends of a block or between a mark and its lines."""
    out: list[str] = []
    for line in lines:
        line = line.rstrip()
        if line.strip() == "}" or line == "};":
            while out and not out[-1]:
                out.pop()
        if not line and (not out or not out[-1] or out[-1].endswith("{")):
            continue
        out.append(line)
    return out


def wrap(line: str) -> list[str]:
    """A line broken at `WIDTH`: after `&&`, `||`, `,`, `?` or before `:`, as far out as can be. The
    rest stands below what follows the parenthesis that is still open, or two tabs further in."""
    if line.lstrip().startswith(("#", "/*", "*", *_MARKS)):
        return [line]
    base = columns(line[: len(line) - len(line.lstrip())])
    opened: list[int] = []
    out = []
    while columns(line) > WIDTH and (place := _break(line)) is not None:
        head = line[:place].rstrip()
        for i, char in enumerate(head):
            if char in "([{":
                opened.append(columns(head[: i + 1]))
            elif char in ")]}" and opened:
                opened.pop()
        indent = opened[-1] if opened and opened[-1] <= _DEEPEST else base + 2 * TAB
        line = "\t" * (indent // TAB) + " " * (indent % TAB) + line[place:].lstrip()
        out.append(head)
    return [*out, line]


def columns(text: str) -> int:
    """Width on a terminal with tabs of eight."""
    return len(text.expandtabs(TAB))


def _break(line: str) -> int | None:
    """Where to break: at the least nesting that lets the first part fit, as late as possible."""
    best: tuple[int, int] | None = None
    depth = 0
    start = len(line) - len(line.lstrip())
    for i, char in enumerate(line):
        depth += (char in "([{") - (char in ")]}")
        after = i + 1
        if line[i : i + 3] == " : ":
            after = i
        elif line[i : i + 2] != ", " and line[max(0, i - 1) : i + 2] not in ("&& ", "|| ", " ? "):
            continue
        if start < after and columns(line[:after]) <= WIDTH and (best is None or depth <= best[0]):
            best = (depth, after)
    return best[1] if best else None
