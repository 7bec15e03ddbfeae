"""A random adversary in the model: an environment that tries to make somebody wait.

Input: a policy, its proof, a seed. Output: what broke the proof's word: a wait beyond the class's
bound, or a cpu that idles while somebody waits whom it may run. Invariant: the environment keeps to
the printed assumptions (contenders a cpu, weights, no other scheduling class), so that a finding is
a fault of the prover or of the model. Each run has moods: how long stints are, how they end, how
soon sleepers come back, how often tasks exit and are forked.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from schedc.ir import nodes as ir
from schedc.ir.walk import everywhere
from schedc.model import Machine, Profile, Program, Topology, Waiting
from schedc.model.state import ASLEEP, FOREVER, GONE, QUEUED
from schedc.prove.parameters import Parameters
from schedc.prove.result import Proof, Verdict

TOPOLOGIES = (Topology(), Topology((0, 0)), Topology((0, 1)), Topology((0, 0, 1), (0, 0, 1)))
AWHILE = (0, 0, 0, 10_000, 1_000_000, 30_000_000, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Finding:
    """`property`: what is broken. `closest` (of a run without one): the longest wait as a part of
    its bound."""

    property: str
    what: str


@dataclass(frozen=True, slots=True)
class Mood:
    """Chances, of 1, that a stint is as long as it can be, and of its ends; a sleeper's rests."""

    full: float
    late: float
    ends: tuple[str, ...]
    short: tuple[int, ...]
    rests: tuple[int, ...]
    changes: float


def _mood(draw: random.Random) -> Mood:
    ends = draw.choice(
        (("slice",), ("slice", "sleep"), ("slice", "exit"), ("slice", "yield", "sleep", "exit"),
         ("sleep",), ("exit",))
    )  # fmt: skip
    return Mood(
        draw.choice((0.2, 0.7, 1.0)), draw.choice((0.0, 0.5, 1.0)), ends,
        draw.choice(((1_000,), (10_000, 100_000), (1_000, 3_000_000, 9_000_000))),
        draw.choice(((0,), (0, 10_000), AWHILE)), draw.choice((0.0, 0.0, 0.05)),
    )  # fmt: skip


