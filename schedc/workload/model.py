"""A workload as a typed value: parameters, groups of tasks with phases, and guest commands.

Input: `read.read_workload` builds it from TOML. Output: `command.plan` makes guest commands of
it; a simulator can run the groups. Invariant: every name in it is declared in it (parameters,
groups, channels), every metric and parser exists, and times are whole nanoseconds.

Tasks. A group has `count` tasks, or that many for each task of group `per` (each belongs to one
of them), or for each cpu. A task runs its phases in order, `loop` times or for ever.
Channels. A channel counts posts: `wake` adds some, `wait` takes one or sleeps until there is one.
Each task of group `per` has its own; tasks that belong to it use that one.
Measures. A `wait` with a measure records the time from the post until the task runs. A `mark`
records the time since the stamp of the post that the task took last: the moment of the `wake`, or
with `stamp = "schedule"` the moment at which the waker's schedule wanted it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from schedc.records import dataclass

ParamKind = Literal["count", "time", "percent", "choice"]
Setting = int | str
"""A parameter's value: whole nanoseconds for a time, a number, or one of the choices."""


@dataclass(frozen=True, slots=True)
class Param:
    """Something a user may set; `low` and `high` include their ends (unused for a choice)."""

    name: str
    kind: ParamKind
    default: Setting
    low: int
    high: int
    choices: tuple[str, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class Ref:
    """The value that a parameter has in this run."""

    param: str


Number = int | Ref


@dataclass(frozen=True, slots=True)
class Fixed:
    value: Number


@dataclass(frozen=True, slots=True)
class Uniform:
    """Between mean·(1 − spread) and mean·(1 + spread), spread in percent."""

    mean: Number
    spread: Number


@dataclass(frozen=True, slots=True)
class Exponential:
    mean: Number


@dataclass(frozen=True, slots=True)
class LogNormal:
    """`sigma` is that of the logarithm, in percent (100 = 1.0)."""

    median: Number
    sigma: Number


@dataclass(frozen=True, slots=True)
class Empirical:
    """One of the values, each as often as its weight says."""

    values: tuple[Number, ...]
    weights: tuple[int, ...]


Distribution = Fixed | Uniform | Exponential | LogNormal | Empirical


@dataclass(frozen=True, slots=True)
class Run:
    time: Distribution


@dataclass(frozen=True, slots=True)
class Sleep:
    """With `schedule`, until the next moment of a schedule that does not shift when late."""

    time: Distribution
    schedule: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Take `count` posts, one after the other."""

    channel: str
    count: Number
    measure: str


@dataclass(frozen=True, slots=True)
class Wake:
    channel: str
    count: Number
    stamp: Literal["now", "schedule"]


@dataclass(frozen=True, slots=True)
class Fork:
    """Start tasks of a group that is `start = "forked"`; `Join` waits for all of them."""

    group: str
    count: Number


@dataclass(frozen=True, slots=True)
class Join:
    pass


@dataclass(frozen=True, slots=True)
class Exit:
    pass


@dataclass(frozen=True, slots=True)
class Barrier:
    """Sleep until every task whose phases name this barrier has come to it."""

    name: str


@dataclass(frozen=True, slots=True)
class Lock:
    name: str


@dataclass(frozen=True, slots=True)
class Unlock:
    name: str


@dataclass(frozen=True, slots=True)
class Mark:
    measure: str


Phase = Run | Sleep | Wait | Wake | Fork | Join | Exit | Barrier | Lock | Unlock | Mark


@dataclass(frozen=True, slots=True)
class Channel:
    name: str
    per: str
    """The group each of whose tasks has one; empty: one for the whole workload."""


@dataclass(frozen=True, slots=True)
class Group:
    """`per` is empty, "cpu" or another group; `affinity` is "any" or "own" (the `per` cpu)."""

    name: str
    count: Number
    per: str
    comm: str
    nice: int
    cgroup: str
    affinity: Literal["any", "own"]
    start: Literal["begin", "forked"]
    loop: Number | None
    """None: for ever."""
    phases: tuple[Phase, ...]


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of a guest program: text with parameters in it, such as `{think:us}`.

    An argument with `when` is left out where that parameter is 0.
    """

    text: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A guest program. The one with a parser is measured; the others run beside it."""

    program: str
    args: tuple[Arg, ...]
    parser: str
    spin_rate: bool
    """Whether it takes --spin-rate: the same amount of work in every arm."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload; `limit` is how long a run may take beyond its own duration, in ns."""

    name: str
    description: str
    params: Mapping[str, Param]
    metrics: tuple[str, ...]
    channels: Mapping[str, Channel]
    groups: Mapping[str, Group]
    commands: tuple[Command, ...]
    limit: int

    @property
    def measured(self) -> Command:
        """The command whose output is read."""
        return next(command for command in self.commands if command.parser)
