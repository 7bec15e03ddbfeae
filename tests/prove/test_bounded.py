"""bounded: what shipped policies prove, and what a policy does that violates each part of it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from schedc.ir import nodes as ir
from schedc.ir.nodes import Interval
from schedc.pipeline import generate
from schedc.prove.cost import LOOKS_MAX, costs, moves
from schedc.prove.obligations.bounded import bounded
from schedc.prove.obligations.served import served
from schedc.prove.parameters import declared
from schedc.prove.result import Verdict
from schedc.source import Source, Span
from tests.prove.written import SHIPPED, decided, failing, levels, shipped, written

TIME = ir.Type(ir.Kind.TIME)
AT = Span(0, 0)


def time(value: int) -> ir.Const:
    return ir.Const(value, TIME, AT)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_policies_are_bounded(path: Path) -> None:
    found = decided(bounded, written(path.read_text()))
    assert not failing(found)
    assert {"bounded.arithmetic", "bounded.slices", "bounded.cost"} <= set(found)


def with_state(policy: ir.Policy, name: str, **changes: int) -> ir.Policy:
    states = tuple(replace(s, **changes) if s.name == name else s for s in policy.states)
    return replace(policy, states=states)


def with_event(policy: ir.Policy, event: ir.EventName, **changes: bool) -> ir.Policy:
    body = tuple(replace(assign, **changes) for assign in policy.events[event])
    return replace(policy, events={**policy.events, event: body})


def test_a_store_that_does_not_saturate_is_refuted() -> None:
    policy = written(levels().replace("on stop {", "on stop { task.sum += ran\n").replace(
        "class first", "state task.sum : time in 0ms..50ms = 1ms\nclass first", 1))  # fmt: skip
    assert not failing(decided(bounded, policy))
    stop = policy.events["stop"]
    at = next(i for i, assign in enumerate(stop) if assign.target.name == "sum")
    assert stop[at].clamp_high and not stop[at].clamp_low
    careless = (*stop[:at], replace(stop[at], clamp_high=False), *stop[at + 1 :])
    mutant = replace(policy, events={**policy.events, "stop": careless})
    found = decided(bounded, mutant)
    assert set(failing(found)) == {"bounded.on.stop"}


def test_a_refutation_tells_the_values() -> None:
    policy = written(levels("state task.n : time in 0ms..50ms = 1ms\n"
                            "on sleep { task.n = burst }\non wake { task.n += 1ms }"))  # fmt: skip
    mutant = with_event(policy, "wake", clamp_high=False)
    found = decided(bounded, mutant)["bounded.on.wake"]
    assert found.verdict is Verdict.refuted
    assert "with task.n = 4" in found.reason  # 49 ms and something: any value above fails


def test_an_initial_value_out_of_range_is_refuted() -> None:
    policy = written(levels("state task.n : time in 0ms..50ms = 1ms\non wake { task.n += 1ms }"))
    found = decided(bounded, with_state(policy, "n", low=2_000_000))
    assert failing(found)["bounded.initial"] is Verdict.refuted


def test_a_saturating_subtraction_reaches_its_range() -> None:
    policy = shipped("budgeted")
    assert not failing(decided(bounded, policy))
    assert failing(decided(bounded, with_event(policy, "wake", clamp_high=False)))


def arithmetic(expr: ir.Expr) -> Verdict:
    """The verdict of `bounded.arithmetic` for a class's condition that computes this."""
    policy = shipped("budgeted")
    condition = ir.Apply(ir.Op.LT, (expr, time(5)), ir.Type(ir.Kind.BOOL), AT)
    classes = (replace(policy.classes[0], when=condition), policy.classes[1])
    exact = replace(policy, classes=classes, events={})
    return decided(bounded, exact)["bounded.arithmetic"].verdict


def fact(name: str) -> ir.FactRef:
    return ir.FactRef(name, TIME, AT)


def apply(op: ir.Op, *args: ir.Expr) -> ir.Apply:
    return ir.Apply(op, args, TIME, AT)


