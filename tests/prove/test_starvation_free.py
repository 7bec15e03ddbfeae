"""W(N) of whole policies: figures, verdicts, parameters; and what the design had otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from schedc.ir import nodes as ir
from schedc.ir.nodes import Interval
from schedc.prove.obligations.starvation_free import starvation_free
from schedc.prove.parameters import Parameters, declared
from schedc.prove.prove import decide, narrow, prove
from schedc.prove.result import WATCHDOG_NS, Bound, Obligation, Verdict
from tests.prove.test_discipline import alone
from tests.prove.written import ROOT, SHIPPED, shipped, written

MS = 1_000_000


def bounds(policy: ir.Policy, parameters: Parameters | None = None) -> dict[str, Bound]:
    parameters = parameters or declared(policy)
    _, found, _ = starvation_free(narrow(policy, parameters), parameters)
    return {bound.cls: bound for bound in found}


def waits(policy: ir.Policy, parameters: Parameters | None = None) -> dict[str, int]:
    """W(N) in ms, rounded up."""
    parameters = parameters or declared(policy)
    found = bounds(policy, parameters).items()
    return {cls: -(-bound.wait_ns(parameters.runnable) // MS) for cls, bound in found}


def obligations(policy: ir.Policy, parameters: Parameters | None = None) -> dict[str, Obligation]:
    parameters = parameters or declared(policy)
    items, _, _ = starvation_free(narrow(policy, parameters), parameters)
    return {one.name: one for one in decide(items)}


def codes(policy: ir.Policy) -> set[str]:
    _, _, found = starvation_free(narrow(policy, declared(policy)), declared(policy))
    return {one.code for one in found}


# --- figures: S = 20 ms, tau = 4 ms, N = 64 -------------------------------------------------------


def test_fifo_as_designed() -> None:
    assert waits(alone("fifo")) == {"everyone": 1560}
    assert bounds(alone("fifo"))["everyone"].most_runnable == 1249


def test_drift_as_designed() -> None:
    """The design says 9.2 s."""
    policy = alone("by vtime within -20ms..100ms drift 1/64", "task.v")
    assert waits(policy) == {"everyone": 7680 + 24 + 24 + 63 * 24 + 1}


def test_vtime_not_as_designed() -> None:
    """The design says 18.2 s: forked tasks in exited ones' places, and N instead of N - 1."""
    policy = alone("by vtime within -20ms..100ms", "task.v")
    assert waits(policy) == {"everyone": 24 + 24 + 64 * (288 + 48)}


def test_vtime_with_all_weights_is_not_proved() -> None:
    """The design: 242 s per competitor, so that no promise is kept but by very few."""
    policy = replace(alone("by vtime within -20ms..100ms", "task.v"), weight=Interval(1, 10_000))
    found = obligations(policy)["starvation-free.everyone"]
    assert found.verdict is Verdict.unproven
    assert found.reason.startswith("the bound passes the watchdog: W(64) = 924.8 s")
    assert "drift 1/64" in found.hint


def test_many_contenders() -> None:
    """The design: with 4096 per cpu even fifo has 98 s."""
    policy = alone("fifo")
    parameters = replace(declared(policy), runnable=4096)
    assert waits(policy, parameters) == {"everyone": 24 + 24 + 4095 * 24}
    found = obligations(policy, parameters)["starvation-free.everyone"]
    assert found.verdict is Verdict.unproven
    assert "assume runnable <= 1249" in found.hint


