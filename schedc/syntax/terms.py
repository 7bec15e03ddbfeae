"""Expressions of the syntax tree: names, quantities, and what is made of them.

Part of `schedc.syntax.tree`, which says what holds for all nodes, and through which they are used.
"""

from __future__ import annotations

from typing import Literal

from schedc.records import dataclass
from schedc.source import Span


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier where it is declared or used without a scope."""

    text: str
    span: Span


# --- quantities -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """A literal with its unit: `time` in ns (value already in ns), `percent`, or plain `int`."""

    kind: Literal["time", "percent", "int"]
    value: int
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Bool:
    value: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Ref:
    """A dotted reference, `task.used` or `tune.slice`."""

    scope: str
    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Range:
    low: Number
    high: Number
    span: Span


@dataclass(frozen=True, slots=True)
class String:
    """A string literal: the bytes it stands for, escapes resolved."""

    value: bytes
    span: Span


# --- expressions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Negative:
    operand: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic (`+ - * /`), comparison (`< <= > >= == !=`) or logic (`and or`)."""

    op: str
    left: Expr
    right: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """`min max abs_diff scale` (two arguments), `log2` (1), `clamp` (3), `charge` (1 or 2)."""

    function: str
    arguments: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class QueueCall:
    """`clock(Q)`, `length(Q)`, `head(Q)`."""

    function: str
    queue: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Ewma:
    """`ewma(average, sample, numerator/denominator)`."""

    average: Expr
    sample: Expr
    numerator: Number
    denominator: Number
    span: Span


@dataclass(frozen=True, slots=True)
class Row:
    limit: Expr
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Table:
    """`table(x | limit: value | … | else value)`: the value of the first row with x <= limit."""

    subject: Expr
    rows: tuple[Row, ...]
    otherwise: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Match:
    """`comm "a" | "b*"`, `exe "/x"`, `cgroup "/a/b"`."""

    kind: Literal["comm", "exe", "cgroup"]
    patterns: tuple[String, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class IsClass:
    """`waker is CLASS` or `class is CLASS`."""

    who: Literal["waker", "class"]
    cls: Name
    span: Span


Expr = (
    Number | Bool | Ref | Fact | Negative | Not | Binary | Call | QueueCall | Ewma | Table | Match
    | IsClass
)  # fmt: skip
