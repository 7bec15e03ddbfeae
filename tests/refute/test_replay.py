"""Replay believes nothing: a run that was tampered with, or of another policy, is refused."""

import copy
from typing import Any

import pytest

from schedc.model.replay import replay, why_not
from tests.refute.policies import ROOT, policy_of, run_of

STRICT = (ROOT / "examples/refuted/strict_priority/flawed.sched").read_text(encoding="utf-8")
FIXED = (ROOT / "examples/refuted/strict_priority/corrected.sched").read_text(encoding="utf-8")
CHURN = (ROOT / "examples/stalls/fork_churn/flawed.sched").read_text(encoding="utf-8")
WEIGHTED = (ROOT / "examples/refuted/weighted_fair/flawed.sched").read_text(encoding="utf-8")


def run(text: str) -> dict[str, Any]:
    found = run_of(text)
    assert found is not None
    return copy.deepcopy(found)


def test_as_it_was_found() -> None:
    for text in (STRICT, CHURN, WEIGHTED):
        assert replay(run(text), policy_of(text))


def test_not_on_the_corrected_policy() -> None:
    assert why_not(run(STRICT), policy_of(FIXED)) is not None


def another_task(made: dict[str, Any]) -> None:
    made["blocks"][-1]["steps"][-1]["runs"] = ["victim"]


def no_time(made: dict[str, Any]) -> None:
    made["blocks"][-1]["steps"] = []


def half_a_turn(made: dict[str, Any]) -> None:
    made["blocks"][-1]["steps"] = made["blocks"][-1]["steps"][:1]


def lighter(made: dict[str, Any]) -> None:
    made["profiles"][1]["nice"] = 0


def too_early(made: dict[str, Any]) -> None:
    made["blocks"][-1]["steps"][0]["after_ns"] -= 1


def too_many(made: dict[str, Any]) -> None:
    made["parameters"]["runnable"] = 1


def nobody(made: dict[str, Any]) -> None:
    made["victim"] = "somebody"


def unknown_step(made: dict[str, Any]) -> None:
    made["blocks"][0]["steps"][0]["do"] = "teleport"


def a_part_is_missing(made: dict[str, Any]) -> None:
    del made["topology"]


def a_length_for_ever(made: dict[str, Any]) -> None:
    made["wait_ns"] = 1


@pytest.mark.parametrize(
    "change",
    [
        another_task, no_time, lighter, too_early, too_many, nobody, unknown_step,
        a_part_is_missing, a_length_for_ever,
    ],
)  # fmt: skip
def test_a_changed_lasso_is_refused(change: Any) -> None:
    made = run(STRICT)
    change(made)
    assert why_not(made, policy_of(STRICT)) is not None


def test_half_a_turn_does_not_lead_back() -> None:
    made = run(CHURN)
    half_a_turn(made)
    assert why_not(made, policy_of(CHURN)) is not None


@pytest.mark.parametrize("change", [-1, 1])
def test_the_wait_is_measured(change: int) -> None:
    made = run(WEIGHTED)
    made["wait_ns"] += change
    assert why_not(made, policy_of(WEIGHTED)) is not None


def test_a_kept_promise_refutes_nothing() -> None:
    made = run(WEIGHTED)
    made["promise_ns"] = made["wait_ns"]
    assert why_not(made, policy_of(WEIGHTED)) == "the promise is kept"


def test_a_victim_that_runs_is_seen() -> None:
    """The steps in which the victim ran, before it waited, are not part of its wait."""
    made = run(WEIGHTED)
    made["since"] = 3
    assert why_not(made, policy_of(WEIGHTED)) == "the victim runs"