class Adversary:
    """One run against one proof."""

    def __init__(self, policy: ir.Policy, proof: Proof, parameters: Parameters, seed: int) -> None:
        self.draw = random.Random(seed)
        self.policy, self.proof = policy, proof
        self.topology = self.draw.choice(TOPOLOGIES)
        settings = {name: self._end(range_) for name, range_ in parameters.tunes}
        program = Program(policy, self.topology, settings)
        self.machine = Machine(program, parameters=parameters, record=False)
        self.machine.beat_at = self._phase()
        self.mood = _mood(self.draw)
        self.bounds = {one.cls: one for one in proof.bounds}
        self.weight = parameters.weight
        asked = [e.patterns for e in everywhere(policy) if isinstance(e, ir.MatchComm)]
        self.names = [b"task", *(one.text for several in asked for one in several)]
        self.plans: dict[int, tuple[tuple[int, int, int], int, str]] = {}
        self.rises: dict[int, int] = {}
        self.changed: set[int] = set()
        self.cast = self._cast(self.draw.choice((2, 2, 3, 4, 6)) * self.topology.cpus)
        self.closest = 0.0
        working = [o for o in proof.obligations if o.property == "work-conserving"]
        self.conserves = bool(working) and all(o.verdict is Verdict.proved for o in working)

    def _end(self, range_: ir.Interval) -> int:
        middle = (range_.low + range_.high) // 2
        return self.draw.choice((range_.low, range_.high, range_.high, middle))

    def _phase(self) -> int:
        beat = self.machine.program.beat_ns
        return self.draw.randint(1, beat) if beat else FOREVER

    def _cast(self, count: int) -> list[Profile]:
        """Who takes part: a few kinds of tasks."""
        kinds = [self._kind() for _ in range(self.draw.randint(1, 4))]
        return [self._bound(self.draw.choice(kinds)) for _ in range(count)]

    def _kind(self) -> Profile:
        """A plain task but for some of its facts."""
        draw, policy = self.draw, self.policy
        ends = (self.weight.low, self.weight.high)
        groups = range(len(policy.cgroup_paths))
        group = draw.choice((-1, *groups))
        path = policy.cgroup_paths[group] if group >= 0 else b"/"
        some: dict[str, Any] = {
            "weight": draw.choice((*ends, draw.randint(1, 100), draw.randint(1, 10_000))),
            "nice": draw.choice((-20, -5, 5, 19)),
            "kthread": True,
            "comm": draw.choice(self.names),
            "exe": draw.choice((-1, *range(len(policy.exes)))),
            "within": frozenset(i for i in groups if path.startswith(policy.cgroup_paths[i])),
            "cgroup": group + 1 if draw.random() < 0.7 else draw.randrange(5),
            "cgroup_weight": draw.choice((1, 10_000)),
            "uid": 1000,
        }
        return Profile(**{name: value for name, value in some.items() if draw.random() < 0.3})

    def _bound(self, kind: Profile) -> Profile:
        if self.draw.random() < 0.75:
            return kind
        return replace(kind, allowed=frozenset({self.draw.randrange(self.topology.cpus)}))

    def run(self, steps: int) -> Finding | None:
        """The first thing that is not as proved."""
        for profile in self.cast:
            self.machine.fork(profile, min(profile.allowed, default=0))
        for _ in range(steps):
            if found := self._broken():
                return found
            if not self._step():
                return None
        return None

    # --- what is checked -------------------------------------------------------------------------

    def _broken(self) -> Finding | None:
        machine = self.machine
        waiting = machine.waiting()
        for one in waiting:
            cls = machine.class_name(one.task)
            bound = self.bounds.get(cls or "")
            if bound is None or one.task in self.changed:
                continue
            allowed = bound.wait_ns(self._contenders(one))
            waited = machine.now - one.since
            self.closest = max(self.closest, waited / allowed)
            if waited > allowed:
                told = f"{cls} waits {waited / 1e6:.3f} ms > {allowed / 1e6:.3f} ms"
                return Finding("starvation-free", told)
        if self.conserves:
            return next(self._idlers(waiting), None)
        return None

    def _contenders(self, one: Waiting) -> int:
        """N: tasks that may run on the cpus that serve the waiting one, for each such cpu."""
        machine = self.machine
        task = machine.tasks[one.task]
        cpus = task.allowed
        if task.state == QUEUED and machine.program.domains[task.queue] != "cgroup":
            serves = {cpu for cpu in cpus if machine.domain_of_cpu(task.queue, cpu) == task.domain}
            cpus = frozenset(serves) or cpus
        cls = self.policy.classes[task.cls]
        if cls.affinity == "confine":
            inside = machine.program.cpus_of(cls.cpus) if cls.cpus else cpus
            cpus = frozenset(cpus & inside) or cpus
        rivals = sum(1 for t in machine.tasks if t.state != GONE and t.allowed & cpus)
        return -(-rivals // len(cpus))

    def _idlers(self, waiting: tuple[Waiting, ...]) -> Iterator[Finding]:
        machine = self.machine
        stolen = {
            self.policy.queue(line.queue).index
            for line in self.policy.dispatch
            if isinstance(line, ir.Steal)
        }
        for cpu in machine.cpus:
            if cpu.running >= 0 or cpu.rt or cpu.local:
                continue
            for one in waiting:
                task = machine.tasks[one.task]
                if task.state != QUEUED or not machine.may_run(task, cpu.number):
                    continue
                here = task.domain in machine.visible(task.queue, cpu.number)
                if here or task.queue in stolen:
                    told = f"cpu {cpu.number} idles while {one.task} waits in {one.queue}"
                    yield Finding("work-conserving", told)

    # --- what happens ----------------------------------------------------------------------------

    def _step(self) -> bool:
        """The next thing happens; false if nothing is left to happen."""
        machine, draw = self.machine, self.draw
        due: list[tuple[int, int, str]] = [
            (max(at, machine.now), -1 - task, "wake") for task, at in self.rises.items()
        ]
        due += [(*self._plan(cpu.number), "") for cpu in machine.cpus if cpu.running >= 0]  # type: ignore[misc]
        if not due:
            return False
        at, who, _ = min(due)
        if machine.beat_at <= at:
            machine.advance(machine.beat_at - machine.now)
            return True
        if who < 0:
            task = -1 - who
            del self.rises[task]
            machine.advance(at - machine.now)
            machine.wake(task, waker=None)
        else:
            self._stop(who, at)
        if draw.random() < self.mood.changes:
            self._change()
        return True

    def _plan(self, number: int) -> tuple[int, int]:
        """When the stint on a cpu ends: as it was planned when it began, or earlier."""
        machine, draw, mood = self.machine, self.draw, self.mood
        cpu = machine.cpus[number]
        key = (cpu.running, cpu.running_since, cpu.slice_end)
        if number not in self.plans or self.plans[number][0] != key:
            latest, slice_end = machine.deadline(number), cpu.slice_end
            how = draw.choice(mood.ends)
            if draw.random() < mood.full:
                at = latest if draw.random() < mood.late else slice_end
            else:
                at = machine.now + draw.choice(mood.short)
            at = min(at, latest, machine.now + 500_000_000)
            self.plans[number] = (key, max(at, machine.now), how)
        _, at, how = self.plans[number]
        return max(min(at, machine.deadline(number)), machine.now), number

    def _stop(self, number: int, at: int) -> None:
        machine, draw = self.machine, self.draw
        cpu = machine.cpus[number]
        task = machine.tasks[cpu.running]
        how = self.plans.pop(number)[2]
        if how == "slice" and cpu.slice_end > at:
            how = "yield"
        if how == "exit":
            # One for one: as many contend as before.
            machine.advance(at - machine.now)
            if machine.cpus[number].running != task.id:
                return
            machine.end_at(number, machine.now, "exit")
            machine.fork(task.profile, number if number in task.allowed else min(task.allowed))
            return
        machine.end_at(number, at, how)
        if task.state == ASLEEP:
            self.changed.discard(task.id)
            self.rises[task.id] = machine.now + draw.choice(self.mood.rests)

    def _change(self) -> None:
        """A task gets another weight or name; its own wait isn't looked at until it sleeps."""
        machine, draw = self.machine, self.draw
        task = draw.choice([t for t in machine.tasks if t.state != GONE])
        self.changed.add(task.id)
        if draw.random() < 0.5:
            machine.set_weight(task.id, draw.choice((self.weight.low, self.weight.high)))
        else:
            machine.set_comm(task.id, draw.choice(self.names))


def attack(
    policy: ir.Policy, proof: Proof, parameters: Parameters, seeds: range, steps: int = 600
) -> tuple[Finding | None, float]:
    """The first finding of several runs, or how close they came to the bounds (1: as long)."""
    closest = 0.0
    for seed in seeds:
        one = Adversary(policy, proof, parameters, seed)
        if found := one.run(steps):
            return replace(found, what=f"{found.what} (seed {seed})"), 1.0
        closest = max(closest, one.closest)
    return None, closest
