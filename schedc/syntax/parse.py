"""Source to tree.

Input: a `Source` (any text). Output: a `PolicyTree` and diagnostics, E01xx. Invariant: it never
raises, and it takes well below a second whatever the text is; without diagnostics the tree says all
that the source says; with some, the tree holds every statement that could be read, and
`PolicyTree.broken` names the others, so that later passes can keep quiet about what they miss.
"""

from __future__ import annotations

from schedc.diagnostics.model import Diagnostic, error, sort_key
from schedc.source import Source, Span
from schedc.syntax import tables
from schedc.syntax.lex import lex
from schedc.syntax.machine import Machine
from schedc.syntax.tree import PolicyTree


def parse(source: Source) -> tuple[PolicyTree, tuple[Diagnostic, ...]]:
    """The tree of a policy, and what is wrong with its syntax in order of position."""
    lexed = lex(source)
    machine = Machine(tables.load())
    problems = lexed.problems
    header, items = None, ()
    for token in lexed.tokens:
        if not machine.offer(token):
            problems.append(error("E0105", f"unexpected `{token.text}`", token.span))
            break
    if machine.result is not None:
        header, items = machine.result
    problems += machine.builder.problems
    tree = PolicyTree(header, items, Span(0, len(source.text)))
    return tree, tuple(sorted(problems, key=sort_key))
