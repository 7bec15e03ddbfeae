"""Simulations as a library: pairs, determinism, and schedulers that misbehave."""

from __future__ import annotations

from pathlib import Path

import pytest

from schedc.sim import show
from schedc.sim.errors import CRASHED, ENDLESS, NO_RESULT, REFUSED_C, STALLED, THROWN_OUT, SimError
from schedc.sim.machine import machine
from schedc.sim.results import read_result
from schedc.sim.run import Report, simulate
from schedc.sim.scenario import Arm, Options, Scenario
from schedc.workload import registry
from tests.sim.conftest import EEVDF, FIFO, GOOD, Simulated, scenario, scheduler


def as_json(report: Report) -> list[object]:
    return [*(show.run_json(report, run) for run in report.runs), show.report_json(report)]


def test_runs_come_in_pairs_of_one_seed(simulated: Simulated) -> None:
    report = simulated(EEVDF, FIFO, runs=3, first_seed=7)
    assert [(run.arm, run.pair, run.seed) for run in report.runs] == [
        (arm, pair, 7 + pair) for pair in range(3) for arm in ("eevdf", "fifo")
    ]
    assert all(run.counts and run.result is not None for run in report.runs)
    assert {row.metric.name for row in report.comparisons[0].rows} >= {"wakeup_p99", "longest_wait"}


def test_the_same_input_gives_the_same_report_however_many_run_at_once(
    simulated: Simulated,
) -> None:
    arms = (EEVDF, scheduler(GOOD), FIFO)
    assert as_json(simulated(*arms, runs=4, jobs=1)) == as_json(simulated(*arms, runs=4, jobs=3))


def test_another_seed_is_another_run(simulated: Simulated) -> None:
    first, second = simulated(FIFO).runs
    assert first.result is not None and second.result is not None
    assert first.result.workload != second.result.workload


def test_a_task_that_starves_makes_the_run_void(simulated: Simulated) -> None:
    """As by the kernel: the watchdog throws the scheduler out, and names the task."""
    bad = scheduler(f"\tif (p->pid != 3)\n{GOOD}", members=".timeout_ms = 100,")
    report = simulated(bad, FIFO, runs=5)
    mine = [run for run in report.runs if run.arm == "bad"]
    assert len(mine) == 2, "after two void runs the rest is not run"
    for run in mine:
        assert run.void is not None and run.void.code == STALLED
        assert run.void.stall is not None and run.void.stall.pid == 3
        assert 0.1 <= run.void.stall.seconds < 0.3
        assert run.result is not None, "what the machine did meanwhile is kept"
    assert len(report.of("fifo")) == 5
    assert report.scheduler_failed
    assert all(row.comparison.ratio is None for row in report.comparisons[0].rows)


@pytest.mark.parametrize(
    ("enqueue", "code", "words"),
    [
        (GOOD + GOOD, THROWN_OUT, "already"),
        ("\tscx_bpf_dsq_insert(p, 77, SCX_SLICE_DFL, flags);", THROWN_OUT, "DSQ 0x4d"),
        ("\t*(volatile int *)0 = 1;", CRASHED, "ops.enqueue() accessed memory"),
        ("\tsink = 100 / sink;" + GOOD, CRASHED, "ops.enqueue() divided by zero"),
    ],
)
def test_what_the_kernel_forbids_is_told_in_its_words(
    simulated: Simulated, enqueue: str, code: str, words: str
) -> None:
    report = simulated(scheduler(enqueue), runs=1)
    (run,) = report.runs
    assert run.void is not None and run.void.code == code
    assert words in run.void.reason
    (found,) = show.diagnostics(report)
    assert found.code == code and words in found.message


def test_an_endless_loop_ends(simulated: Simulated) -> None:
    (run,) = simulated(scheduler("\tfor (;;) sink++;"), runs=1, limit_s=1.0).runs
    assert run.void is not None and run.void.code == ENDLESS
    assert any("ops.enqueue()" in note for note in run.void.notes)


def test_a_function_that_the_simulator_lacks_is_named(simulated: Simulated) -> None:
    bad = scheduler(
        "\tno_such_kfunc(p);", before="void no_such_kfunc(struct task_struct *p) __ksym;"
    )
    (run,) = simulated(bad, runs=1).runs
    assert run.void is not None and run.void.code == NO_RESULT
    assert "no_such_kfunc" in run.void.reason and "/" not in run.void.reason


def test_c_that_does_not_compile_stops_everything(simulated: Simulated) -> None:
    with pytest.raises(SimError) as found:
        simulated(FIFO, scheduler("\tnot C;"))
    assert found.value.code == REFUSED_C
    assert found.value.message.startswith("`bad`: ")


NOBODY = """
format = 1
name = "nobody"
description = "as many tasks as are asked for"
metrics = ["throughput"]
[params.tasks]
default = 0
max = 4
doc = "tasks"
[groups.task]
count = "$tasks"
loop = "forever"
phases = [{ do = "run", time = "1ms" }, { do = "count", what = "throughput" }]
"""


def test_settings_that_make_no_run_are_told_before_anything_is_built(tmp_path: Path) -> None:
    path = tmp_path / "nobody.toml"
    path.write_text(NOBODY)
    workload, _, _ = registry.find(str(path))
    assert workload is not None
    nobody = Scenario(workload, {"tasks": 0}, machine())
    with pytest.raises(SimError) as found:
        simulate([FIFO], nobody, Options(cc="/nowhere/cc"))
    assert found.value.code == "E1205"


def test_traces_are_of_the_first_run_of_each_arm(simulated: Simulated) -> None:
    report = simulated(EEVDF, FIFO, traced=True)
    assert [bool(run.trace) for run in report.runs] == [True, True, False, False]
    assert all(run.trace.startswith(b"schedtr1") for run in report.runs if run.trace)


def test_a_trace_changes_nothing(simulated: Simulated) -> None:
    plain, traced = simulated(EEVDF), simulated(EEVDF, traced=True)
    assert as_json(plain) == as_json(traced)


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"version":2}', b'{"version":1,"scheduler":"x","se', b"[1]"]
)
def test_half_a_result_is_no_result(text: bytes) -> None:
    with pytest.raises(SimError) as found:
        read_result(text)
    assert found.value.code == NO_RESULT


def test_a_policy_that_is_proved_stays_within_its_bound(simulated: Simulated) -> None:
    from schedc.cli.sim_arms import arms
    from schedc.sim.waits import class_waits

    mine: tuple[Arm, ...] = arms("fair", "none", ())
    report = simulated(*mine, where=scenario("wakeup", "hogs=8"))
    (found,) = class_waits(report)
    assert 0 < found.longest_ns < found.bound_ns and not found.exceeded
    assert found.contenders == 2 + 8 + 8, "messengers, workers, hogs"
