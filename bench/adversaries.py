"""Adversaries for the simulator: environments that want somebody to wait, within a proof's word.

Input: a policy, its proof, the number of an adversary. Output: an `Attack`: the machine, values of
tunables, and the text of `--adversary` (backends/sim/runtime/adversary.h), all the same for the
same number. Four kinds, five numbers each: random moods; the scripted behaviours that refute
policies (schedc/refute); ambushes around a victim's wake-ups; lookahead, which goes the worst of
several futures at each of a victim's waits. Invariant: what the assumptions forbid is never asked
for: tasks that `lowest` or `share` compares are bound to no cpu (E15), there are no more control
groups than assumed (E18); contenders (E1) are counted by the runtime.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import ceil

from schedc.ir import nodes as ir
from schedc.ir.nodes import CHARGE_MIN_NS, NS_PER_MS as MS, Policy
from schedc.model import Profile, Program, Topology
from schedc.prove.result import Bound, Proof
from schedc.refute.profiles import Shape, names, possible, shapes, thresholds
from schedc.refute.strategies import behaviours
from schedc.sim.script import machine_text

KINDS = ("random", "scripted", "ambush", "lookahead")
EVENTS = 25_000
"""Scheduling events of one run."""

TOPOLOGIES = (
    Topology((0,)), Topology((0,)), Topology((0, 0)), Topology((0, 1), (0, 0)),
    Topology((0, 0, 1), (0, 0, 1)), Topology((0, 0, 1, 1), (0, 0, 1, 1), (0, 0, 1, 1)),
    Topology((0, 0), (0, 0), (), (1024, 512)),
)  # fmt: skip

_SLEEPS, _EXITS, _YIELDS, _RANDOM, _AMBUSH, _VICTIM, _RENAMES = range(7)
_HOW = {"slice": _YIELDS, "sleep": _SLEEPS, "exit": _EXITS, "yield": _YIELDS}
_DOMAINS = ("machine", "cpu", "llc", "node", "cgroup")
_DRAWN = (1 << 62) - 1
_MOST_ACTORS = 96
_HZ = "hz 250"


@dataclass(frozen=True)
class Attack:
    """`kind`: of `KINDS`. `until_ns`: the run is over then."""

    number: int
    kind: str
    machine: str
    settings: str
    text: str
    until_ns: int


class _Known:
    """What is asked about one policy again and again, by the number of cpus."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.shapes = cache(lambda cpus: shapes(policy, cpus))
        self.possible = cache(lambda shape, cpus: tuple(possible(policy, shape, cpus)))
        self.thresholds = thresholds(policy)


_last: list[_Known] = []


def _known(policy: Policy) -> _Known:
    """Of the policy that was asked about last: its adversaries come one after the other."""
    if not _last or _last[0].policy is not policy:
        _last[:] = [_Known(policy)]
    return _last[0]


def attack(policy: Policy, proof: Proof, number: int) -> Attack:
    """One adversary of a policy that is proved."""
    return _Maker(policy, proof, number).made()


