"""Inferred ranges: what each state can reach, and what the assignments must saturate."""

import pytest

from schedc.ir import nodes as ir
from schedc.ir.facts import RANGES, YEAR_NS
from schedc.ir.nodes import TICK_MARGIN_NS, Interval, Kind
from schedc.pipeline import analyze
from schedc.source import Source

MS = 1_000_000

POLICY = """policy p 1.0.0
assume weight in 50..200
tune top = 8ms in 4ms..20ms
queue ready by vtime within -20ms..100ms
state task.v : vtime of ready
state task.x : {type}
state task.y : time in 0ms..30ms
class a when task.x {test}
class b
on sleep {{ task.y = burst }}
on stop {{ task.v += charge(ran) {body} }}
place {{ idle anywhere }}
enqueue a to ready key task.v slice tune.top
enqueue b to ready key task.v slice {slice}
dispatch {{ {keep} take ready }}
"""


def policy_with(
    body: str, type: str = "time", slice: str = "8ms", keep: str = "", test: str = "> 1ms"
) -> ir.Policy:
    text = POLICY.format(type=type, body=body, slice=slice, keep=keep, test=test)
    analysis = analyze(Source.from_text("p", text))
    assert [one for one in analysis.diagnostics if one.is_error] == []
    assert analysis.policy is not None
    return analysis.policy


def range_of(policy: ir.Policy) -> Interval:
    state = policy.state("task", "x")
    return Interval(state.low, state.high)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("task.x = 5ms", Interval(0, 5 * MS)),
        ("task.x = task.y", Interval(0, 30 * MS)),
        ("task.x = task.y + tune.top", Interval(0, 50 * MS)),
        ("task.x = min(task.x + 1ms, 100ms)", Interval(0, 100 * MS)),
        ("task.x = ewma(task.x, task.y, 1/4)", Interval(0, 30 * MS)),
        ("task.x = ewma(task.x, min(burst, 40ms), 1/4)", Interval(0, 40 * MS)),
        ("task.x += 1ms", RANGES[Kind.TIME]),
        ("task.x += ran", RANGES[Kind.TIME]),
        ("task.x = burst", Interval(0, YEAR_NS)),
        ("task.x = charge(ran)", Interval(0, 48 * MS)),  # 100 * (20 ms + a tick) / 50
        ("task.x = task.x / 2", Interval(0, 0)),
        ("task.x = table(burst | 2ms: 1ms | 9ms: task.y | else 7ms)", Interval(0, 30 * MS)),
        ("task.x = 3ms when burst > 1ms", Interval(0, 3 * MS)),
    ],
)
def test_times(body: str, expected: Interval) -> None:
    assert range_of(policy_with(body)) == expected


@pytest.mark.parametrize(
    ("type", "test", "body", "expected"),
    [
        ("count", "> 1", "task.x = min(task.x + 1, 8)", Interval(0, 8)),
        ("count", "> 1", "task.x = log2(wakes)", Interval(0, 19)),
        ("count", "> 1", "task.x = nice + 20", Interval(0, 39)),
        ("ratio", "> 1%", "task.x = busy", Interval(0, 100)),
        ("rate", "> 1", "task.x = ewma(task.x, wakes, 1/4)", Interval(0, 1_000_000)),
        ("weight", "> 1", "task.x = weight", Interval(50, 200)),
        ("lag", "> 0ms", "task.x = clamp(-ran + slept, -5ms, 7ms)", Interval(-5 * MS, 7 * MS)),
        ("lag", "> 0ms", "task.x = task.y - 40ms - 0ms", Interval(0, 0)),
        ("lag", "> 0ms", "task.x = -task.y", Interval(-30 * MS, 0)),
        ("bool", "== true", "task.x = kthread", Interval(0, 1)),
    ],
)
def test_other_kinds(type: str, test: str, body: str, expected: Interval) -> None:
    assert range_of(policy_with(body, type, test=test)) == expected


def test_saturation_is_asked_for_only_where_it_can_happen() -> None:
    flags = {
        "task.x = min(burst, 5ms)": (False, False),
        "task.x += 1ms": (False, True),
        "task.y = burst": (False, True),
        "task.y = task.y + 1ms": (False, True),
        "task.y -= 1ms": (False, False),  # a difference of times stops at 0 by itself
    }
    for body, expected in flags.items():
        assign = policy_with(body).events["stop"][-1]
        assert (assign.clamp_low, assign.clamp_high) == expected, body


def test_a_vtime_is_left_to_its_window() -> None:
    assign = policy_with("task.x = 1ms").events["stop"][0]
    assert assign.target.type.kind is Kind.VTIME
    assert not assign.clamp_low and not assign.clamp_high


def test_slices() -> None:
    policy = policy_with("task.x = 1ms", slice="clamp(task.y, 1ms, 15ms)")
    intervals = [(rule.slice.low, rule.slice.high) for rule in policy.rules]  # type: ignore[union-attr]
    assert intervals == [(4 * MS, 20 * MS), (MS, 15 * MS)]
    assert policy.slice_max_ns == policy.queue("ready").slice_max_ns == 20 * MS
    assert policy.stint_max_ns == 24 * MS


def test_a_kept_turn_is_a_stint_of_its_own() -> None:
    policy = policy_with("task.x = charge(ran)", keep="keep at most 2 when ran < 40ms")
    assert policy.stint_max_ns == policy.slice_max_ns + TICK_MARGIN_NS
    assert range_of(policy) == Interval(0, 48 * MS)
