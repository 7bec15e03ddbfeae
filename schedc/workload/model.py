"""A workload as a typed value: parameters, groups of tasks with phases, and guest commands.

Input: `read.read_workload` builds it from TOML. Output: `plan.plan_text` makes a run's plan of it,
`command.plan` what the guest runs. Invariant: every name in it is declared in it (parameters,
groups, channels), every metric and parser exists, and times are whole nanoseconds.

Tasks. A group has `count` tasks, or that many for each task of group `per` (each belongs to one
of them), or for each cpu. A task runs its phases in order, `loop` times or for ever.
Channels. A channel counts posts: `wake` adds some, `wait` takes one or sleeps until there is one.
Each task of group `per` has its own; tasks that belong to it use that one. A channel with a
`capacity` makes a `wake` sleep while it is full; without `keep`, posts that nobody waits for are
lost.
Measures. A `wait` with a measure records the time from the post until the task runs, a `sleep` that
from its end. A `mark` records the time since the task's stamp: that of the post that it took last
(the moment of the `wake`; with `stamp = "schedule"` the one that the waker's schedule wanted, with
`stamp = "taken"` the waker's own stamp), the moment that its own schedule wanted, or a `stamp`,
whichever came last. A `role` says which metrics a group feeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from schedc.records import dataclass

ParamKind = Literal["count", "time", "percent", "choice"]
Setting = int | str
"""A parameter's value: whole nanoseconds for a time, a number, or one of the choices."""


CPUS = "cpus"
"""As the value of a count: as many as there are cpus."""


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
    measure: str = ""
    anew: bool = False
    """A schedule that is missed begins anew from then on."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Take `count` posts, one after the other; `lock` is given up meanwhile."""

    channel: str
    count: Number
    measure: str
    lock: str = ""


@dataclass(frozen=True, slots=True)
class Wake:
    """With "all", one post for each task that waits."""

    channel: str
    count: Number | Literal["all"]
    stamp: Literal["now", "schedule", "taken"]


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
    """Later than `deadline` (0: none) counts as missed."""

    measure: str
    deadline: Number = 0


@dataclass(frozen=True, slots=True)
class Count:
    """One more of a metric that is counted a second."""

    what: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """What comes next is measured from here on, as if a post had been taken now."""


@dataclass(frozen=True, slots=True)
class Yield:
    pass


Phase = (
    Run | Sleep | Wait | Wake | Fork | Join | Exit | Barrier | Lock | Unlock | Stamp | Mark | Count
    | Yield
)


@dataclass(frozen=True, slots=True)
class Channel:
    name: str
    per: str
    """The group each of whose tasks has one; empty: one for the whole workload."""
    capacity: Number = 0
    """0: any number of posts."""
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """`per` is empty, "cpu" or a group; `affinity` is "any", "own" (the `per` cpu) or cpus."""

    name: str
    count: Number
    per: str
    comm: str | Ref
    """The tasks' name, or a parameter that is a choice of names."""
    nice: Number
    cgroup: str
    affinity: Literal["any", "own"] | tuple[int, ...]
    start: Literal["begin", "forked"]
    loop: Number | None
    """None: for ever."""
    phases: tuple[Phase, ...]
    task: Literal["thread", "process", "kernel"] = "thread"
    """A thread of the process that all share, a process, or (simulated only) a kernel thread."""
    role: str = ""
    weight: Number = 100
    """Of the control group."""
    delay: Number = 0
    """The tasks sleep so long before they begin."""


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
    """Empty: the guest runs the groups themselves, with `wl-phases`."""
    limit: int
    order: Literal["file", "drawn"] = "file"
    """In which the tasks start: as written, or drawn by the seed."""
    cases: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    """Settings that belong together, by the name that the parameter `case` can have."""

    @property
    def parser(self) -> str:
        """Of the measured program's output."""
        return next((command.parser for command in self.commands if command.parser), "phases")
