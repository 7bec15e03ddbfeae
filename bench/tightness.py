"""How near to the proved bounds an adversary comes, in the machine of the reference semantics.

Input: policies (those of the library and the examples, if none is named). Output: for each class
the bound for N contenders on a cpu, the longest wait that was found, their ratio. Method: casts of
tasks are drawn at random and the best ones varied: hogs that run to the last tick, tasks that run a
burst and sleep, tasks that fork their successor and exit, of every class and the ends of its
weights; the same seeds give the same table. A ratio above 1 is an error in the proof or the model.

All contend for one cpu, at most N for each queue, as assumed. A second cpu belongs to a higher
class throughout, so that tasks which may use both are not `pinned`.

    python -m bench.tightness [--runnable 16] [--runs 60] [--picks 1500] [POLICY...]
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from schedc.ir.nodes import NS_PER_MS as MS, Policy
from schedc.model import Machine, Profile, Program, Topology
from schedc.model.state import FOREVER
from schedc.pipeline import analyze
from schedc.prove.parameters import Parameters, declared
from schedc.prove.prove import prove
from schedc.refute.profiles import shapes
from schedc.source import Source

ROOT = Path(__file__).parents[1]

BURSTS = (10_000, 900_000, 4 * MS, 20 * MS, 100 * MS)
SLEEPS = (0, MS, 7 * MS, 50 * MS, 400 * MS)


@dataclass(frozen=True, slots=True)
class Role:
    """What a task does: it runs for `burst_ns`, then sleeps for `sleep_ns`, or exits and leaves a
    successor. A burst of 0 is for ever; one that exits then does so at the end of its first stint.
    `late`: stints run to the tick after their slice."""

    profile: Profile
    burst_ns: int = 0
    sleep_ns: int = 0
    exits: bool = False
    late: bool = True


Cast = tuple[tuple[Role, int], ...]
"""Roles, each with a number of tasks."""


class Stage:
    """One machine with its cast. `worst`: by class, the longest wait so far."""

    def __init__(self, program: Program, parameters: Parameters, cast: Cast, seed: int) -> None:
        self.m = Machine(program, parameters=parameters)
        self.m.rt_begin(1)
        self.m.advance(1_000 * MS)  # buckets are full
        self.role: dict[int, Role] = {}
        self.left: dict[int, int] = {}
        self.wakes: list[tuple[int, int]] = []
        self.worst: dict[str, int] = {}
        tasks = [role for role, number in cast for _ in range(number)]
        random.Random(seed).shuffle(tasks)
        for role in tasks:
            self._fork(role, 0)

    def _fork(self, role: Role, cpu: int) -> None:
        number = len(self.m.tasks)
        self.role[number], self.left[number] = role, role.burst_ns or FOREVER
        self.m.fork(role.profile, cpu)

    def play(self, picks: int) -> dict[str, int]:
        """So many stints; then those who still wait count as well."""
        for _ in range(picks):
            self._step()
        for waiting in self.m.waiting():
            self._note(waiting.task, self.m.now - waiting.since)
        return self.worst

    def _step(self) -> None:
        """The next thing that happens: a task wakes, a stint ends, or time passes."""
        m = self.m
        ends = [(self._plan(cpu.number), cpu.number) for cpu in m.cpus if cpu.running >= 0]
        at, cpu = min(ends, default=(FOREVER, -1))
        latest = m.latest()
        due, sleeper = self.wakes[0] if self.wakes else (FOREVER, -1)
        if due <= min(at, latest):
            heapq.heappop(self.wakes)
            m.advance(max(due - m.now, 0))
            self.left[sleeper] = self.role[sleeper].burst_ns
            m.wake(sleeper)
        elif cpu >= 0 and at <= latest:
            self._end(cpu, at)
        else:
            m.advance(min(latest, m.now + MS) - m.now)
        for event in m.events:
            if event.kind == "run":
                self._note(event.task, event.at - m.tasks[event.task].since)
        m.events.clear()

    def _plan(self, cpu: int) -> int:
        """When the stint on a cpu ends."""
        m = self.m
        task = m.cpus[cpu].running
        burst = m.cpus[cpu].began + self.left[task]
        end = max(m.slice_end(cpu), m.now)
        return max(m.now, min(burst, m.deadline(cpu) if self.role[task].late else end))

    def _end(self, cpu: int, at: int) -> None:
        m = self.m
        task = m.cpus[cpu].running
        role, ran = self.role[task], at - m.cpus[cpu].began
        if self.left[task] < FOREVER:
            self.left[task] -= ran
        over = self.left[task] <= 0
        if role.exits and (over or not role.burst_ns):
            m.end_at(cpu, at, "exit")
            self._fork(role, cpu)
        elif over:
            m.end_at(cpu, at, "sleep")
            heapq.heappush(self.wakes, (m.now + role.sleep_ns, task))
        else:
            m.end_at(cpu, at, "slice" if m.slice_end(cpu) <= at else "yield")

    def _note(self, task: int, waited: int) -> None:
        cls = self.m.class_name(task) or ""
        self.worst[cls] = max(self.worst.get(cls, 0), waited)


@dataclass(frozen=True, slots=True)
class Row:
    """`worst_ns`: over all runs; `bound_ns`: None if the class has no bound."""

    policy: str
    cls: str
    runnable: int
    worst_ns: int
    bound_ns: int | None

    @property
    def ratio(self) -> float | None:
        return self.worst_ns / self.bound_ns if self.bound_ns else None


def rows(
    policy: Policy,
    runnable: int = 16,
    runs: int = 60,
    picks: int = 1500,
    seed: int = 1,
) -> list[Row]:
    """The worst waits of a policy, by class, under a number of casts; half of them vary the best
    of the class whose turn it is."""
    parameters = replace(declared(policy), runnable=runnable)
    bounds = {b.cls: b.wait_ns(runnable) for b in prove(policy, parameters).bounds}
    draw = random.Random(seed)
    programs = [Program(policy, Topology((0, 0)), tunes) for tunes in _tunes(policy)]
    people = _people(policy)
    worst: dict[str, int] = {}
    best: dict[str, tuple[Cast, Program]] = {}
    names = [cls.name for cls in policy.classes]
    for run in range(runs):
        known = best.get(names[run % len(names)])
        cast, program = known if known and run % 2 else (None, draw.choice(programs))
        cast = _cast(draw, people, runnable, cast)
        for cls, waited in Stage(program, parameters, cast, run).play(picks).items():
            if waited > worst.get(cls, -1):
                worst[cls], best[cls] = waited, (cast, program)
    return [
        Row(policy.name, cls, runnable, worst[cls], bounds.get(cls)) for cls in names
        if cls in worst
    ]  # fmt: skip


def _tunes(policy: Policy) -> list[dict[str, int]]:
    """As declared, and all tunables at their ends."""
    return [
        {},
        {tune.name: tune.high for tune in policy.tunes},
        {tune.name: tune.low for tune in policy.tunes},
    ]


def _people(policy: Policy) -> list[list[Profile]]:
    """Profiles of every class, at both ends of its weights: those whose tasks may meet in a queue
    together."""
    groups: list[tuple[set[str], dict[Profile, None]]] = []
    for cls, of_class in shapes(policy, 2).items():
        queue = policy.rules[policy.class_index(cls)].queue
        several = {
            replace(one.profile, allowed=frozenset({0}) if one.bound else one.profile.allowed): None
            for one in (*of_class.light, *of_class.heavy)
        }
        met = [g for g in groups if queue in g[0] or several.keys() & g[1].keys()]
        queues, profiles = {queue}, several
        for group in met:
            queues, profiles = queues | group[0], group[1] | profiles
            groups.remove(group)
        groups.append((queues, profiles))
    return [list(profiles) for _, profiles in groups if profiles]


def _cast(draw: random.Random, people: list[list[Profile]], most: int, known: Cast | None) -> Cast:
    """So many tasks of each group, or fewer: a new cast, or a known one with another role."""
    if known is not None:
        roles = list(known)
        place = draw.randrange(len(roles))
        old = roles[place][0].profile
        group = next(group for group in people if old in group)
        roles[place] = (_role(draw, group), roles[place][1])
        return tuple(roles)
    made: list[tuple[Role, int]] = []
    for group in people:
        several = draw.choice((1, 2, 2, 3))
        total = most if draw.random() < 0.6 else draw.randint(1, most)
        cuts = sorted(draw.choices(range(total + 1), k=several - 1))
        sizes = [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]
        made += [(_role(draw, group), size) for size in sizes if size]
    return tuple(made)


def _role(draw: random.Random, people: list[Profile]) -> Role:
    burst = draw.choice((0, 0, *BURSTS))
    sleep = draw.choice(SLEEPS)
    return Role(draw.choice(people), burst, sleep, draw.random() < 0.25, draw.random() < 0.8)


def table(found: Iterable[Row]) -> str:
    """For people."""
    lines = [f"{'policy':15} {'class':13} {'N':>3} {'worst seen':>12} {'bound':>12} {'ratio':>6}"]
    for row in found:
        bound = f"{row.bound_ns / MS:9.0f} ms" if row.bound_ns else "none"
        ratio = f"{row.ratio:6.2f}" if row.ratio is not None else "     -"
        lines.append(
            f"{row.policy:15} {row.cls:13} {row.runnable:3} {row.worst_ns / MS:9.0f} ms "
            f"{bound:>12} {ratio}"
        )
    return "\n".join(lines)


def policies(paths: list[Path]) -> Iterator[Policy]:
    """Typed policies of files."""
    for path in paths:
        policy = analyze(Source.from_text(str(path), path.read_text())).policy
        if policy is None:
            raise SystemExit(f"{path}: not a policy that compiles")
        yield policy


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("policy", nargs="*", type=Path)
    parser.add_argument("--runnable", type=int, default=16, help="tasks that contend for a cpu")
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--picks", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a line of JSON for each class")
    given = parser.parse_args()
    paths = given.policy or [
        *sorted(ROOT.glob("stdlib_policies/*.sched")), *sorted(ROOT.glob("examples/*/*.sched"))
    ]  # fmt: skip
    found: list[Row] = []
    for policy in policies(paths):
        found += rows(policy, given.runnable, given.runs, given.picks, given.seed)
        print(table(found).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(found))
    if given.out is not None:
        lines = [json.dumps({**_plain(row), "ratio": row.ratio}) for row in found]
        given.out.write_text("".join(f"{line}\n" for line in lines))
    return int(any(row.ratio is not None and row.ratio > 1 for row in found))


def _plain(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in ("policy", "cls", "runnable", "worst_ns",
                                                  "bound_ns")}  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
