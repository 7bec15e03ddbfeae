"""Inferred ranges hold: whatever happens, in whatever order, no state leaves its range.

Every policy of the tests and the library is run in the reference semantics, with facts drawn from
the ends and the inside of what they can be. Checked on the way: values that the compiler says need
no saturation, divisors, slices, and the 64-bit range of everything computed.
"""

import random
import zlib
from pathlib import Path

import pytest

from schedc.ir import nodes as ir
from schedc.ir.facts import FACTS, RANGES
from schedc.ir.interval import S64
from schedc.ir.nodes import Interval, Kind
from schedc.ir.semantics import Integers, Interpreter, Leaf
from schedc.pipeline import analyze
from schedc.source import Source

ROOT = Path(__file__).parents[2]
POLICIES = sorted((ROOT / "tests/language/policies").glob("*.sched")) + sorted(
    (ROOT / "stdlib_policies").glob("*.sched")
)
STEPS = 120


class Checked(Integers):
    """Integers that complain where the generated C would go wrong."""

    def _kept(self, value: int) -> int:
        assert S64.low <= value <= S64.high, "a value leaves 64 bits"
        return value

    def add(self, a: int, b: int) -> int:
        return self._kept(a + b)

    def mul(self, a: int, b: int) -> int:
        return self._kept(a * b)

    def div(self, a: int, b: int) -> int:
        assert b >= 1, "a divisor below 1"
        return a // b


class World:
    """The values of everything that a policy reads; facts are drawn anew for each event."""

    def __init__(self, policy: ir.Policy, rng: random.Random) -> None:
        self.policy, self.rng = policy, rng
        self.tunes = {tune.name: self.within(tune.low, tune.high) for tune in policy.tunes}
        self.facts: dict[object, int] = {}
        self.states: dict[tuple[str, str], int] = {}
        self.run = Interpreter(Checked(), self.read, policy.stint_max_ns)
        for state in policy.states:
            start = 0 if state.initial is None else self.run.evaluate(state.initial)
            self.states[(state.scope, state.name)] = start

    def within(self, low: int, high: int) -> int:
        """A value of a range: often an end, often small, else anywhere."""
        rng = self.rng
        near = min(max(rng.randrange(-100_000_000, 100_000_000), low), high)
        return rng.choice((low, high, near, rng.randint(low, high)))

    def read(self, leaf: Leaf) -> int:
        match leaf:
            case ir.TuneRef(name=name):
                return self.tunes[name]
            case ir.StateRef(scope=scope, name=name):
                return self.states[(scope, name)]
            case ir.FactRef(name="weight"):
                return self.fact("weight", self.policy.weight)
            case ir.FactRef(name=name):
                return self.fact(name, FACTS[name].range)
            case ir.QueueFact(function=function, queue=queue, type=type):
                return self.fact((function, queue), RANGES[type.kind])
        return self.fact(leaf, Interval(0, 1))

    def fact(self, key: object, limits: Interval) -> int:
        if key not in self.facts:
            self.facts[key] = self.within(limits.low, limits.high)
        return self.facts[key]

    def step(self) -> None:
        """One event, then what would be asked at an insertion and a pick."""
        self.facts.clear()
        for assign in self.policy.events[self.rng.choice(ir.EVENTS)]:
            self.assign(assign)
        for rule in self.policy.rules:
            if isinstance(rule.slice, ir.Slice):
                slice_ = self.run.evaluate(rule.slice.value)
                assert rule.slice.low <= slice_ <= rule.slice.high
            if rule.key is not None:
                self.run.evaluate(rule.key)
        for cls in self.policy.classes:
            if cls.when is not None:
                assert self.run.evaluate(cls.when) in (False, True)

    def assign(self, assign: ir.Assign) -> None:
        key = (assign.target.scope, assign.target.name)
        state = self.policy.state(*key)
        if assign.when is None or self.run.evaluate(assign.when):
            value = self.run.evaluate(assign.value)
            if state.type.kind not in (Kind.VTIME, Kind.BOOL):
                assert assign.clamp_low or value >= state.low
                assert assign.clamp_high or value <= state.high
        self.states[key] = self.run.assigned(assign, state)
        if state.type.kind is Kind.VTIME:
            # What an insertion does: hold it near the clock, wherever that is.
            self.states[key] = self.within(-(1 << 60), 1 << 60)
        assert state.low <= self.states[key] <= state.high


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_no_state_leaves_its_range(path: Path) -> None:
    analysis = analyze(Source.from_text(path.name, path.read_text(encoding="utf-8")))
    assert analysis.policy is not None
    for turn in range(3):
        seed = zlib.crc32(path.name.encode()) + turn
        world = World(analysis.policy, random.Random(seed))
        for _ in range(STEPS):
            world.step()
