"""Classes of queue: which fits, with which numbers, and why none does."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from schedc.ir import nodes as ir
from schedc.ir.nodes import Interval
from schedc.prove.discipline import (
    Demand,
    Discipline,
    Drift,
    Fifo,
    Now,
    Opaque,
    Vtime,
    demand,
    discipline,
    joined,
    rate,
)
from schedc.prove.parameters import declared
from schedc.prove.prove import narrow
from schedc.prove.times import Times, times
from tests.prove.written import shipped, written

MS = 1_000_000


def alone(
    queue: str, key: str = "", body: str = "", charge: str = "on stop { task.v += charge(ran) }"
) -> ir.Policy:
    """One queue `all` and one class."""
    state = "state task.v : vtime of all" if "vtime" in queue else ""
    return written(
        f"""policy alone 1.0.0
assume weight in 50..200
queue all {queue}
{state}
{body}
class everyone
{charge if "vtime" in queue else ""}
place {{
  idle prev
  idle anywhere
}}
enqueue everyone to all {f"key {key}" if key else ""} slice 20ms
dispatch {{
  take all
  {"steal all" if "per" in queue and "cgroup" not in queue else ""}
}}
"""
    )


def kind(policy: ir.Policy, queue: str = "all") -> Discipline:
    policy = narrow(policy, declared(policy))
    return discipline(policy, declared(policy), policy.queue(queue))


def known(policy: ir.Policy) -> Times:
    return times(narrow(policy, declared(policy)), declared(policy))


def wanted(policy: ir.Policy) -> Demand | Opaque:
    policy = narrow(policy, declared(policy))
    found, queue = kind(policy), policy.queue("all")
    return demand(found, (queue,), times(policy, declared(policy)), 1)


# --- fifo and moments -----------------------------------------------------------------------------


def test_fifo() -> None:
    assert kind(alone("fifo")) == Fifo()
    assert wanted(alone("fifo per cpu")) == Demand(
        0, _turns(24), 24 * MS, True, ("", "(N-1) r")
    )  # fmt: skip


def _turns(turn_ms: int) -> object:
    from schedc.prove.linear import per_contender

    return per_contender(turn_ms * MS, less=1)


@pytest.mark.parametrize(
    ("window", "key", "reach"),
    [
        ("0ms..1s", "now + min(burst, 1s)", (0, 1000)),
        ("0ms..1s", "now + 10ms", (10, 10)),
        ("0ms..1s", "now + min(burst, 300ms)", (0, 300)),
        ("-1s..2s", "task.since", (-1000, 2000)),
        ("0ms..1s", "now + clamp(burst, 20ms, 5s)", (20, 1000)),
    ],
)
def test_moments(window: str, key: str, reach: tuple[int, int]) -> None:
    body = "state task.since : moment\non wake { task.since = now }" if "since" in key else ""
    low, high = reach
    assert kind(alone(f"by moment within {window}", key, body)) == Now(
        Interval(low * MS, high * MS)
    )


def test_a_key_that_does_not_move_with_its_clock_has_the_window() -> None:
    """By intervals with now at 0 it would be a constant; a query finds that it isn't."""
    found = kind(alone("by moment within 0ms..1s", "now + max(100ms, 200ms - (now - now))"))
    assert isinstance(found, Now)
    body = "state task.since : moment\non wake { task.since = now }"
    found = kind(alone("by moment within 0ms..1s", "min(now + 10ms, task.since)", body))
    assert isinstance(found, Now)
    assert found.reach.low == 0


# --- drift ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("per", ["", " per llc", " per cpu", " per node"])
def test_drift_in_any_domain(per: str) -> None:
    found = kind(alone(f"by vtime within -20ms..100ms drift 1/64{per}", "task.v"))
    assert found == Drift(Interval(-20 * MS, 100 * MS), 6)


def test_drift_needs_no_charge() -> None:
    policy = alone("by vtime within -20ms..100ms drift 1/64", "task.v", charge="")
    found = wanted(policy)
    assert isinstance(found, Demand)
    assert found.delay_ns == 64 * (120 * MS + 1)
    assert found.stints


def test_a_key_ahead_may_narrow_the_reach() -> None:
    found = kind(alone("by vtime within -20ms..100ms drift 1/64", "task.v + 50ms"))
    assert found == Drift(Interval(30 * MS, 100 * MS), 6)


# --- vtime without drift --------------------------------------------------------------------------


def test_vtime() -> None:
    policy = alone("by vtime within -20ms..100ms", "task.v")
    assert kind(policy) == Vtime(Interval(-20 * MS, 100 * MS), 0, 200)
    found = wanted(policy)
    assert isinstance(found, Demand)
    assert found.work.b == Fraction(12, 5) * 120 * MS + 2 * 24 * MS
    assert not found.stints


