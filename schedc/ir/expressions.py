"""Expressions of the typed policy: values, and the operators on them.

Semantics: all values are integers (times in ns, ratios in percent, booleans 0 or 1). An expression
is evaluated without rounding or wrapping except where its operator says so; `passes.ranges` proves
that no intermediate leaves the signed 64-bit range, that divisors are >= 1, and that `DIV` has a
dividend >= 0. A value saturates into `[low, high]` of the state it is assigned to.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from schedc.records import dataclass
from schedc.source import Span


class Kind(Enum):
    """Dimension of a value. All are non-negative but LAG, VTIME, and the fact `nice`."""

    TIME = "time"
    MOMENT = "moment"
    LAG = "lag"
    COUNT = "count"
    RATIO = "ratio"
    RATE = "rate"
    WEIGHT = "weight"
    BOOL = "bool"
    VTIME = "vtime"


@dataclass(frozen=True, slots=True)
class Type:
    """`clock` names the clock of a VTIME (a queue's own name, or the shared clock's)."""

    kind: Kind
    clock: str | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """Closed interval of integers."""

    low: int
    high: int


Scope = Literal["task", "cpu", "llc", "node", "class", "cgroup", "comm", "global"]


class Op(Enum):
    """Operators. Arity in brackets."""

    ADD = "add"  # [2]
    SUB = "sub"  # [2] exact, may be negative: only where the type is LAG, VTIME or MOMENT
    SUB_SAT = "sub_sat"  # [2] max(a - b, 0): all other types
    MUL = "mul"  # [2]
    DIV = "div"  # [2] floor; dividend >= 0, divisor >= 1
    SDIV = "sdiv"  # [2] towards zero; LAG dividends, divisor >= 1
    NEG = "neg"  # [1]
    MIN = "min"  # [2]
    MAX = "max"  # [2]
    ABS_DIFF = "abs_diff"  # [2] |a - b|
    LOG2 = "log2"  # [1] floor(log2(max(a, 1)))
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    EQ = "eq"
    NE = "ne"
    AND = "and"  # [2] short-circuit
    OR = "or"  # [2] short-circuit
    NOT = "not"  # [1]
    SELECT = "select"  # [3] condition, then, else


@dataclass(frozen=True, slots=True)
class Const:
    value: int
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class TuneRef:
    name: str
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class StateRef:
    """A state variable, of the task (cpu, llc, … of the task) that the context is about."""

    scope: Scope
    name: str
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class FactRef:
    """A fact that the system supplies; see `ir.facts`."""

    name: str
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class QueueFact:
    """`clock`: the queue's clock in the task's domain. `length`: tasks in it. `head`: key of its
    first task, or the clock's upper window edge when it is empty."""

    function: Literal["clock", "length", "head"]
    queue: str
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Apply:
    op: Op
    args: tuple[Expr, ...]
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Charge:
    """ceil(100 * v / weight), weight >= 1. With `stint` (the value is `ran`) v is first clamped to
    [CHARGE_MIN_NS, Policy.stint_max_ns], so that a charge is never 0 and never unbounded."""

    value: Expr
    weight: Expr
    stint: bool
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Ewma:
    """(average * (den - num) + sample * num) / den; floor, or towards zero for LAG. 0 < num < den
    <= 1024.
    """

    average: Expr
    sample: Expr
    numerator: int
    denominator: int
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class CommPattern:
    """First bytes of a task's comm (at most 15); exact unless `prefix`."""

    text: bytes
    prefix: bool


@dataclass(frozen=True, slots=True)
class MatchComm:
    patterns: tuple[CommPattern, ...]
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class MatchPath:
    """`exe`: indices into `Policy.exes`. `cgroup`: indices into `Policy.cgroup_paths`, that group
    and below.
    """

    kind: Literal["exe", "cgroup"]
    indices: tuple[int, ...]
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class IsClass:
    """The task's class as of its last insertion, or that of the task which woke it (false if that
    is unknown).
    """

    who: Literal["waker", "class"]
    cls: str
    type: Type
    span: Span


Expr = (
    Const
    | TuneRef
    | StateRef
    | FactRef
    | QueueFact
    | Apply
    | Charge
    | Ewma
    | MatchComm
    | MatchPath
    | IsClass
)