class _Maker:
    def __init__(self, policy: Policy, proof: Proof, number: int) -> None:
        self.policy, self.proof, self.number = policy, proof, number
        self.draw = random.Random(f"{policy.name} {number}")
        self.kind = KINDS[number % len(KINDS)]
        self.topology = self.draw.choice(TOPOLOGIES)
        self.tunes = {t.name: self._value(t) for t in policy.tunes}
        self.known = _known(policy)
        self.told_apart = self._shapes()
        self.profiles: dict[Profile, int] = {}
        self.actors: list[str] = []

    def _value(self, tune: ir.Tune) -> int:
        return self.draw.choice((tune.value, tune.low, tune.high, (tune.low + tune.high) // 2))

    def made(self) -> Attack:
        getattr(self, f"_{self.kind}")()
        machine = machine_text(self.topology).replace("hz 1000", _HZ)
        settings = "".join(f"set tune_{name} {value}\n" for name, value in self.tunes.items())
        lines = [f"limit {EVENTS}", *self._queues(), *self._bounds(), *self._choices()]
        lines += [self._profile_line(one) for one in self.profiles]
        lines += self._mood()
        until = min(4 * max(b.wait_ns(self.proof.runnable) for b in self.proof.bounds), 60_000 * MS)
        text = "".join(f"{line}\n" for line in [*lines, *self.actors])
        return Attack(self.number, self.kind, machine, settings, text, max(until, 2_000 * MS))

    # --- what is watched -------------------------------------------------------------------------

    def _queues(self) -> Iterator[str]:
        family = self._families()
        everywhere = frozenset(range(self.topology.cpus))
        packed = 2 if self.policy.pack is not None else 0
        program = Program(self.policy, self.topology, self.tunes) if self.policy.cpu_sets else None
        for queue in self.policy.queues:
            confined = [
                program.cpus_of(cls.cpus)
                for rule, cls in zip(self.policy.rules, self.policy.classes, strict=True)
                if rule.queue == queue.name and cls.affinity == "confine" and cls.cpus and program
            ]
            cpus = (confined[0] if confined else everywhere) & everywhere or everywhere
            plain = any(
                one.queue == queue.name and "without drift" in one.discipline
                for one in self.proof.bounds
            )
            yield (
                f"queue {queue.index} {_DOMAINS.index(queue.domain)} {family.get(queue.name, 0)} "
                f"{_mask(cpus)} {int(plain) | packed}"
            )

    def _families(self) -> dict[str, int]:
        compared = [one for one in self.policy.dispatch if isinstance(one, ir.Lowest)]
        return {name: i + 1 for i, line in enumerate(compared) for name in line.queues}

    def _bounds(self) -> Iterator[str]:
        for queue, bound in bounds_of(self.policy, self.proof).items():
            yield f"bound {queue} {ceil(bound.a_ns)} {ceil(bound.b_ns)}"

    # --- who takes part --------------------------------------------------------------------------

    def _shapes(self) -> list[tuple[list[Shape], list[Shape]]]:
        """For each class light shapes and heavy ones, those that may be told apart here."""
        found = []
        for several in self.known.shapes(self.topology.cpus).values():
            sides = [
                [s for s in side if s.profile.exe < 0 and not s.profile.within and self._fits(s)]
                for side in (several.light, several.heavy)
            ]
            if sides[0] and sides[1]:
                found.append((sides[0], sides[1]))
        return found or [([Shape(Profile(), False)], [Shape(Profile(), False)])]

    def _fits(self, shape: Shape) -> bool:
        """E15: nobody in a queue that is compared with others is bound."""
        if not shape.bound or self.topology.cpus == 1:
            return True
        compared = {
            name
            for line in self.policy.dispatch
            for name in (
                line.queues if isinstance(line, ir.Lowest)
                else [name for name, _ in line.portions] if isinstance(line, ir.Share) else ()
            )
            if self.policy.queue(name).domain != "cpu"
        }  # fmt: skip
        queue_of = {rule.cls: rule.queue for rule in self.policy.rules}
        classes = self.known.possible(shape, self.topology.cpus)
        return compared.isdisjoint(queue_of[name] for name in classes)

    def _kind_of_task(self) -> Shape:
        """A plain task but for some of its facts."""
        draw, policy = self.draw, self.policy
        if draw.random() < 0.5:
            light, heavy = draw.choice(self.told_apart)
            return draw.choice([*light, *heavy])
        some = {
            "nice": draw.choice((-20, -5, 5, 19)), "kthread": True,
            "comm": draw.choice(names(policy)), "uid": 1000, "tgid": 7,
        }  # fmt: skip
        chosen = {name: value for name, value in some.items() if draw.random() < 0.25}
        shape = Shape(Profile(**chosen), draw.random() < 0.15)  # type: ignore[arg-type]
        return shape if self._fits(shape) else replace(shape, bound=False)

    def _actor(self, shape: Shape, how: int, burst: int = 0, sleep: int = _DRAWN) -> None:
        draw = self.draw
        cpu = draw.randrange(self.topology.cpus)
        allowed = frozenset({cpu}) if shape.bound else frozenset(range(self.topology.cpus))
        groups = max(self.policy.cgroups, 1) if self._grouped else 1
        profile = replace(
            shape.profile, allowed=allowed, cgroup=1 + draw.randrange(min(groups, 4)),
            cgroup_weight=100,
        )  # fmt: skip
        number = self.profiles.setdefault(profile, len(self.profiles))
        self.actors.append(f"actor {number} {cpu} {how} {burst} {sleep}")

    @property
    def _grouped(self) -> bool:
        return any(queue.domain == "cgroup" for queue in self.policy.queues)

    def _crowd(self) -> int:
        """How many: most often as many as the proof allows for one queue, or somewhat more, as they
        are spread over several."""
        most = self.proof.runnable * self.topology.cpus
        crowd = self.draw.choice((most, most, most * 2, most // 2, most + 1))
        return max(2, min(crowd, _MOST_ACTORS))

    # --- kinds of adversaries --------------------------------------------------------------------

    def _random(self) -> None:
        kinds = [self._kind_of_task() for _ in range(self.draw.randint(1, 4))]
        for _ in range(self._crowd()):
            self._actor(self.draw.choice(kinds), _RANDOM)

    def _scripted(self) -> None:
        """As those that refute: a victim, and competitors that all do the same."""
        draw = self.draw
        light, heavy = draw.choice(self.told_apart), draw.choice(self.told_apart)
        behaviour = draw.choice(list(behaviours(self.policy, (0, *self.known.thresholds[:3]))))
        rival, crowd = draw.choice(heavy[1]), self._crowd()
        how = _RENAMES if behaviour.comms else _HOW[behaviour.how]
        for _ in range(max(1, crowd // 8)):
            self._actor(draw.choice(light[0]), _VICTIM, draw.choice((0, CHARGE_MIN_NS, MS)))
        rest = draw.choice((1000, MS, 50 * MS))
        for _ in range(crowd - max(1, crowd // 8)):
            self._actor(rival, how, max(behaviour.length_ns, 0), rest)

    def _ambush(self) -> None:
        """Sleepers come when a victim is about to wait; hogs take what is left."""
        draw = self.draw
        light, heavy = draw.choice(self.told_apart), draw.choice(self.told_apart)
        crowd = self._crowd()
        self._actor(draw.choice(light[0]), _VICTIM, draw.choice((0, CHARGE_MIN_NS, MS)))
        hunters = draw.randint(1, max(1, crowd - 1))
        for i in range(crowd - 1):
            how = _AMBUSH if i < hunters else draw.choice((_YIELDS, _EXITS, _RANDOM))
            burst = draw.choice((0, 0, CHARGE_MIN_NS, *self.known.thresholds[:3]))
            self._actor(draw.choice(draw.choice((heavy[1], heavy[0]))), how, burst, 1000)

    def _lookahead(self) -> None:
        light = self.draw.choice(self.told_apart)
        kinds = [self._kind_of_task() for _ in range(self.draw.randint(1, 3))]
        self._actor(self.draw.choice(light[0]), _VICTIM, self.draw.choice((CHARGE_MIN_NS, MS)))
        for _ in range(self._crowd() - 1):
            how = self.draw.choice((_RANDOM, _RANDOM, _AMBUSH))
            self._actor(self.draw.choice(kinds), how)

    def _choices(self) -> Iterator[str]:
        """Times that matter, and the ends."""
        draw = self.draw
        near = [v + step for v in self.known.thresholds for step in (-1000, 1) if v > 1000]
        slices = [rule.slice.high for rule in self.policy.rules]
        bursts = [1_000, CHARGE_MIN_NS, 100_000, 900_000, 3_900_000, *near, *slices]
        if draw.random() < 0.5:
            bursts = draw.sample(bursts, 3)
        sleeps = draw.choice(
            ((1_000,), (1_000, MS), (10_000, MS, 30 * MS), (1_000, MS, 7 * MS, 50 * MS, 400 * MS))
        )
        yield _line("burst", [min(max(one, 1000), 1000 * MS) for one in bursts][:60])
        yield _line("sleep", sleeps)
        yield f"ambush {draw.choice((0, 0, 1, 1000, MS))}"
        if self.kind == "lookahead":
            yield f"look {draw.choice((8, 20))} {draw.choice((4, 8))} {4_000 * MS}"

    def _mood(self) -> Iterator[str]:
        draw = self.draw
        ends = draw.choice(((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (6, 1, 3)))
        nice = draw.choice((0, 0, 50))
        yield _line("mood", (draw.choice((200, 700, 950)), *ends, nice))

    def _profile_line(self, p: Profile) -> str:
        comm = p.comm[:15].decode("latin-1") or "task"
        return (
            f"profile {p.nice} {int(p.kthread)} {p.uid} {p.tgid} {p.cgroup} {p.cgroup_weight} "
            f"{_mask(p.allowed)} {comm}"
        )


def bounds_of(policy: Policy, proof: Proof) -> dict[int, Bound]:
    """The longest bound of each queue's classes; -1: of all, for tasks put on an idle cpu."""
    found: dict[int, Bound] = {}
    for bound in sorted(proof.bounds, key=lambda one: one.wait_ns(proof.runnable)):
        found[policy.queue(bound.queue).index] = found[-1] = bound
    return found


def _mask(cpus: Sequence[int] | frozenset[int]) -> str:
    return f"{sum(1 << cpu for cpu in cpus):x}"


def _line(name: str, numbers: Sequence[int]) -> str:
    return " ".join((name, *map(str, numbers)))
