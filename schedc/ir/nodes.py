"""The typed policy: the one intermediate representation.

Output of `schedc.passes.lower`, input of `schedc.emit` (C) and of the prover. Every name is resolved, every
expression is typed, sugar is gone (`let` and `extends` are expanded, `scale`, `clamp` and `table` are built from
simpler operators), every class has exactly one rule and a list of rungs.

Semantics: all values are integers (times in ns, ratios in percent, booleans 0 or 1). An expression is evaluated
without rounding or wrapping except where its operator says so; `passes.ranges` proves that no intermediate leaves
the signed 64-bit range, that divisors are >= 1, and that `DIV` has a dividend >= 0. A value saturates into
`[low, high]` of the state it is assigned to.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Literal

from schedc.records import dataclass
from schedc.source import Span

NS_PER_MS = 1_000_000

CHARGE_MIN_NS = 10_000
"""Least that one stint is charged: at least what a context switch costs."""

TICK_MARGIN_NS = 4 * NS_PER_MS
"""How far past its slice a stint is charged for: one tick at HZ=250."""

KEEP_SLICE_NS = 20 * NS_PER_MS
"""The slice that the kernel gives a task which it keeps by itself (SCX_SLICE_DFL)."""


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
Domain = Literal["machine", "cpu", "llc", "node", "cgroup"]
EventName = Literal["enable", "wake", "enqueue", "run", "tick", "stop", "sleep"]
EVENTS: tuple[EventName, ...] = ("enable", "wake", "enqueue", "run", "tick", "stop", "sleep")


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
    """`clock`: the queue's clock in the task's domain. `length`: tasks in it. `head`: key of its first task, or the
    clock's upper window edge when it is empty."""

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
    """(average * (den - num) + sample * num) / den; floor, or towards zero for LAG. 0 < num < den <= 1024."""

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
    """`exe`: indices into `Policy.exes`. `cgroup`: indices into `Policy.cgroup_paths`, that group and below."""

    kind: Literal["exe", "cgroup"]
    indices: tuple[int, ...]
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class IsClass:
    """The task's class as of its last insertion, or that of the task which woke it (false if that is unknown)."""

    who: Literal["waker", "class"]
    cls: str
    type: Type
    span: Span


Expr = (
    Const | TuneRef | StateRef | FactRef | QueueFact | Apply | Charge | Ewma | MatchComm | MatchPath | IsClass
)


# --- declarations ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Promise:
    """`cls` None: every task."""

    cls: str | None
    wait_ns: int
    span: Span


@dataclass(frozen=True, slots=True)
class Tune:
    name: str
    type: Type
    value: int
    low: int
    high: int
    why: str
    span: Span


@dataclass(frozen=True, slots=True)
class CpuSet:
    """`list`: `cpus` are closed ranges. `llc`: `llc` is set. `fast`/`slow`: by capacity, known at load."""

    name: str
    kind: Literal["list", "llc", "fast", "slow"]
    cpus: tuple[tuple[int, int], ...]
    llc: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class Queue:
    """`window` (keyed queues): key - clock at insertion. `drift_shift` k: the clock also gains now/2**k.
    `clock`: name of the clock; `shared_clock`: declared with `clock NAME`, then it is machine-wide."""

    name: str
    index: int
    order: Literal["fifo", "vtime", "moment"]
    domain: Domain
    window: Interval | None
    drift_shift: int | None
    clock: str | None
    shared_clock: bool
    slice_max_ns: int  # longest slice of any rule into this queue, over the range of every tunable
    span: Span


@dataclass(frozen=True, slots=True)
class State:
    """`low`/`high`: declared or inferred; assignments saturate there. `initial` None: a task's vtime, which
    starts at the clock plus the charge of the queue's longest slice (anywhere else: at the clock)."""

    scope: Scope
    name: str
    type: Type
    low: int
    high: int
    declared: bool
    initial: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Class:
    """`when` None: the last class, which matches everything."""

    name: str
    index: int
    when: Expr | None
    affinity: Literal["prefer", "confine"] | None
    cpus: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Cap:
    """Hard limit: on each cpu, tasks of `cls` run at most `percent` of the time, over periods of `period_ns`."""

    cls: str
    percent: int
    period_ns: int
    span: Span


@dataclass(frozen=True, slots=True)
class Pack:
    percent: int
    span: Span


