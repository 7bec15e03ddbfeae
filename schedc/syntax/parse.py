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
    problems = lexed.problems + reader.problems + machine.builder.problems
    tree = PolicyTree(
        header=None if reader.header_missing else header,
        items=items,
        span=Span(0, len(source.text)),
        broken=tuple(reader.broken),
    )
    return tree, tuple(sorted(problems, key=sort_key)[:MAX_PROBLEMS])
