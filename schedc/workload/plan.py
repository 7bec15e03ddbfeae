"""A run's plan: the text that the simulator and the guest's `wl-phases` both run.

Input: a workload, the settings of its parameters, a seed and how many cpus there are. Output: the
text, in the grammar at the head of `backends/phases/plan.h`. Invariant: all names are numbers in it
and all parameters are filled in; the same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schedc.records import dataclass
from schedc.workload.model import (
    CPUS,
    Barrier,
    Count,
    Distribution,
    Empirical,
    Exit,
    Exponential,
    Fixed,
    Fork,
    Group,
    Join,
    Lock,
    LogNormal,
    Mark,
    Number,
    Phase,
    Ref,
    Run,
    Setting,
    Sleep,
    Stamp,
    Uniform,
    Unlock,
    Wait,
    Wake,
    Workload,
    Yield,
)

MAX_TASKS = 2_000_000
MAX_CPUS = 512
_MASK = (1 << 64) - 1


class BadPlan(ValueError):
    """Settings that make no run: no task at all, or more than there can be."""


def plan_text(
    workload: Workload, settings: Mapping[str, Setting], seed: int, cpus: int
) -> str:
    """The plan of one run; raises `BadPlan`."""
    return "\n".join(_Writer(workload, settings, seed, cpus).lines()) + "\n"


@dataclass(frozen=True, slots=True)
class _Task:
    group: str
    instance: int
    owner: int | None
    cpu: int | None


class _Writer:
    """The names of one workload as numbers, and the lines about each part."""

    def __init__(
        self, workload: Workload, settings: Mapping[str, Setting], seed: int, cpus: int
    ) -> None:
        self.workload = workload
        self.settings = settings
        self.seed = seed
        self.cpus = cpus
        self.groups = {name: number for number, name in enumerate(workload.groups)}
        self.channels = {name: number for number, name in enumerate(workload.channels)}
        phases = [phase for group in workload.groups.values() for phase in group.phases]
        self.locks = _numbered(
            name
            for phase in phases
            for name in _locks(phase)
        )
        self.barriers = _numbered(phase.name for phase in phases if isinstance(phase, Barrier))
        self.counts: dict[str, int] = {}

    def lines(self) -> Iterator[str]:
        tasks = self._tasks()
        yield "schedc-plan 1"
        yield f"seed {self.seed}"
        yield f"warmup {self._time('warmup')}"
        yield f"duration {self._time('duration')}"
        yield f"limit {self.workload.limit}"
        yield f"locks {len(self.locks)}"
        yield from self._channels()
        for name in self.barriers:
            yield f"barrier {max(1, self._parties(name))}"
        for group in self.workload.groups.values():
            yield from self._group(group)
        for task in tasks:
            owner = "-" if task.owner is None else task.owner
            cpu = "-" if task.cpu is None else task.cpu
            yield f"task {self.groups[task.group]} {task.instance} {owner} {cpu}"

    def _time(self, name: str) -> int:
        """Of the parameters that say how long a run is, if the workload has them."""
        param = self.workload.params.get(name)
        value = self.settings[name] if param is not None and param.kind == "time" else 0
        return value if isinstance(value, int) else 0

    def _number(self, number: Number) -> int:
        value = self.settings[number.param] if isinstance(number, Ref) else number
        if value == CPUS:
            return self.cpus
        if not isinstance(value, int):
            raise BadPlan(f"`{value}` is no number")
        return value

    def _tasks(self) -> list[_Task]:
        """All tasks that are there from the beginning; fills `counts`."""
        tasks: list[_Task] = []
        for name in self._owners_first():
            group = self.workload.groups[name]
            each = self._number(group.count) if group.start == "begin" else 0
            owners = self._owners(group)
            self.counts[name] = each * len(owners)
            if each * len(owners) + len(tasks) > MAX_TASKS:
                raise BadPlan(f"more than {MAX_TASKS} tasks")
            for place, (owner, cpu) in enumerate(owners):
                tasks += [_Task(name, place * each + i, owner, cpu) for i in range(each)]
        if not tasks:
            raise BadPlan("there is no task")
        tasks.sort(key=lambda task: self.groups[task.group])
        if self.workload.order == "drawn":
            _shuffle(tasks, self.seed)
        return tasks

    def _owners_first(self) -> list[str]:
        """The groups' names, those that others belong to before these."""
        order: list[str] = []

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name in order or name in above:
                return
            group = self.workload.groups[name]
            if group.per not in ("", "cpu"):
                visit(group.per, (*above, name))
            order.append(name)

        for name in self.workload.groups:
            visit(name, ())
        return order

    def _owners(self, group: Group) -> list[tuple[int | None, int | None]]:
        """For each that has tasks of the group: its instance, and the cpu if they are per cpu."""
        match group.per:
            case "":
                return [(None, None)]
            case "cpu":
                return [(None, cpu) for cpu in range(self.cpus)]
            case owner:
                return [(instance, None) for instance in range(self.counts.get(owner, 0))]

    def _channels(self) -> Iterator[str]:
        base = 0
        for channel in self.workload.channels.values():
            count = max(1, self.counts.get(channel.per, 1)) if channel.per else 1
            owners = self.groups[channel.per] if channel.per else "-"
            capacity = self._number(channel.capacity)
            yield f"channel {owners} {base} {count} {capacity} {int(channel.keep)}"
            base += count

    def _parties(self, barrier: str) -> int:
        return sum(
            self.counts[group.name]
            for group in self.workload.groups.values()
            if Barrier(barrier) in group.phases
        )

    def _group(self, group: Group) -> Iterator[str]:
        yield f"group {group.name}"
        comm = self.settings[group.comm.param] if isinstance(group.comm, Ref) else group.comm
        yield f"comm {comm}"
        if nice := self._number(group.nice):
            yield f"nice {nice}"
        if group.cgroup != "/":
            yield f"cgroup {group.cgroup} {self._number(group.weight)}"
        if group.affinity == "own":
            yield "cpus own"
        elif group.affinity != "any":
            yield "cpus " + " ".join(str(cpu) for cpu in group.affinity)
        # A control group's members are processes.
        if group.task == "process" or group.cgroup != "/":
            yield "process"
        if group.task == "kernel":
            yield "kthread"
        if group.per not in ("", "cpu"):
            yield f"per {self.groups[group.per]}"
        if group.role:
            yield f"role {group.role}"
        if delay := self._number(group.delay):
            yield f"delay {delay}"
        yield "loop forever" if group.loop is None else f"loop {self._number(group.loop)}"
        lines = [line for phase in group.phases if (line := self._phase(phase))]
        # Nothing is left of a group whose counts are all 0; it ends at once.
        yield from lines or ["exit"]

    def _phase(self, phase: Phase) -> str:
        match phase:
            case Run(time=time):
                return f"run {self._distribution(time)}"
            case Sleep(time=time, schedule=schedule, measure=measure, anew=anew):
                verb = "interval" if schedule and anew else "period" if schedule else "sleep"
                return f"{verb} {measure or '-'} {self._distribution(time)}"
            case Wait(channel=channel, count=count, measure=measure, lock=lock):
                held = self.locks[lock] if lock else "-"
                posts = self._number(count)
                line = f"wait {self.channels[channel]} {posts} {measure or '-'} {held}"
                return line if posts else ""
            case Wake(channel=channel, count=count, stamp=stamp):
                posts = 0 if count == "all" else self._number(count)
                line = f"wake {self.channels[channel]} {posts} {stamp}"
                return line if posts or count == "all" else ""
            case Fork(group=group, count=count):
                return f"fork {self.groups[group]} {self._number(count)}"
            case Mark(measure=measure, deadline=deadline):
                return f"mark {measure} {self._number(deadline)}"
            case Count(what=what):
                return f"count {what}"
            case Barrier(name=name):
                return f"barrier_wait {self.barriers[name]}"
            case Lock(name=name):
                return f"lock {self.locks[name]}"
            case Unlock(name=name):
                return f"unlock {self.locks[name]}"
            case Join():
                return "join"
            case Exit():
                return "exit"
            case Stamp():
                return "stamp"
            case Yield():
                return "yield"

    def _distribution(self, time: Distribution) -> str:
        match time:
            case Fixed(value=value):
                return f"fixed {self._number(value)}"
            case Uniform(mean=mean, spread=spread):
                return f"uniform {self._number(mean)} {self._number(spread)}"
            case Exponential(mean=mean):
                return f"exponential {self._number(mean)}"
            case LogNormal(median=median, sigma=sigma):
                return f"lognormal {self._number(median)} {self._number(sigma)}"
            case Empirical(values=values, weights=weights):
                pairs = " ".join(
                    f"{self._number(value)} {weight}"
                    for value, weight in zip(values, weights, strict=True)
                )
                return f"empirical {len(values)} {pairs}"


def _locks(phase: Phase) -> Iterator[str]:
    match phase:
        case Lock(name=name) | Unlock(name=name):
            yield name
        case Wait(lock=lock) if lock:
            yield lock
        case _:
            pass


def _numbered(names: Iterator[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _shuffle(tasks: list[_Task], seed: int) -> None:
    """In place, by a generator of our own: the standard one's order may change with Python."""
    state = seed & _MASK
    for last in range(len(tasks) - 1, 0, -1):
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        other = (mixed ^ (mixed >> 31)) % (last + 1)
        tasks[last], tasks[other] = tasks[other], tasks[last]
