"""The typed policy: the one intermediate representation.

Output of `schedc.passes.lower`, input of `schedc.emit` (C) and of the prover. Every name is
resolved, every expression is typed, sugar is gone (`let` and `extends` are expanded, `scale`,
`clamp` and `table` are built from simpler operators), every class has exactly one rule and a list
of rungs.

Expressions and what they mean are in `ir.expressions`; their names are here too, so that a stage
imports the whole representation from one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from schedc.ir.expressions import (
    Apply as Apply,
    Charge as Charge,
    CommPattern as CommPattern,
    Const as Const,
    Ewma as Ewma,
    Expr as Expr,
    FactRef as FactRef,
    Interval as Interval,
    IsClass as IsClass,
    Kind as Kind,
    MatchComm as MatchComm,
    MatchPath as MatchPath,
    Op as Op,
    QueueFact as QueueFact,
    Scope as Scope,
    StateRef as StateRef,
    TuneRef as TuneRef,
    Type as Type,
)
from schedc.records import dataclass
from schedc.source import Span

NS_PER_MS = 1_000_000

CHARGE_MIN_NS = 10_000
"""Least that one stint is charged: at least what a context switch costs."""

TICK_MARGIN_NS = 4 * NS_PER_MS
"""How far past its slice a stint is charged for: one tick at HZ=250."""

KEEP_SLICE_NS = 20 * NS_PER_MS
"""The slice that the kernel gives a task which it keeps by itself (SCX_SLICE_DFL)."""

Domain = Literal["machine", "cpu", "llc", "node", "cgroup"]
EventName = Literal["enable", "wake", "enqueue", "run", "tick", "stop", "sleep"]
EVENTS: tuple[EventName, ...] = ("enable", "wake", "enqueue", "run", "tick", "stop", "sleep")


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
    """`list`: `cpus` are closed ranges. `llc`: `llc` is set. `fast`/`slow`: by capacity, known at
    load.
    """

    name: str
    kind: Literal["list", "llc", "fast", "slow"]
    cpus: tuple[tuple[int, int], ...]
    llc: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class Queue:
    """`window` (keyed queues): key - clock at insertion. `drift_shift` k: the clock also gains
    now/2**k. `clock`: name of the clock; `shared_clock`: declared with `clock NAME`, then it is
    machine-wide."""

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
    """`low`/`high`: declared or inferred; assignments saturate there. `initial` None: a task's
    vtime, which starts at the clock plus the charge of the queue's longest slice (anywhere else: at
    the clock)."""

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
    """Hard limit: on each cpu, tasks of `cls` run at most `percent` of the time, over periods of
    `period_ns`.
    """

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
    """target = value, saturated into the target's range; `+=` and `-=` are expanded.
    `clamp_low`/`clamp_high`: whether the value's interval reaches past that end, so that code must
    saturate."""

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
    """A bucket on each cpu: fills at `percent` of real time up to percent * period; open while
    above 0.
    """

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
    """From another domain of the queue: the next non-empty one, or the longest of `pick`."""

    queue: str
    pick: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class Keep:
    """The previous task goes on, at most so often in a row, while the condition holds for it."""

    count: Expr  # Const or TuneRef
    when: Expr
    span: Span


Line = Take | Share | Lowest | Steal | Keep


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole typed policy. Tuples are in declaration order; an `index` is a position in one."""

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
        """The most that one stint is charged for: the longest slice, and a tick."""
        return self.slice_max_ns + TICK_MARGIN_NS

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
