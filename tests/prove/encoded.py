"""Solver terms on concrete values: what the encoding of `schedc.prove.terms` says of them.

Input: an `Environment`, the leaves that it has read, and terms. Output: the terms' values for given
values of the leaves, and whether every hypothesis holds of them. New Ints that stand for products
and quotients are put back to what they stand for, so that a value is exact, and their bounds are
tried on the true value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import z3

from schedc.ir.semantics import sdiv
from schedc.prove.terms import Abstraction, Environment, Term, Terms, number, truth


@dataclass(frozen=True)
class Encoded:
    """`leaves`: what values are given for. `whole`: the terms as the arguments of one function; its
    last argument is the conjunction of the hypotheses."""

    leaves: tuple[Term, ...]
    whole: z3.ExprRef

    def values(self, given: Iterable[int]) -> list[int]:
        """The terms' values; a hypothesis that fails is an error."""
        pairs = [
            (leaf, z3.BoolVal(bool(value)) if z3.is_bool(leaf) else z3.IntVal(value))
            for leaf, value in zip(self.leaves, given, strict=True)
            if not isinstance(leaf, int)  # a constant: its range is one value
        ]
        # As text, which is read several times faster than by way of the solver's objects.
        text = z3.simplify(z3.substitute(self.whole, *pairs)).sexpr()
        *found, assumed = _VALUE.findall(text.removeprefix("(together "))
        assert assumed == "true", f"a hypothesis fails: {text[-300:]}"
        return [_number(one) for one in found]


_VALUE = re.compile(r"\(- \d+\)|\w+")


def _number(text: str) -> int:
    if text in ("true", "false"):
        return int(text == "true")
    return -int(text[3:-1]) if text.startswith("(") else int(text)


def encoded(env: Environment, leaves: Sequence[Term], terms: Sequence[Term]) -> Encoded:
    """The terms, exact, and the environment's hypotheses."""
    assumed = z3.And(*env.hypotheses(), z3.BoolVal(True))
    every = [_term(term) for term in (*terms, assumed)]
    together = z3.Function("together", *[one.sort() for one in every], z3.IntSort())
    meanings = [(one.value, _meaning(one)) for one in env.abstractions]
    whole = together(*every)
    # A product's factors may hold other products: until nothing changes.
    while not (exact := z3.substitute(whole, *meanings)).eq(whole):
        whole = exact
    return Encoded(tuple(leaves), whole)


def _term(term: Term) -> z3.ExprRef:
    return truth(term) if isinstance(term, bool) else number(term)


def _meaning(one: Abstraction) -> z3.ExprRef:
    """The product or quotient that an Int stands for."""
    left, right = number(one.left), number(one.right)
    match one.op:
        case "mul":
            return left * right
        case "div":
            return left / right
        case "sdiv":
            return number(sdiv(Terms(), left, right))
        case "charge":
            return (100 * left + right - 1) / right
        case "log2":
            powers = [z3.If(left >= 1 << power, 1, 0) for power in range(1, 63)]
            return z3.Sum(*powers)
    raise AssertionError(one.op)
