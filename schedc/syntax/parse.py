"""Source to tree.

Input: a `Source` (any text). Output: a `PolicyTree` and diagnostics, E01xx. Invariant: it never
raises, and it takes well below a second whatever the text is; without diagnostics the tree says all
that the source says; with some, the tree holds every statement that could be read, and
`PolicyTree.broken` names the others, so that later passes can keep quiet about what they miss.
"""

from __future__ import annotations

from schedc.diagnostics.model import Diagnostic, sort_key
from schedc.source import Source, Span
from schedc.syntax import tables
from schedc.syntax.lex import lex
from schedc.syntax.machine import Machine
from schedc.syntax.recover import MAX_PROBLEMS, Reader
from schedc.syntax.tree import PolicyTree


def parse(source: Source) -> tuple[PolicyTree, tuple[Diagnostic, ...]]:
    """The tree of a policy, and what is wrong with its syntax in order of position."""
    lexed = lex(source)
    machine = Machine(tables.load())
    reader = Reader(source, machine, lexed.tokens)
    reader.run()
    header, items = machine.result
    problems = _without_noise(lexed.problems, reader) + reader.problems + machine.builder.problems
    tree = PolicyTree(
        header=None if reader.header_missing else header,
        items=items,
        span=Span(0, len(source.text)),
        broken=tuple(reader.broken),
    )
    return tree, tuple(sorted(problems, key=sort_key)[:MAX_PROBLEMS])


def _without_noise(problems: list[Diagnostic], reader: Reader) -> list[Diagnostic]:
    """What the characters say, without those of text that is no policy and has its diagnostic."""
    kept: list[Diagnostic] = []
    said: set[Span] = set()
    for span in reader.skipped:
        if any(_within(found, span) for found in reader.problems):
            said.add(span)
    for found in problems:
        around = next((span for span in reader.skipped if _within(found, span)), None)
        if around is None or around not in said:
            kept.append(found)
        if around is not None:
            said.add(around)
    return kept


def _within(found: Diagnostic, span: Span) -> bool:
    return found.span is not None and span.start <= found.span.start < max(span.end, span.start + 1)
