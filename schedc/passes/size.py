"""How large expressions become once sugar is expanded.

Input: lowered expressions. Output: E0312. Invariant: after this pass, expressions are small enough
to be walked recursively and printed as C: a `let` used twice in each of a chain of `let`s, or
tables inside tables, would otherwise double at each step.
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.ir.walk import children, roots
from schedc.passes.report import Report
from schedc.source import Span

MAX_DEPTH = 120
MAX_NODES = 1000
MAX_TOTAL = 8000


class Sizes:
    """Nodes and depth of expressions, known by identity; shared parts are measured once."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[int, int]] = {}
        self.alive: list[ir.Expr] = []

    def measure(self, root: ir.Expr) -> tuple[int, int]:
        """(nodes as a tree, depth) of an expression."""
        stack = [root]
        while stack:
            expr = stack[-1]
            if id(expr) in self.known:
                stack.pop()
                continue
            parts = children(expr)
            missing = [part for part in parts if id(part) not in self.known]
            if missing:
                stack += missing
                continue
            stack.pop()
            measured = [self.known[id(part)] for part in parts]
            nodes = 1 + sum(nodes for nodes, _ in measured)
            self.known[id(expr)] = nodes, 1 + max((depth for _, depth in measured), default=0)
            self.alive.append(expr)  # an id is only unique while its object lives
        return self.known[id(root)]

    def fits(self, root: ir.Expr, span: Span, report: Report) -> bool:
        """Whether an expression is small enough; reported if it isn't."""
        nodes, depth = self.measure(root)
        if nodes <= MAX_NODES and depth <= MAX_DEPTH:
            return True
        label = f"it expands to {nodes} operators" if nodes > MAX_NODES else (
            f"it expands to {depth} levels of operators"
        )  # fmt: skip
        limit = MAX_NODES if nodes > MAX_NODES else MAX_DEPTH
        report.add(
            "E0312", "this expression is too large", span, f"{label}, the limit is {limit}",
            help="keep a part of it in a state, assigned where it changes",
        )  # fmt: skip
        return False


def check_sizes(policy: ir.Policy, sizes: Sizes, report: Report) -> bool:
    """Whether every expression, and all together, are small enough."""
    total, good = 0, True
    for root in roots(policy):
        good &= sizes.fits(root, root.span, report)
        total += sizes.measure(root)[0]
        if total > MAX_TOTAL:
            report.add(
                "E0312", "the expressions of this policy are too large", root.span,
                f"together they expand to more than {MAX_TOTAL} operators",
                help="keep what is used often in a state, assigned where it changes",
            )  # fmt: skip
            return False
    return good
