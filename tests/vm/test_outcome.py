"""Judging what a run left behind, and showing a whole report; no machine needed."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from schedc.vm.measure import Outcome, Run, RunReport, Slot, compare, measure, slots
from schedc.vm.outcome import read_outcome
from schedc.vm.run_show import counters, diagnostics, report_json, run_json, table

CLASS = {"enqueued": 5, "direct": 2, "run": 7, "preempted": 0, "ran_ns": 10**6, "wait_ns": 7000,
         "wait_max_ns": 2000, "wait_hist": [0] * 32}
LOAD: dict[str, Any] = {
    "outcome": 0, "error": 0, "loads": 1, "attaches": 1, "stayed": 1, "detached": 1,
    "restarts": 0, "enable_seq": 3, "command_status": 0, "load_ns": 1, "attach_ns": 1,
    "attached_ns": 10**9, "stage": "detach", "problem": "", "ops": "mine", "libbpf": "",
    "kmsg": "", "unresolved": "", "exit": None,
    "programs": [{"name": "mine_enqueue", "insns": 20, "run_cnt": 0, "run_time_ns": 0}],
    "events": {}, "classes": [CLASS],
    "queues": [{"inserted": 5, "taken": 5, "stolen": 0, "skipped": 0}],
}
STALLED = LOAD | {
    "outcome": 14, "stayed": 0, "problem": "ejected: runnable task stall",
    "exit": {"kind": 1026, "code": 0, "reason": "runnable task stall",
             "msg": "worker[145] failed to run for 2.200s"},
}
RESULT = json.dumps({
    "program": "phases", "jobs": 1, "unfinished": 0, "window_ns": 9_000_000, "histograms": {},
    "values": {"makespan": 9_000_000, "mean_completion": 6_000_000, "last_short": 5_000_000},
}).encode()


def judged(load: object | None, *, status: str = "0", result: bytes | None = RESULT,
           timed_out: bool = False) -> Outcome:
    out = {"status": status.encode()}
    if load is not None:
        out["load.json"] = json.dumps(load).encode()
    if result is not None:
        out["measured"] = result
    return read_outcome(out, "phases", "6.18", c_text="" if load is not None else None,
                        timed_out=timed_out, seconds=1.0)


def test_a_run_that_went_well_counts() -> None:
    for outcome in (judged(LOAD), judged(None)):
        assert outcome.void is None
        assert outcome.result is not None
        assert outcome.result.value("makespan") == 9_000_000


def test_a_stall_says_who_and_how_long() -> None:
    void = judged(STALLED).void
    assert void is not None and void.scheduler
    assert void.code == "E0803"
    assert void.stall is not None
    assert (void.stall.task, void.stall.pid, void.stall.seconds) == ("worker", 145, 2.2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"outcome": 11, "loads": 0, "attaches": 0, "stayed": 0}, "E0801"),
        ({"outcome": 12, "loads": 0, "attaches": 0, "stayed": 0}, "E0802"),
        ({"outcome": 13, "attaches": 0, "stayed": 0}, "E0802"),
        ({"outcome": 14, "stayed": 0}, "E0804"),
        ({"outcome": 15, "detached": 0}, "E0805"),
        ({"outcome": 16, "command_status": 3}, "E1211"),
    ],
)
def test_each_way_to_fail_has_its_code(change: dict[str, int], code: str) -> None:
    void = judged(LOAD | change).void
    assert void is not None
    assert void.code == code
    assert void.scheduler == code.startswith("E08")


def test_figures_of_an_ejected_run_do_not_count() -> None:
    outcome = judged(STALLED)
    assert outcome.result is not None
    run = Run("mine", 0, 1, False, outcome)
    assert not run.counts


@pytest.mark.parametrize("load", [{}, [], {"outcome": 99}, LOAD | {"classes": 3}])
def test_a_damaged_report_is_void_not_a_crash(load: object) -> None:
    void = judged(load).void
    assert void is not None and void.code == "E0802"


def test_a_baseline_under_a_leftover_scheduler_is_void() -> None:
    out = {"status": b"0", "measured": RESULT, "before": b"enabled\n"}
    void = read_outcome(out, "phases", "6.18", c_text=None, timed_out=False, seconds=1).void
    assert void is not None and void.code == "E0805"
    out["before"] = b"disabled\n"
    assert read_outcome(out, "phases", "6.18", c_text=None, timed_out=False, seconds=1).void is None


def test_a_workload_that_fails_is_its_own_fault() -> None:
    for outcome, code in (
        (judged(None, status="2"), "E1211"),
        (judged(None, status="?"), "E1211"),
        (judged(None, result=b"{"), "E1209"),
        (judged(None, result=None), "E1209"),
        (judged(LOAD, result=None), "E1209"),
        (judged(None, timed_out=True), "E1211"),
    ):
        assert outcome.void is not None and outcome.void.code == code
        assert not outcome.void.scheduler


def test_a_hanging_workload_under_a_policy_is_the_policys() -> None:
    void = judged(LOAD, timed_out=True).void
    assert void is not None and void.code == "E0804"


def report(mine: Outcome) -> RunReport:
    def run_once(slot: Slot) -> Outcome:
        return mine if slot.arm == "mine" else judged(None)

    metrics = ("makespan", "mean_completion", "last_short")
    runs = measure(slots("mine", "eevdf", 6, 1), run_once)
    return RunReport(
        "batch", "mine", "eevdf", "6.18.15", "wall", 2, {"shorts": 39}, 1000, runs,
        compare(runs, "mine", "eevdf", metrics), (), ("everyone",), ("all",),
    )


def shown(made: object) -> str:
    out = io.StringIO()
    Console(file=out, width=120, no_color=True).print(made)
    return out.getvalue()


def test_the_table_has_every_metric_with_its_interval() -> None:
    text = shown(table(report(judged(LOAD))))
    assert "9.00 [9.00..9.00] ms" in text
    assert "1.00 [1.00..1.00]" in text
    assert "96.9%" in text
    assert text.count("within noise") == 3


def test_counters_go_by_the_policys_names() -> None:
    assert "everyone" in shown(counters(report(judged(LOAD))))
    assert counters(report(judged(STALLED))) is None


def test_void_runs_become_one_diagnostic_with_who_starved() -> None:
    (found,) = diagnostics(report(judged(STALLED)))
    assert found.code == "E0803"
    assert "2 runs of `mine` void" in found.message
    assert "`worker` starved for 2.2 s" in found.message
    assert any("pid 145" in note for note in found.notes)


def test_json_has_all_figures() -> None:
    made = report(judged(LOAD))
    value = json.loads(json.dumps(report_json(made)))
    assert value["comparisons"][0]["policy"]["median"] == 9_000_000
    assert value["comparisons"][0]["ratio"]["coverage"] == 0.96875
    line = json.loads(json.dumps(run_json(made.runs[-1], ("makespan",))))
    assert line["metrics"] == {"makespan": 9_000_000}
    assert line["classes"][0]["enqueued"] == 5
    starved = run_json(report(judged(STALLED)).runs[1], ("makespan",))
    assert starved["void"]["starved"]["task"] == "worker"