def test_overflow() -> None:
    year = 366 * 24 * 3600 * 10**9
    assert arithmetic(apply(ir.Op.MUL, fact("ran"), time(2**63 // year))) is Verdict.proved
    assert arithmetic(apply(ir.Op.MUL, fact("ran"), time(2**63 // year + 1))) is Verdict.refuted
    # A product of variables is known by its bounds, so a failure is no refutation.
    assert arithmetic(apply(ir.Op.MUL, fact("ran"), fact("slept"))) is Verdict.unproven
    capped = apply(ir.Op.MIN, fact("ran"), time(100))
    assert arithmetic(apply(ir.Op.MUL, capped, fact("slept"))) is Verdict.proved


def test_division_by_zero() -> None:
    assert arithmetic(apply(ir.Op.DIV, fact("ran"), fact("cpus"))) is Verdict.proved
    at_least_one = apply(ir.Op.MAX, fact("runnable"), time(1))
    assert arithmetic(apply(ir.Op.DIV, fact("ran"), at_least_one)) is Verdict.proved
    assert arithmetic(apply(ir.Op.DIV, time(7), fact("runnable"))) is Verdict.refuted
    negative = apply(ir.Op.SUB, fact("ran"), time(1))
    assert arithmetic(apply(ir.Op.DIV, negative, time(2))) is Verdict.refuted
    assert arithmetic(apply(ir.Op.SDIV, negative, time(2))) is Verdict.proved


def with_slice(policy: ir.Policy, value: int) -> ir.Policy:
    rules = list(policy.rules)
    rules[0] = replace(rules[0], slice=ir.Slice(time(value), 4_000_000, 4_000_000, AT))
    return replace(policy, rules=tuple(rules))


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(4_000_000, "proved"), (4_000_001, "refuted"), (3_999_999, "refuted"), (0, "refuted")],
)
def test_slices(value: int, verdict: str) -> None:
    found = decided(bounded, with_slice(written(levels()), value))
    assert found["bounded.slices"].verdict.name == verdict


def test_a_slice_by_a_tunable_is_judged_over_its_whole_range() -> None:
    policy = written(levels())
    wide = Interval(4_000_000, 30_000_000)
    parameters = replace(declared(policy), tunes=(("slice", wide),))
    found = decided(bounded, policy, parameters)["bounded.slices"]
    assert found.verdict is Verdict.refuted
    assert "tune.slice = 20000001ns" in found.reason or "tune.slice = " in found.reason


def test_keys() -> None:
    policy = written(levels())
    queues = list(policy.queues)
    for window, good in (
        (Interval(-1, 1), True),
        (Interval(1, 2), False),  # the clock itself is outside
        (Interval(-2, -1), False),
        (Interval(-(1 << 62), 5), False),  # too far for a comparison modulo 2**64
    ):
        queues[1] = replace(policy.queues[1], window=window)
        found = decided(bounded, replace(policy, queues=tuple(queues)))
        assert (found["bounded.keys"].verdict is Verdict.proved) == good, window


def test_a_vtime_that_could_wrap_before_its_window_clamps_it() -> None:
    policy = written(levels())
    stop = policy.events["stop"][0]
    used = stop.target
    for step, good in ((1 << 60, True), (1 << 62, False)):
        far = ir.Apply(ir.Op.ADD, (used, time(step)), used.type, AT)
        mutant = replace(policy, events={"stop": (replace(stop, value=far),)})
        assert (not failing(decided(bounded, mutant))) == good


def test_many_control_groups_on_a_timer_cost_too_much() -> None:
    text = levels().replace("drift 1/64", "drift 1/64 per cgroup")
    timed = text.replace("slice 4ms", "slice unlimited contended 4ms")
    many = "assume cgroups <= 4096\nassume weight"
    assert not failing(decided(bounded, written(timed)))
    assert not failing(decided(bounded, written(text.replace("assume weight", many))))
    found = decided(bounded, written(timed.replace("assume weight", many)))
    assert set(failing(found)) == {"bounded.cost"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_number_of_control_groups_is_the_generators(path: Path) -> None:
    policy = written(path.read_text())
    text = generate(policy, Source.from_text("written.sched", path.read_text()))
    found = re.search(r"#define MAX_CGROUPS (\d+)", text)
    assert found is None or int(found[1]) == costs(policy).cgroups
    assert moves(policy) == 1
    assert all(cost[""] < LOOKS_MAX for cost in costs(policy).callbacks.values())


@pytest.mark.parametrize("name", ["interactive", "tickless"])
def test_victims_make_progress(name: str) -> None:
    policy = shipped(name)
    found = decided(served, policy)
    assert found and not failing(found)


def test_a_victim_that_gets_nothing_done_is_refuted() -> None:
    policy = shipped("interactive")
    rules = list(policy.rules)
    assert rules[0].preempt is not None
    rules[0] = replace(rules[0], preempt=replace(rules[0].preempt, ran=time(99_999)))
    found = decided(served, replace(policy, rules=tuple(rules)))
    assert failing(found) == {"served.kernel": Verdict.refuted}
