"""The syntax tree of a policy: what was written, with spans, before any name means anything.

Output of `schedc.syntax.parse`, input of `schedc.passes` and `schedc.syntax.format`. Every node is
frozen and has a `span`; numbers keep the unit they were written in, so that `fmt` prints what the
author wrote.
"""

from __future__ import annotations

from typing import Literal

from schedc.records import dataclass
from schedc.source import Span
from schedc.syntax.terms import (
    Binary as Binary,
    Bool as Bool,
    Call as Call,
    Ewma as Ewma,
    Expr as Expr,
    Fact as Fact,
    IsClass as IsClass,
    Match as Match,
    Name as Name,
    Negative as Negative,
    Not as Not,
    Number as Number,
    QueueCall as QueueCall,
    Range as Range,
    Ref as Ref,
    Row as Row,
    String as String,
    Table as Table,
)

# --- items ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Header:
    name: Name
    version: str
    description: String | None
    span: Span


@dataclass(frozen=True, slots=True)
class Extends:
    """`extends stdlib/fair@1`: `module` is "stdlib/fair", `major` is 1."""

    module: str
    major: int
    span: Span


@dataclass(frozen=True, slots=True)
class Goal:
    goals: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class AssumeRunnable:
    limit: Number
    span: Span


@dataclass(frozen=True, slots=True)
class AssumeWeight:
    low: Number
    high: Number
    span: Span


@dataclass(frozen=True, slots=True)
class AssumeCgroups:
    limit: Number
    span: Span


@dataclass(frozen=True, slots=True)
class Promise:
    cls: Name | None
    wait: Number
    span: Span


@dataclass(frozen=True, slots=True)
class Tune:
    name: Name
    value: Number | Bool | Ref
    range: Range
    why: String | None
    span: Span


@dataclass(frozen=True, slots=True)
class Let:
    name: Name
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Cpus:
    """A named cpu set: `"0-3,8"` (list), `llc 0` (llc), `fast` or `slow`."""

    name: Name
    kind: Literal["list", "llc", "fast", "slow"]
    value: String | Number | None
    span: Span


@dataclass(frozen=True, slots=True)
class Drift:
    numerator: Number
    denominator: Number


@dataclass(frozen=True, slots=True)
class Queue:
    name: Name
    order: Literal["fifo", "vtime", "moment"]
    window: Range | None
    drift: Drift | None
    clock: Name | None
    domain: Literal["machine", "cpu", "llc", "node", "cgroup"]
    span: Span


@dataclass(frozen=True, slots=True)
class TypeName:
    """`time` …, or `vtime of Q` with `queue` set."""

    text: str
    queue: Name | None
    span: Span


@dataclass(frozen=True, slots=True)
class State:
    ref: Ref
    type: TypeName
    range: Range | None
    initial: Number | Bool | Ref | None
    span: Span


@dataclass(frozen=True, slots=True)
class Class:
    name: Name
    when: Expr | None
    affinity: Literal["prefer", "confine"] | None
    cpus: Name | None
    span: Span


@dataclass(frozen=True, slots=True)
class Cap:
    cls: Name
    share: Number
    period: Number
    span: Span


@dataclass(frozen=True, slots=True)
class Pack:
    until: Number
    span: Span


@dataclass(frozen=True, slots=True)
class Assign:
    target: Ref
    op: Literal["=", "+=", "-="]
    value: Expr
    when: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Event:
    name: Name
    body: tuple[Assign, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Rung:
    fast: bool
    core: bool
    where: Literal["prev", "llc", "node", "anywhere"]
    when: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Place:
    cls: Name | None
    rungs: tuple[Rung, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Slice:
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class SliceUnlimited:
    contended: Number | Ref
    span: Span


@dataclass(frozen=True, slots=True)
class Preempt:
    victims: tuple[Name, ...]
    ran: Number | Ref
    span: Span


@dataclass(frozen=True, slots=True)
class Perf:
    level: Literal["low", "high"] | Number
    span: Span


@dataclass(frozen=True, slots=True)
class Enqueue:
    cls: Name
    queue: Name
    key: Expr | None
    slice: Slice | SliceUnlimited | None
    preempt: Preempt | None
    perf: Perf | None
    span: Span


@dataclass(frozen=True, slots=True)
class Take:
    """`take Q [after A] [at most M [every P]]`."""

    queue: Name
    after: Number | Ref | None
    at_most: Number | Ref | None
    every: Number | Ref | None
    span: Span


@dataclass(frozen=True, slots=True)
class Portion:
    queue: Name
    parts: Number
    span: Span


@dataclass(frozen=True, slots=True)
class Share:
    portions: tuple[Portion, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Lowest:
    queues: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Steal:
    queue: Name
    pick: Number | None
    span: Span


@dataclass(frozen=True, slots=True)
class Keep:
    at_most: Number | Ref
    when: Expr
    span: Span


Line = Take | Share | Lowest | Steal | Keep


@dataclass(frozen=True, slots=True)
class Dispatch:
    lines: tuple[Line, ...]
    span: Span


Item = (
    Extends | Goal | AssumeRunnable | AssumeWeight | AssumeCgroups | Promise | Tune | Let | Cpus
    | Queue | State | Class | Cap | Pack | Event | Place | Enqueue | Dispatch
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Broken:
    """A statement that did not parse: its verb, "*" if unknown, and the name that it speaks of.

    The name is "" if unknown. Names are as in the source: `soon`, or `task.used` for a state.
    """

    verb: str
    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class PolicyTree:
    """A whole source. `items` are in source order; those that did not parse are left out."""

    header: Header | None
    items: tuple[Item, ...]
    span: Span
    broken: tuple[Broken, ...] = ()