@dataclass(frozen=True, slots=True)
class Assign:
    """target = value, saturated into the target's range; `+=` and `-=` are expanded. `clamp_low`/`clamp_high`:
    whether the value's interval reaches past that end, so that code must saturate."""

    target: StateRef
    value: Expr
    when: Expr | None
    clamp_low: bool
    clamp_high: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Rung:
    fast: bool
    core: bool
    where: Literal["prev", "llc", "node", "anywhere"]
    when: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Slice:
    """Value in [low, high] ns, low >= 1."""

    value: Expr
    low: int
    high: int
    span: Span


@dataclass(frozen=True, slots=True)
class SliceUnlimited:
    """No slice; when others wait for the cpu, a timer ends the stint once it ran `contended`."""

    contended: Expr  # Const or TuneRef
    high: int
    span: Span


@dataclass(frozen=True, slots=True)
class Preempt:
    victims: tuple[str, ...]
    ran: Expr  # Const or TuneRef
    span: Span


@dataclass(frozen=True, slots=True)
class Rule:
    """How tasks of a class are queued. `perf`: cpu performance level, 0..1024."""

    cls: str
    queue: str
    key: Expr | None
    slice: Slice | SliceUnlimited
    preempt: Preempt | None
    perf: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class CountLimit:
    """At most so many tasks until a lower line was served."""

    count: Expr  # Const or TuneRef


@dataclass(frozen=True, slots=True)
class Budget:
    """A bucket on each cpu: fills at `percent` of real time up to percent * period; open while above 0."""

    percent: Expr  # Const or TuneRef
    period_ns: Expr  # Const or TuneRef


@dataclass(frozen=True, slots=True)
class Take:
    """`after`: only when the queue's head has waited so long."""

    queue: str
    after: Expr | None
    limit: CountLimit | Budget | None
    span: Span


@dataclass(frozen=True, slots=True)
class Share:
    """(queue, parts): the queue with the least served time per part goes first."""

    portions: tuple[tuple[str, int], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Lowest:
    """The queue whose head has the lowest key; all on one shared clock."""

    queues: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Steal:
    """From the queue's other domains: the next non-empty one, or the longer of `pick` random ones."""

    queue: str
    pick: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class Keep:
    """The previous task goes on, at most so many times in a row, while the condition holds for it."""

    count: Expr  # Const or TuneRef
    when: Expr
    span: Span


Line = Take | Share | Lowest | Steal | Keep


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole typed policy. Tuples are in declaration order; `index` fields are positions in them."""

    name: str
    version: str
    description: str
    goals: tuple[str, ...]
    runnable: int
    weight: Interval
    cgroups: int
    promises: tuple[Promise, ...]
    tunes: tuple[Tune, ...]
    cpu_sets: tuple[CpuSet, ...]
    exes: tuple[bytes, ...]
    cgroup_paths: tuple[bytes, ...]
    queues: tuple[Queue, ...]
    states: tuple[State, ...]
    classes: tuple[Class, ...]
    caps: tuple[Cap, ...]
    pack: Pack | None
    events: Mapping[EventName, tuple[Assign, ...]]
    places: tuple[tuple[Rung, ...], ...]  # by class index
    rules: tuple[Rule, ...]  # by class index
    dispatch: tuple[Line, ...]
    slice_max_ns: int  # longest slice of any rule; an unlimited one counts as its `contended`
    span: Span

    @property
    def stint_max_ns(self) -> int:
        """The most that one stint is charged for: the longest slice, once more for each time that a `keep` line may
        let it go on, and a tick."""
        kept = [line.count for line in self.dispatch if isinstance(line, Keep)]
        turns = 1 + max((self.upper(count) for count in kept), default=0)
        return self.slice_max_ns * turns + TICK_MARGIN_NS

    def upper(self, expr: Const | TuneRef) -> int:
        """Largest value of a constant or tunable."""
        return expr.value if isinstance(expr, Const) else self.tune(expr.name).high

    def lower(self, expr: Const | TuneRef) -> int:
        """Least value of a constant or tunable."""
        return expr.value if isinstance(expr, Const) else self.tune(expr.name).low

    def queue(self, name: str) -> Queue:
        return next(queue for queue in self.queues if queue.name == name)

    def tune(self, name: str) -> Tune:
        return next(tune for tune in self.tunes if tune.name == name)

    def state(self, scope: str, name: str) -> State:
        return next(s for s in self.states if s.scope == scope and s.name == name)

    def class_index(self, name: str) -> int:
        return next(cls.index for cls in self.classes if cls.name == name)
