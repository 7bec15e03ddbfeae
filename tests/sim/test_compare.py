"""What results say: verdicts, longest waits beside bounds, tables, sentences and JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from fractions import Fraction

import pytest
from rich.console import Console

from schedc.prove.result import Bound
from schedc.sim import show
from schedc.sim.compare import compare
from schedc.sim.machine import machine
from schedc.sim.results import Group, RunResult
from schedc.sim.run import Report, Run, Void
from schedc.sim.scenario import Arm, Options, Scenario
from schedc.sim.waits import class_waits, group_waits
from schedc.source import Span
from schedc.vm.verdict import ClassStats, Stall
from schedc.workload import registry
from schedc.workload.histogram import Histogram
from schedc.workload.results import Result

MS = 1_000_000

WORKLOAD = registry.find("wakeup")[0]
assert WORKLOAD is not None
SETTINGS = registry.settings(WORKLOAD, ())[0]
SCENARIO = Scenario(WORKLOAD, SETTINGS, machine())


def bound(cls: str, a_ms: int, b_ms: int) -> Bound:
    return Bound(cls, "ready", "fifo", Fraction(a_ms * MS), Fraction(b_ms * MS), "", 30_000 * MS,
                 Span(0, 1))  # fmt: skip


MINE = Arm("mine", c_text="int x;", classes=("soon", "late"), contenders=64,
           bounds=(bound("soon", 10, 2), bound("late", 100, 5)))  # fmt: skip
EEVDF = Arm("eevdf", built_in="eevdf")


def result(
    wakeup_us: int = 100, throughput: float = 1000.0, waits_ms: tuple[int, int] = (5, 50),
    tasks: int = 4, **system: float,
) -> RunResult:  # fmt: skip
    stats = [ClassStats(10, 0, 10, 0, MS, MS, ms * MS, ()) for ms in waits_ms]
    own = Result(
        {"throughput": throughput, "background": 1.0},
        {"wakeup": Histogram.of([wakeup_us * 1000] * 99)},
    )
    return RunResult(
        "s", 1, 1, 1, None, own, "", {"longest_wait": 50.0 * MS, "context_switches": 7, **system},
        Histogram(), (Group("worker", tasks, 1, max(waits_ms) * MS, 1, 1),), tuple(stats), (),
    )


def report(
    mine: list[RunResult], theirs: list[RunResult], void: Mapping[str, list[Void]] | None = None
) -> Report:
    runs = [Run("mine", pair, 1 + pair, one, None, 0.1) for pair, one in enumerate(mine)]
    runs += [Run("eevdf", pair, 1 + pair, one, None, 0.1) for pair, one in enumerate(theirs)]
    for arm, voids in (void or {}).items():
        runs += [Run(arm, 50 + i, 51 + i, None, one, 0.1) for i, one in enumerate(voids)]
    figures = {"mine": dict(enumerate(mine)), "eevdf": dict(enumerate(theirs))}
    return Report((MINE, EEVDF), SCENARIO, Options(runs=len(mine)), tuple(runs),
                  compare((MINE, EEVDF), figures, WORKLOAD))  # fmt: skip


def verdicts(found: Report) -> dict[str, str]:
    return {row.metric.name: row.verdict for row in found.comparisons[0].rows}


def test_a_verdict_needs_every_pair_on_one_side() -> None:
    good = [result(wakeup_us=50 + i, throughput=1100 + i) for i in range(6)]
    base = [result(wakeup_us=100 + i, throughput=1000 + i) for i in range(6)]
    found = verdicts(report(good, base))
    assert found["wakeup_p99"] == "better" and found["throughput"] == "better"
    assert found["background"] == "no difference"
    base[3] = result(wakeup_us=40, throughput=1200)
    assert verdicts(report(good, base))["wakeup_p99"] == "no difference"
    assert verdicts(report(good[:4], base[:4]))["wakeup_p99"] == "too few runs"


def test_runs_of_one_seed_are_a_pair() -> None:
    """Seeds differ by far more than arms do; within pairs it still shows."""
    mine = [result(throughput=100.0 * 3**i * 1.05) for i in range(6)]
    base = [result(throughput=100.0 * 3**i) for i in range(6)]
    assert verdicts(report(mine, base))["throughput"] == "better"


def test_switches_are_neither_good_nor_bad() -> None:
    few = [result(context_switches=5)] * 6
    many = [result(context_switches=50)] * 6
    assert verdicts(report(few, many))["context_switches"] == "less"
    assert verdicts(report(many, few))["context_switches"] == "more"
    quick = [result(longest_wait=1.0 * MS)] * 6
    assert verdicts(report(quick, few))["longest_wait"] == "better"


def test_waits_stand_beside_bounds_at_an_n_that_covers_the_run() -> None:
    found = class_waits(report([result(tasks=4)] * 2, [result()] * 2))
    assert [(one.cls, one.longest_ns, one.bound_ns, one.contenders) for one in found] == [
        ("soon", 5 * MS, 18 * MS, 4), ("late", 50 * MS, 120 * MS, 4),
    ]  # fmt: skip
    assert not any(one.exceeded for one in found)
    many = class_waits(report([result(tasks=1000)] * 2, [result()] * 2))
    assert [one.contenders for one in many] == [64, 64], "never beyond what the proof holds for"
    broken = class_waits(report([result(waits_ms=(19, 50))] * 2, [result()] * 2))
    assert [one.exceeded for one in broken] == [True, False]


def test_group_waits_are_the_longest_of_any_run() -> None:
    mine = [result(waits_ms=(1, ms)) for ms in (7, 9, 8)]
    (found,) = group_waits(report(mine, [result(waits_ms=(1, 3))] * 3))
    assert (found.group, found.longest) == ("worker", (9 * MS, 3 * MS))


def text_of(found: Report) -> str:
    out = io.StringIO()
    console = Console(file=out, width=140, no_color=True, highlight=False)
    for part in show.parts(found):
        console.print(part, markup=not isinstance(part, str), soft_wrap=isinstance(part, str))
    return out.getvalue()


def test_the_tables_say_who_is_better_at_what_and_by_how_much() -> None:
    found = text_of(report([result(wakeup_us=50)] * 6, [result(wakeup_us=100)] * 6))
    assert "mine : eevdf" in found
    assert "wakeup p99" in found and "50.0 [50.0..50.0] us" in found
    assert "0.500 [0.500..0.500] better" in found
    assert "96.9%" in found, "what the interval covers with six runs"
    assert "mine against eevdf:\n  better:        wakeup p50 ×0.500 [0.500..0.500]; " in found
    assert "no difference: request" not in found, "nobody measured requests"
    assert "beside the proved bound" in found and "0.28" in found


def test_void_runs_become_one_diagnostic_each_way() -> None:
    stalls = [Void("E0904", "runnable task stall", Stall("hog", 12, s)) for s in (30.5, 31.25)]
    other = [Void("E0905", "runtime error: invalid DSQ ID 0x7")]
    found = report([result()] * 2, [result()] * 2, {"mine": [*stalls, *other]})
    first, second = show.diagnostics(found)
    assert first.code == "E0904" and "`hog` starved for 31.2 s" in first.message
    assert "2 runs of `mine` void" in first.message and "seeds 51, 52" in first.notes[0]
    assert second.code == "E0905" and "invalid DSQ ID 0x7" in second.message
    assert found.scheduler_failed


def test_json_has_every_figure_and_no_time_of_this_host() -> None:
    found = report([result()] * 6, [result()] * 6)
    line = json.loads(json.dumps(show.run_json(found, found.runs[0])))
    assert line["metrics"]["wakeup_p99"] >= 100_000 and line["metrics"]["request_p99"] is None
    assert "seconds" not in line and line["void"] is None
    whole = json.loads(json.dumps(show.report_json(found)))
    row = next(one for one in whole["comparisons"] if one["metric"] == "throughput")
    assert row["ratio"]["median"] == 1.0 and row["verdict"] == "no difference"
    assert whole["waits"][0]["bound_ns"] == 18 * MS
    assert whole["machine"]["hz"] == 250


@pytest.mark.parametrize("void", [True, False])
def test_one_arm_alone_is_shown_without_a_comparison(void: bool) -> None:
    runs = tuple(Run("mine", i, 1 + i, result(), None, 0.1) for i in range(2))
    if void:
        runs = (Run("mine", 0, 1, None, Void("E0907", "it did not end"), 0.1),)
    figures = {"mine": {run.pair: run.result for run in runs if run.result is not None}}
    alone = Report((MINE,), SCENARIO, Options(runs=2), runs, compare((MINE,), figures, WORKLOAD))
    found = text_of(alone)
    assert "mine :" not in found and "against" not in found
    assert ("throughput" in found) is not void
