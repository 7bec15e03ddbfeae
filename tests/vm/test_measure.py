"""Order of runs, void runs and comparisons, with runs that a function makes up."""

from __future__ import annotations

from collections.abc import Callable

from schedc.measure.stats import Finding
from schedc.vm.measure import (
    Outcome,
    Run,
    Slot,
    Void,
    compare,
    measure,
    slots,
)
from schedc.vm.verdict import Stall
from schedc.workload.histogram import Histogram
from schedc.workload.results import Result

STARVED = Outcome(None, Void("E0803", "ejected: runnable task stall", Stall("victim", 156, 2.488)))


def outcome(throughput: float, latency: int = 1000) -> Outcome:
    return Outcome(Result({"throughput": throughput}, {"wakeup": Histogram.of([latency])}))


def run_all(run_once: Callable[[Slot], Outcome], pairs: int = 6) -> tuple[Run, ...]:
    return measure(slots("mine", "eevdf", pairs, 1), run_once)


def test_the_arms_take_turns_with_the_same_seed() -> None:
    order = [(slot.arm, slot.seed, slot.warmup) for slot in slots("mine", "eevdf", 2, 10)]
    assert order == [
        ("eevdf", 9, True), ("mine", 9, True),
        ("eevdf", 10, False), ("mine", 10, False), ("eevdf", 11, False), ("mine", 11, False),
    ]


def test_one_arm_alone() -> None:
    assert [slot.arm for slot in slots("mine", None, 2, 1)] == ["mine"] * 3


def test_the_first_run_of_each_arm_is_thrown_away() -> None:
    runs = run_all(lambda slot: outcome(1e9 if slot.warmup else 100))
    (found,) = compare(runs, "mine", "eevdf", ("throughput",))
    assert found.policy is not None and found.policy.high == 100
    assert found.policy.n == 6
    assert found.finding is Finding.same


def test_a_gain_in_every_pair_is_a_gain() -> None:
    runs = run_all(lambda slot: outcome(100 * slot.seed * (2 if slot.arm == "mine" else 1)))
    (found,) = compare(runs, "mine", "eevdf", ("throughput",))
    # The figures themselves overlap widely; within pairs the ratio is 2 each time.
    assert found.ratio is not None and (found.ratio.low, found.ratio.high) == (2, 2)
    assert found.finding is Finding.better


def test_a_void_run_takes_its_pair_out_and_keeps_its_reason() -> None:
    def run_once(slot: Slot) -> Outcome:
        return STARVED if slot.arm == "mine" and slot.pair == 2 else outcome(100)

    runs = run_all(run_once)
    (found,) = compare(runs, "mine", "eevdf", ("throughput",))
    assert found.policy is not None and found.policy.n == 5
    assert found.base is not None and found.base.n == 6
    assert found.ratio is not None and found.ratio.n == 5
    (void,) = [run for run in runs if run.outcome.void]
    assert void.outcome.void is not None and void.outcome.void.stall == Stall(
        "victim", 156, 2.488
    )


def test_a_void_result_never_counts_even_if_it_has_figures() -> None:
    bad = Outcome(Result({"throughput": 1e9}), Void("E0804", "ejected"))
    runs = run_all(lambda slot: bad if slot.arm == "mine" else outcome(100))
    (found,) = compare(runs, "mine", "eevdf", ("throughput",))
    assert found.policy is None
    assert found.finding is Finding.unknown


def test_a_scheduler_that_never_stays_is_given_up() -> None:
    runs = run_all(lambda slot: STARVED if slot.arm == "mine" else outcome(100))
    assert [run.arm for run in runs].count("mine") == 2
    assert [run.arm for run in runs] == ["eevdf", "mine", "eevdf", "mine", "eevdf"]


def test_a_workload_that_fails_is_not_the_schedulers_fault() -> None:
    broken = Outcome(None, Void("E1209", "not JSON"))
    runs = run_all(lambda slot: broken)
    assert len(runs) == 14
    assert not any(run.outcome.void.scheduler for run in runs if run.outcome.void)


def test_percentiles_are_read_within_runs() -> None:
    runs = run_all(lambda slot: outcome(1, 100 * slot.seed))
    (found,) = compare(runs, "mine", "eevdf", ("wakeup_p99",))
    assert found.policy is not None
    # Runs of 100..600 ns: the median run's p99, not the p99 of all samples together.
    assert 350 <= found.policy.median <= 365


def test_a_metric_that_no_run_has_is_left_out() -> None:
    assert compare(run_all(lambda slot: outcome(1)), "mine", "eevdf", ("makespan",)) == ()
