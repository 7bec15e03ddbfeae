"""What the parts of the generator share: the policy, its needs, where lines come from, how expressions print."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schedc.emit.expression import Printer
from schedc.emit.functions import Locate, from_policy
from schedc.emit.names import class_id
from schedc.emit.needs import Needs
from schedc.ir.nodes import Class, Expr, Policy
from schedc.source import Span


@dataclass(frozen=True, slots=True)
class Context:
    """One generation. `locate` gives the file and line of a span."""

    policy: Policy
    needs: Needs
    locate: Locate

    def print(self, expr: Expr, outer: int = 0, stint: bool = False) -> str:
        """C for an expression; with `stint`, the current stint's length is at hand as `ran`."""
        return Printer(self.policy, self.needs.vtime_in_dsq, stint).text(expr, outer)

    @property
    def printer(self) -> Printer:
        return Printer(self.policy, self.needs.vtime_in_dsq)

    def mark(self, span: Span, lines: Iterable[str]) -> list[str]:
        """Lines that come from the policy's line at `span`."""
        return from_policy(span, self.locate, lines)

    @property
    def one_class(self) -> bool:
        return len(self.policy.classes) == 1

    def switch(self, bodies: list[list[str]], on: str = "cls", indent: str = "\t") -> list[str]:
        """Lines that do `bodies[i]` for class i; no switch where all do the same."""
        if all(body == bodies[0] for body in bodies):
            return [
                f"{indent}{line}" if line and line[0] not in "\x01\x02#" else line
                for line in bodies[0]
            ]
        groups: dict[tuple[str, ...], list[Class]] = {}
        for cls, body in zip(self.policy.classes, bodies, strict=True):
            groups.setdefault(tuple(body), []).append(cls)
        lines = [f"{indent}switch ({on}) {{"]
        for body, classes in groups.items():
            if not body:
                continue
            lines += [f"{indent}case {class_id(cls.name)}:" for cls in classes]
            lines += [f"{indent}\t{line}" if line[0] not in "\x01\x02#" else line for line in body]
            if not body[-1].lstrip().startswith("return") and not _returns(body):
                lines.append(f"{indent}\tbreak;")
        return [*lines, f"{indent}}}"]


def _returns(body: tuple[str, ...]) -> bool:
    """Whether the last statement of a body, marks left out, leaves the function."""
    statements = [line for line in body if line[0] not in "\x01\x02"]
    return bool(statements) and statements[-1].startswith("return")
