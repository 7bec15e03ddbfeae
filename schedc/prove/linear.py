"""Bounds as a + b N: exact rational times that grow with the number of contenders.

Input: times in ns. Output: `Linear` values. Invariant: nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import lcm
from typing import Any

from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Linear:
    """a + b N, in ns."""

    a: Fraction
    b: Fraction = Fraction(0)

    def __add__(self, other: Linear) -> Linear:
        return Linear(self.a + other.a, self.b + other.b)

    def times(self, factor: Fraction | int) -> Linear:
        """All of it, so many times."""
        return Linear(self.a * factor, self.b * factor)

    def at(self, runnable: int) -> Fraction:
        """The value for N contenders."""
        return self.a + self.b * runnable


def fixed(ns: Fraction | int) -> Linear:
    """A time that doesn't depend on N."""
    return Linear(Fraction(ns))


def per_contender(ns: Fraction | int, less: int = 0) -> Linear:
    """(N - less) times so much."""
    return Linear(-Fraction(ns) * less, Fraction(ns))


def up(ns: Fraction) -> int:
    """The next whole number."""
    return -(-ns.numerator // ns.denominator)


def nonnegative(parts: Iterable[tuple[Fraction | int, Any]], constant: Fraction | int = 0) -> Any:
    """sum of factor * term, + constant >= 0, as a comparison of whole numbers, for a solver."""
    found = [(Fraction(factor), term) for factor, term in parts]
    scale = lcm(Fraction(constant).denominator, *(factor.denominator for factor, _ in found))
    total: Any = int(constant * scale)
    for factor, term in found:
        total = total + int(factor * scale) * term
    return total >= 0
