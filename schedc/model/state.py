"""What the machine keeps of a task and of a cpu, and what is told of a run.

Plain mutable records, copied field by field. Times are instants in ns; a vtime of a drifting clock
is kept as it is, the clock less its drift.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from schedc.model.world import Profile

FOREVER = 1 << 62
"""Longer than any time: the slice of `unlimited`, the deadline of what need not end."""

NO_CLASS = -1
NO_LINE = -1

ASLEEP, QUEUED, LOCAL, RUNNING, GONE = "sleeping", "queued", "local", "running", "gone"
"""Where a task is: asleep, in a queue of the policy, in a cpu's local queue, on a cpu, exited."""


class Event(NamedTuple):
    """One thing that happened. What `value` means depends on `kind`:

    fork, wake, sleep, exit, rt, back, tick · claim (an idle cpu; the slice) · queue (the slice)
    · clamp (how far the window moved a vtime) · pick (by line number `line` of dispatch; free: what
    a spent line held back) · keep (in place, by that line; -1: nobody else; the slice)
    · kernel_keep (the kernel goes on by itself; the slice) · run (the slice) · stop (what it ran) ·
    pay (bucket `line`; credit left, ns) · idle · kick (an idle cpu) · preempt, retry (its victim)
    """

    at: int
    kind: str
    cpu: int
    task: int
    queue: str = ""
    domain: int = 0
    key: int = 0
    value: int = 0
    line: int = -1


class Waiting(NamedTuple):
    """A task that could run and does not. `since`: as the watchdog sees it."""

    task: int
    since: int
    queue: str
    domain: int
    key: int
    cpu: int


class Task:
    """See the module. `v`: the policy's task variables; `home`: by queue, the domain whose clock
    its vtime follows; `slice`: what it will get, or has left."""

    __slots__ = (
        "allowed", "burst_base", "cls", "counted", "cpu", "domain", "exec_ns", "home", "id", "key",
        "last_wake", "last_waking", "pinned", "profile", "queue", "queued_at", "ran", "since",
        "slept", "slept_at", "slice", "state", "sync", "v", "waited", "waker", "wakes", "wakings",
        "weight",
    )  # fmt: skip

    def __init__(self, number: int, profile: Profile, cpu: int, now: int) -> None:
        self.id, self.profile, self.cpu = number, profile, cpu
        self.allowed = profile.allowed
        self.pinned, self.weight = False, profile.weight
        self.state, self.cls, self.waker, self.sync = ASLEEP, NO_CLASS, NO_CLASS, False
        self.queue, self.domain, self.key, self.slice = -1, 0, 0, 0
        self.v: list[int] = []
        self.home: list[int] = []
        self.exec_ns = self.burst_base = self.ran = self.slept = self.waited = 0
        self.wakes = self.wakings = self.counted = 0
        self.slept_at = self.last_wake = self.last_waking = self.since = now
        self.queued_at = 0

    def copy(self) -> Task:
        other: Task = _copy_task(self)
        return other


class Cpu:
    """See the module. `idle`: its mark, which a claim takes. `running`: a task, or -1. `rt`: a
    higher scheduling class has it. `slice_end`: when the slice of the stint is used up; `due`: when
    the stint has ended at the latest, if it was told to end early. `line` pays for the stint,
    `picked` for the next. `last`: whose stint it was, if the cpu hasn't looked for a task since.
    `began`: the stint, or the piece of it after an interruption; `running_since`: the whole."""

    __slots__ = (
        "began", "cap_credit", "cap_filled", "cls", "count", "credit", "due", "ended", "exec_from",
        "filled", "idle", "kept", "last", "line", "local", "next", "number", "paid_from", "picked",
        "ran", "retry", "rt", "running", "running_since", "served", "slice_end", "started", "v",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.idle, self.rt, self.running = True, False, -1
        self.local: list[int] = []
        self.slice_end, self.due = 0, FOREVER
        self.started = self.exec_from = self.paid_from = self.running_since = self.ran = 0
        self.ended, self.cls, self.retry, self.kept = False, NO_CLASS, 0, 0
        self.began, self.last = 0, -1
        self.line = self.picked = NO_LINE
        self.credit: list[int] = []
        self.filled: list[int] = []
        self.cap_credit: list[int] = []
        self.cap_filled: list[int] = []
        self.served: list[int] = []
        self.count: list[int] = []
        self.next: list[int] = []
        self.v: list[int] = []

    def copy(self) -> Cpu:
        other: Cpu = _copy_cpu(self)
        return other


def _copier(cls: type, lists: set[str]) -> Callable[[Any], Any]:
    """A function that copies a record: searches copy machines some thousand times a second."""
    names = cls.__dict__["__slots__"]
    lines = [f"    b.{name} = a.{name}{'[:]' if name in lists else ''}" for name in names]
    text = "\n".join(["def f(a):", "    b = new(cls)", *lines, "    return b"])
    space: dict[str, Any] = {"new": object.__new__, "cls": cls}
    exec(text, space)
    made: Callable[[Any], Any] = space["f"]
    return made


_copy_task = _copier(Task, {"v", "home"})
_copy_cpu = _copier(
    Cpu,
    {"cap_credit", "cap_filled", "count", "credit", "filled", "local", "next", "served", "v"},
)
