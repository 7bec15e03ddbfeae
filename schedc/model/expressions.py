"""Expressions of a policy as Python functions, which run some ten times as fast as interpretation.

Input: an `ir` expression and the texts of its leaves. Output: straight-line Python. Invariant: the
meaning is that of `schedc.ir.semantics`: the one interpreter runs here over a domain of texts, and
`tests/model/test_expressions.py` compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schedc.ir import nodes as ir
from schedc.ir.semantics import Interpreter, Leaf

PARAMETERS = "m, t, cpu, now, ran"
"""Of every function: the machine, the task, the cpu it is on (or is being placed on), the time, the
length of the stint at hand."""


class Code:
    """A domain whose values are names of Python variables, or literals; `lines` computes them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def name(self, text: str) -> str:
        """A variable that holds the value of a text."""
        variable = f"x{len(self.lines)}"
        self.lines.append(f"{variable} = {text}")
        return variable

    def number(self, value: int) -> str:
        return f"({value})" if value < 0 else str(value)

    def truth(self, value: bool) -> str:
        return str(value)

    def add(self, a: str, b: str) -> str:
        return self.name(f"{a} + {b}")

    def mul(self, a: str, b: str) -> str:
        return self.name(f"{a} * {b}")

    def neg(self, a: str) -> str:
        return self.name(f"-{a}")

    def div(self, a: str, b: str) -> str:
        return self.name(f"{a} // {b}")

    def less(self, a: str, b: str) -> str:
        return self.name(f"{a} < {b}")

    def equal(self, a: str, b: str) -> str:
        return self.name(f"{a} == {b}")

    def both(self, a: str, b: str) -> str:
        return self.name(f"True if {a} and {b} else False")

    def negate(self, a: str) -> str:
        return self.name(f"not {a}")

    def choose(self, condition: str, then: str, otherwise: str) -> str:
        return self.name(f"{then} if {condition} else {otherwise}")


class Body:
    """One function in the making."""

    def __init__(self, leaf: Callable[[Leaf], str], stint_max_ns: int) -> None:
        self.code = Code()
        self._leaf = leaf
        self.interpreter: Interpreter[str] = Interpreter(self.code, self._read, stint_max_ns)

    def _read(self, leaf: Leaf) -> str:
        return self.code.name(self._leaf(leaf))

    def value(self, expr: ir.Expr) -> str:
        """The name of a variable that holds the expression's value."""
        return self.interpreter.evaluate(expr)

    def assign(self, assign: ir.Assign, state: ir.State) -> None:
        """An assignment, with its saturation and its guard."""
        value = self.interpreter.assigned(assign, state)
        self.code.lines.append(f"{self._leaf(assign.target)} = {value}")

    def function(self, result: str) -> str:
        """A lambda-like function `f`, as text."""
        lines = [f"def f({PARAMETERS}):", *(f"    {line}" for line in self.code.lines)]
        return "\n".join([*lines, f"    return {result}"])


def compiled(text: str, names: dict[str, Any]) -> Callable[..., Any]:
    """The function `f` of a text."""
    space = dict(names)
    exec(compile(text, "<policy>", "exec"), space)
    made: Callable[..., Any] = space["f"]
    return made
