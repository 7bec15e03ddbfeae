"""Ranges of state: between which values each state variable stays.

Input: a draft policy whose expressions are typed. Output: the interval of every state: as declared,
or inferred. Invariant: the result is inductive: initial values are inside, and every assignment
from states inside gives a value inside, or saturates there.

Inference is interval iteration: join what is assigned until nothing grows; what still grows after
a few rounds is widened to the next threshold taken from the source (constants, ends of tunables,
fact bounds, longest slice + tick), at last to the widest range of its kind.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import replace

from schedc.ir import nodes as ir
from schedc.ir.facts import FACTS, RANGES
from schedc.ir.interval import Ranges, interval, join
from schedc.ir.nodes import TICK_MARGIN_NS, Interval, Kind
from schedc.ir.walk import children

_PLAIN_ROUNDS = 3
_THRESHOLD_ROUNDS = 8
_LAST_ROUNDS = 3
_FIXED = (Kind.VTIME, Kind.MOMENT, Kind.BOOL)
"""Kinds whose range is known without inference."""

States = dict[tuple[str, str], Interval]


def infer_ranges(policy: ir.Policy) -> Ranges:
    """The intervals of everything that expressions can name."""
    # Slices may depend on states, and states, through `charge(ran)`, on the longest slice. The
    # language's cap on slices breaks the circle; then what the slices turned out to be is used.
    kept = policy.stint_max_ns - TICK_MARGIN_NS  # 0 while slices are placeholders
    assert kept == 0, "ranges are inferred once"
    widest = replace(policy, slice_max_ns=MAX_SLICE_NS)
    env = _infer(policy, widest.stint_max_ns)
    longest = max((_longest(rule, env) for rule in policy.rules), default=0)
    if longest >= MAX_SLICE_NS:
        return env
    return _infer(policy, replace(policy, slice_max_ns=longest).stint_max_ns)


def _longest(rule: ir.Rule, env: Ranges) -> int:
    slice_ = rule.slice
    return interval(slice_.value if isinstance(slice_, ir.Slice) else slice_.contended, env).high


def _infer(policy: ir.Policy, stint_max_ns: int) -> Ranges:
    tunes = {tune.name: Interval(tune.low, tune.high) for tune in policy.tunes}
    states: States = {}
    free: dict[tuple[str, str], ir.State] = {}
    env = Ranges(tunes, states, policy.weight, stint_max_ns)
    for state in policy.states:
        key: tuple[str, str] = (state.scope, state.name)
        states[key] = Interval(state.low, state.high)
        if not state.declared and state.type.kind not in _FIXED:
            assert state.initial is not None
            free[key] = state
            states[key] = interval(state.initial, env)
    thresholds = _thresholds(policy, stint_max_ns)
    for turn in range(_PLAIN_ROUNDS + _THRESHOLD_ROUNDS + _LAST_ROUNDS):
        env = Ranges(tunes, states, policy.weight, stint_max_ns)
        grown = _round(policy, free, env)
        if not grown:
            return env
        for key, reached in grown.items():
            states[key] = _widen(
                states[key], reached, RANGES[free[key].type.kind], turn, thresholds
            )
    # Still growing: all that the kinds allow is inductive, as assignments saturate there.
    states.update({key: RANGES[state.type.kind] for key, state in free.items()})
    return Ranges(tunes, states, policy.weight, stint_max_ns)


def _widen(
    old: Interval, reached: Interval, limits: Interval, turn: int, thresholds: list[int]
) -> Interval:
    """The next guess for a state that outgrew `old`."""
    if turn < _PLAIN_ROUNDS:
        return reached
    if turn < _PLAIN_ROUNDS + _THRESHOLD_ROUNDS:
        return _cut(_widened(old, reached, thresholds), limits)
    return _unbounded(old, reached, limits)


MAX_SLICE_NS = 1_000_000_000
"""Longest slice that a policy may give."""


def _round(
    policy: ir.Policy, free: dict[tuple[str, str], ir.State], env: Ranges
) -> dict[tuple[str, str], Interval]:
    """What the assignments reach beyond the present ranges, by state."""
    reached: dict[tuple[str, str], Interval] = {}
    for body in policy.events.values():
        for assign in body:
            key = (assign.target.scope, assign.target.name)
            if key not in free:
                continue
            old = reached.get(key, env.states[key])
            value = _cut(interval(assign.value, env), RANGES[free[key].type.kind])
            new = join(old, value)
            if new != env.states[key]:
                reached[key] = new
    return reached


def _cut(value: Interval, limits: Interval) -> Interval:
    """Saturated into the widest range of the kind."""
    low = min(max(value.low, limits.low), limits.high)
    return Interval(low, min(max(value.high, limits.low), limits.high))


def _widened(old: Interval, new: Interval, thresholds: list[int]) -> Interval:
    """Ends that moved go out to the next threshold, or far beyond every range."""
    low, high = new.low, new.high
    if new.low < old.low:
        at = bisect_right(thresholds, new.low)
        low = thresholds[at - 1] if at else -(1 << 62)
    if new.high > old.high:
        at = bisect_left(thresholds, new.high)
        high = thresholds[at] if at < len(thresholds) else 1 << 62
    return Interval(low, high)


def _unbounded(old: Interval, new: Interval, limits: Interval) -> Interval:
    return Interval(
        limits.low if new.low < old.low else new.low,
        limits.high if new.high > old.high else new.high,
    )


def _thresholds(policy: ir.Policy, stint_max_ns: int) -> list[int]:
    """Values at which the growth of a state plausibly ends."""
    found = {0, stint_max_ns}
    for tune in policy.tunes:
        found |= {tune.low, tune.high}
    for state in policy.states:
        if state.declared:
            found |= {state.low, state.high}
    seen: set[int] = set()
    for body in policy.events.values():
        for assign in body:
            for expr in distinct(assign.value, seen):
                if isinstance(expr, ir.Const):
                    found |= {expr.value, -expr.value}
                elif isinstance(expr, ir.FactRef):
                    found |= {FACTS[expr.name].range.low, FACTS[expr.name].range.high}
    return sorted(found)


def distinct(root: ir.Expr, seen: set[int]) -> Iterator[ir.Expr]:
    """Every node of an expression once, however often it is shared; `seen` holds their ids."""
    stack = [root]
    while stack:
        expr = stack.pop()
        if id(expr) not in seen:
            seen.add(id(expr))
            yield expr
            stack.extend(children(expr))