EXPECTED = {
    "bands": {"urgent": 1636, "above": 3308, "normal": 6699, "below": 13575, "background": 9336},
    "budgeted": {"reserved": 741, "rest": 2840},
    "cells": {"bound": 9241, "free": 9241},
    "deadline": {"everyone": 15641},
    "fair": {"everyone": 21552},
    "fifo": {"everyone": 1560},
    "flash": {"early": 12081, "steady": 12081},
    "interactive": {"kernel": 2608, "interactive": 10925, "batch": 10925},
    "latency": {"kernel": 2608, "chain": 2964, "others": 2964},
    "least_attained": {"kernel": 2608, "job": 4964},
    "locality": {"home": 3120, "shared": 12165},
    "longest_first": {"kernel": 2608, "job": 2964},
    "saved_lag": {"everyone": 14361},
    "tickless": {"everyone": 1048},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_library(name: str) -> None:
    policy = shipped(name)
    found = waits(policy)
    assert found.keys() == EXPECTED[name].keys()
    for cls, wait in found.items():
        assert abs(wait - EXPECTED[name][cls]) <= 1, cls
        assert wait * MS <= WATCHDOG_NS
    assert all(one.verdict is Verdict.proved for one in obligations(policy).values())


# --- parameters -----------------------------------------------------------------------------------


def test_a_longer_tick_is_longer_turns() -> None:
    policy = alone("fifo")
    longer = replace(declared(policy), tick_ns=10 * MS)
    assert waits(policy, longer) == {"everyone": 65 * 30}


def test_a_tick_beyond_what_is_charged_costs_more_than_its_length() -> None:
    policy = alone("by vtime within -20ms..100ms", "task.v")
    longer = replace(declared(policy), tick_ns=28 * MS)
    # A stint of 48 ms is charged as 24 ms, and a start as 20 ms.
    assert waits(policy, longer) == {"everyone": 48 + 48 + 64 * int(2 * 2 * 2.4 * 120 + 96)}


def test_changes_begin_the_wait_anew() -> None:
    policy = shipped("locality")
    once = waits(policy)
    twice = waits(policy, replace(declared(policy), changes=1))
    for cls, wait in once.items():
        assert abs(twice[cls] - (wait + max(once.values()))) <= 1
    found = obligations(policy, replace(declared(policy), changes=1))
    assert found["starvation-free.shared"].verdict is Verdict.proved


def test_higher_classes_take_their_part() -> None:
    policy = alone("fifo")
    higher = replace(declared(policy), higher_percent=10, higher_burst_ns=5 * MS)
    assert waits(policy, higher) == {"everyone": -(-(1560 + 5) * 10 // 9)}
    assert obligations(policy, higher)["starvation-free.everyone"].verdict is Verdict.proved


def test_a_narrower_tunable_has_a_lower_bound() -> None:
    policy = shipped("fifo")
    set_ = replace(declared(policy), tunes=(("slice", Interval(4 * MS, 4 * MS)),))
    assert waits(policy, set_) == {"everyone": 24 + 8 + 63 * 8}


def test_keep_multiplies_turns() -> None:
    assert bounds(shipped("flash"))["steady"].b_ns == 2 * 24 * MS


# --- promises and verdicts ------------------------------------------------------------------------


def test_each_class_is_held_against_its_promise() -> None:
    found = bounds(shipped("web_server"))
    assert found["requests"].promise_ns == 5000 * MS
    assert found["rest"].promise_ns == WATCHDOG_NS


def test_a_promise_that_is_too_short_is_not_kept() -> None:
    policy = shipped("fifo")
    short = replace(policy, promises=(ir.Promise(None, 1500 * MS, policy.span),))
    found = obligations(short)["starvation-free.everyone"]
    assert found.verdict is Verdict.unproven
    assert found.reason.startswith("the bound passes the promise: W(64) = 1.56 s")
    assert "61" in found.hint
    assert bounds(short)["everyone"].most_runnable == 61


def test_at_n_star_it_proves_and_beyond_it_does_not() -> None:
    policy = shipped("locality")
    most = min(bound.most_runnable for bound in bounds(policy).values())
    for runnable, all_proved in ((most, True), (most + 1, False)):
        found = obligations(policy, replace(declared(policy), runnable=runnable)).values()
        assert all(one.verdict is Verdict.proved for one in found) is all_proved


def test_strict_priority_is_unproven_and_says_what_to_write() -> None:
    policy = written(
        """policy strict 1.0.0
queue upper fifo
queue lower fifo
class urgent when nice < 0
class rest
enqueue urgent to upper slice 4ms
enqueue rest   to lower slice 8ms
dispatch {
  take upper
  take lower
}
"""
    )
    found = obligations(policy)
    assert found["starvation-free.urgent"].verdict is Verdict.proved
    assert found["starvation-free.rest"].verdict is Verdict.unproven
    assert "`upper` has tasks" in found["starvation-free.rest"].reason
    assert "take upper at most 50%" in found["starvation-free.rest"].hint
    assert "rest" not in bounds(policy)


def test_a_queue_of_no_known_class_says_so() -> None:
    policy = alone("by vtime within -20ms..100ms per llc", "task.v")
    found = obligations(policy)["starvation-free.everyone"]
    assert found.verdict is Verdict.unproven
    assert found.reason.startswith("no known class of queue")
    assert prove(policy, declared(policy)).verdict is Verdict.unproven


# --- assumptions ----------------------------------------------------------------------------------


def test_assumptions_are_those_that_are_used() -> None:
    common = {"E1", "E4", "E5", "E6", "E7", "E9", "E11", "E12", "E13", "E14"}
    assert codes(shipped("fifo")) == common
    assert codes(shipped("fair")) == common | {"E16"}
    assert codes(shipped("cells")) == common | {"E15", "E18"}
    assert codes(shipped("tenants")) == common | {"E15"}


def test_pack_counts_cpus_that_are_awake() -> None:
    _, _, found = starvation_free(shipped("after_hours"), declared(shipped("after_hours")))
    assert "awake" in found[0].text


# --- the page -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_page_says_what_each_part_means(path: Path) -> None:
    policy = written(path.read_text())
    page = (ROOT / "docs" / "prover.md").read_text()
    items, _, found = starvation_free(narrow(policy, declared(policy)), declared(policy))
    for one in found:
        assert f"| {one.code} |" in page, one.code
    for item in items:
        kind, *rest = item.name.split(".")
        last = rest[-1]
        told = {
            "lemma": f"`lemma.{last}`" in page,
            "fact": f"`fact.Q.{last}`" in page or f"`.{last}`" in page,
            "starvation-free": "`starvation-free.CLASS`" in page,
        }
        assert told[kind], item.name
