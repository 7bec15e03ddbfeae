"""Writes the generated parts of the documentation.

Input: the tables of the compiler (facts). Output: the text between `<!-- generated: NAME -->` and
`<!-- end -->` in docs/language. Run it as `python docs/generate.py` after a change to the tables;
`tests/docs` fails while a page is out of date. Invariant: nothing outside of the markers changes.
"""

from __future__ import annotations

import re
from pathlib import Path

from schedc.diagnostics.codes import CODES
from schedc.ir.facts import FACTS, YEAR_NS, Fact
from schedc.ir.nodes import Kind
from schedc.passes import declarations, extend
from schedc.passes import limits as passes
from schedc.source import MAX_BYTES

FOLDER = Path(__file__).parent / "language"


def facts() -> str:
    """The table of facts."""
    rows = ["| fact | type | range | meaning |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{fact.name}` | {fact.type.kind.value} | {_range(fact)} | {fact.doc} |"
        for fact in FACTS.values()
    ]
    return "\n".join(rows)


def _range(fact: Fact) -> str:
    if fact.type.kind is Kind.BOOL:
        return ""
    low, high = fact.range.low, fact.range.high
    if high == YEAR_NS:
        return "up to a year"
    unit = " %" if fact.type.kind is Kind.RATIO else ""
    return f"{low} to {high}{unit}"


def limits() -> str:
    """The table of limits."""
    rows = [
        ("bytes of source", f"{MAX_BYTES // 1024} KiB"),
        *((what, limit) for _, what, limit in passes._DECLARATIONS),
        ("lines of `dispatch`", passes.MAX_LINES),
        ("rungs of one `place`", passes.MAX_RUNGS),
        ("assignments in one event", passes.MAX_ASSIGNS),
        ("patterns of `comm`, in all", passes.MAX_COMMS),
        ("paths of `exe`, and of `cgroup`, in all", passes.MAX_PATHS),
        ("rows of a `table`", passes.MAX_ROWS),
        ("levels of an expression", passes.MAX_DEPTH),
        ("tasks of `assume runnable`", declarations.MAX_RUNNABLE),
        ("control groups of `assume cgroups`", declarations.MAX_CGROUPS),
        ("policies, each extending the next", extend.MAX_DEPTH),
    ]
    lines = [f"| {what} | {limit} |" for what, limit in rows]
    return "\n".join(["| | at most |", "| --- | --- |", *lines])


def warnings() -> str:
    """The table of lints about policies."""
    rows = [f"| {one.code} | {one.title} |" for one in CODES.values() if one.severity == "warning"]
    return "\n".join(["| code | |", "| --- | --- |", *rows])


PARTS = {"facts": facts, "limits": limits, "warnings": warnings}
_PART = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def regenerated(text: str) -> str:
    """A page with its generated parts as they should be."""
    return _PART.sub(lambda m: f"{m[1]}{PARTS[m[2]]()}\n{m[4]}", text)


def main() -> None:
    for path in sorted(FOLDER.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        new = regenerated(text)
        if new != text:
            path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