def test_a_lead_costs_its_length_and_turns() -> None:
    policy = alone("by vtime within -20ms..10ms", "task.v - 25ms")
    assert kind(policy) == Vtime(Interval(-20 * MS, 10 * MS), -25 * MS, 200)
    found = wanted(policy)
    assert isinstance(found, Demand)
    # Three stints may be cut at the window's upper end; each moves the clock by 10 ms only.
    assert found.work.b == Fraction(12, 5) * 55 * MS + (2 + 3) * 24 * MS


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (alone("by vtime within -20ms..100ms", "task.v", charge=""), "not every stint"),
        (
            alone("by vtime within -20ms..100ms", "task.v",
                  charge="on stop { task.v += charge(ran) when burst > 1ms }"),
            "not every stint",
        ),
        (
            alone("by vtime within -20ms..100ms", "task.v",
                  charge="on stop { task.v += charge(min(ran, 1ms)) }"),
            "not every stint",
        ),
        (
            alone("by vtime within -20ms..100ms", "task.v",
                  "on wake { task.v = clock(all) - 5ms }"),
            "an event may lower",
        ),
        (alone("by vtime within -20ms..100ms", "clock(all) + 5ms"), "is not its task's vtime"),
        (alone("by vtime within -20ms..0ms", "task.v - 5ms"), "keeps no debt"),
        (alone("by vtime within -20ms..100ms per llc", "task.v"), "a clock in each llc"),
    ],
)  # fmt: skip
def test_what_fits_no_class(policy: ir.Policy, why: str) -> None:
    found = kind(policy)
    assert isinstance(found, Opaque)
    assert why in found.why
    assert "drift 1/64" in found.hint


def test_a_shared_clock_is_one_clock() -> None:
    policy = alone("by vtime within -20ms..100ms clock one per llc", "task.v")
    assert isinstance(kind(policy), Vtime)


# --- several queues -------------------------------------------------------------------------------


def test_queues_that_are_compared_are_one() -> None:
    policy = shipped("cells")
    queues = (policy.queue("cell"), policy.queue("own"))
    one, other = Drift(Interval(-3, 5), 6), Drift(Interval(-9, 2), 6)
    assert joined(queues, (one, other)) == Drift(Interval(-9, 5), 6)
    assert joined(queues, (Now(Interval(0, 5)), Now(Interval(-1, 2)))) == Now(Interval(-1, 5))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Drift(Interval(0, 1), 6), Drift(Interval(0, 1), 7)),
        (Drift(Interval(0, 1), 6), Now(Interval(0, 1))),
        (Now(Interval(0, 1)), Fifo()),
        (Fifo(), Fifo()),
        (Vtime(Interval(0, 1), 0, 100), Drift(Interval(0, 1), 6)),
        (Drift(Interval(0, 1), 6), Opaque("", "")),
        (Opaque("", ""), Drift(Interval(0, 1), 6)),
    ],
)
def test_queues_ordered_in_different_ways_are_not(one: Discipline, other: Discipline) -> None:
    policy = shipped("cells")
    queues = (policy.queue("cell"), policy.queue("own"))
    assert isinstance(joined(queues, (one, other)), Opaque)


def test_control_groups_in_turn() -> None:
    policy = alone("fifo per cgroup", body="assume cgroups <= 3")
    found = narrow(policy, declared(policy))
    one = demand(
        Fifo(), (found.queue("all"),), known(policy), known(policy).groups(found.queue("all"))
    )
    assert isinstance(one, Demand)
    # Room for four groups: three others before each service, and before the task's own.
    assert one.work.at(10) == (9 + 10 * 3) * 24 * MS


# --- whatever the numbers -------------------------------------------------------------------------

_POLICY = alone("by vtime within -20ms..100ms", "task.v")
_QUEUE, _TIMES = narrow(_POLICY, declared(_POLICY)).queue("all"), known(_POLICY)
_NS = st.integers(1, 10_000 * MS)


def work(found: Discipline, runnable: int = 64) -> Fraction:
    one = demand(found, (_QUEUE,), _TIMES, 1)
    assert isinstance(one, Demand)
    return one.delay_ns + one.work.at(runnable)


@given(_NS, _NS, st.integers(1, 20), st.integers(1, 500))
def test_a_wider_window_waits_longer(low: int, high: int, shift: int, more: int) -> None:
    def reach(wider: int) -> Interval:
        return Interval(-low - wider, high + wider)

    for made in (
        lambda wider: Now(reach(wider)),
        lambda wider: Drift(reach(wider), shift),
        lambda wider: Vtime(reach(wider), 0, 200),
    ):
        assert work(made(0)) < work(made(more))


@given(_NS, st.integers(1, 19))
def test_a_stronger_drift_waits_less(width: int, shift: int) -> None:
    assert work(Drift(Interval(0, width), shift)) < work(Drift(Interval(0, width), shift + 1))


@given(st.integers(1, 9_999), st.integers(0, 100 * MS))
def test_weight_and_lead_cost(weight: int, lead: int) -> None:
    window = Interval(-20 * MS, 100 * MS)
    assert work(Vtime(window, 0, weight)) < work(Vtime(window, 0, weight + 1))
    assert work(Vtime(window, -lead, weight)) < work(Vtime(window, -lead - 1, weight))
    assert rate(Vtime(window, 0, weight), _QUEUE, _TIMES) == Fraction(weight, 100) * Fraction(
        24, 20
    )
