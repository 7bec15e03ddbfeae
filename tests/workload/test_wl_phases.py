"""wl-phases on this machine: it needs no guest. Times aren't judged, as the machine may be busy."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from schedc.source import Source
from schedc.workload import registry
from schedc.workload.plan import plan_text
from schedc.workload.read import read_workload
from schedc.workload.results import BadOutput, Result, parse_result

QUICK = ("duration=200ms", "warmup=50ms", "shorts=5", "short=2ms", "long=5ms", "compiler=1ms",
         "jobs=8", "linker=2ms", "loops=20")
NEEDS_ROOT = {"priority", "shares"}
OWN = [name for name in registry.names() if not registry.find(name)[0].commands]  # type: ignore[union-attr]
"""The workloads that the guest runs with wl-phases; the phases of others stand for programs."""


def run(program: Path, plan: str, *args: str) -> tuple[Result, dict[str, Any]]:
    done = subprocess.run([program, *args], input=plan, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    return parse_result("phases", done.stdout), json.loads(done.stdout)


def plan_of(name: str, *texts: str, cpus: int = 2) -> tuple[str, tuple[str, ...]]:
    workload, _, _ = registry.find(name)
    assert workload is not None
    given = [text for text in texts if text.partition("=")[0] in workload.params]
    values, wrong = registry.settings(workload, given)
    assert not wrong
    return plan_text(workload, values, 1, cpus), workload.metrics


def made(phases: str, rest: str = "", metrics: str = "throughput") -> str:
    text = (
        f'format = 1\nname = "w"\ndescription = "d"\nmetrics = ["{metrics}"]\n{rest}\n'
        '[params.duration]\ndefault = "300ms"\ndoc = "d"\n'
        f'[groups.a]\nloop = "forever"\nphases = [{phases}]\n'
    )
    workload, found = read_workload(Source.from_text("w.toml", text))
    assert workload is not None, found
    return plan_text(workload, registry.settings(workload, [])[0], 1, 2)


@pytest.mark.parametrize("name", [name for name in OWN if name not in NEEDS_ROOT])
def test_every_workload_gives_its_metrics(wl_phases: Path, name: str) -> None:
    plan, metrics = plan_of(name, *QUICK)
    result, _ = run(wl_phases, plan)
    missing = {metric for metric in metrics if result.value(metric) is None}
    assert missing <= {"victim_wait_p99"}


def test_a_task_owes_its_work_and_gets_no_more_than_a_cpu(wl_phases: Path) -> None:
    plan = made('{ do = "run", time = "1ms" }, { do = "count" }', metrics="throughput")
    result, data = run(wl_phases, plan)
    assert data["window_ns"] == 300_000_000
    assert 0 < result.values["throughput"] < 1100


def test_intervals_are_told_while_it_runs_and_add_up_to_the_whole(wl_phases: Path) -> None:
    plan = made('{ do = "sleep", time = "1ms", measure = "wakeup" }, { do = "count" }',
                metrics="throughput")  # fmt: skip
    done = subprocess.run([wl_phases, "--every", "70"], input=plan, capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    *lines, last = done.stdout.splitlines()
    whole = parse_result("phases", last)
    parts = [json.loads(line) for line in lines]
    assert 1 <= len(parts) <= 4
    assert [one["until"] for one in parts] == sorted({one["until"] for one in parts})
    read = [parse_result("phases", json.dumps(one["measured"])) for one in parts]
    counted = [one.histograms["wakeup"].count for one in read]
    assert all(counted) and sum(counted) <= whole.histograms["wakeup"].count
    for one in read:
        span = float(one.extra["window_ns"]) / 1e9  # type: ignore[arg-type]
        assert 0.06 < span < 10 and one.values["throughput"] * span >= 1
        assert 0 < (one.value("wakeup_p99") or 0) < 10e9


def test_nothing_is_left_running(wl_phases: Path) -> None:
    """Its tasks, those that are stopped in the middle of something too, end with it."""
    plan, _ = plan_of("mixed", *QUICK)
    before = children()
    run(wl_phases, plan)
    assert children() == before


def children() -> int:
    text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return len(text.split())


def test_a_lock_has_one_holder(wl_phases: Path) -> None:
    """Two tasks that work only while they hold it get one cpu's work done between them."""
    phases = ('{ do = "lock", name = "l" }, { do = "run", time = "1ms" }, '
              '{ do = "count" }, { do = "unlock", name = "l" }')
    result, _ = run(wl_phases, made(phases, metrics="throughput").replace("task 0 0 - -",
                    "task 0 0 - -\ntask 0 1 - -\ntask 0 2 - -"))
    assert 0 < result.values["throughput"] < 1100


def test_posts_are_counted_and_a_full_channel_holds_its_giver_up(wl_phases: Path) -> None:
    rest = ('[channels.c]\ncapacity = 2\n[groups.b]\nloop = "forever"\n'
            'phases = [{ do = "wait", on = "c", count = 2 }, { do = "sleep", time = "10ms" }, '
            '{ do = "count", what = "forks" }]\n')
    plan = made('{ do = "wake", on = "c", count = 2 }, { do = "count" }', rest)
    result, _ = run(wl_phases, plan)
    given, taken = result.values["throughput"], result.values["forks"]
    # At most what fits into the channel, and what is on its way, is ahead of what was taken.
    assert taken * 0.3 <= given * 0.3 <= taken * 0.3 + 3
    assert taken <= 31 / 0.3


def test_late_frames_are_missed(wl_phases: Path) -> None:
    phases = ('{ do = "sleep", time = "2ms", schedule = true }, { do = "run", time = "5ms" }, '
              '{ do = "mark", measure = "frame", deadline = "4ms" }')
    result, _ = run(wl_phases, made(phases, metrics="missed"))
    assert result.values["missed"] == 1
    p50 = result.value("frame_p50")
    # Each is 3 ms later than the one before.
    assert p50 is not None and p50 > 50_000_000


def test_forked_tasks_are_joined(wl_phases: Path) -> None:
    for task in ("thread", "process"):
        rest = (f'[groups.c]\nstart = "forked"\ntask = "{task}"\n'
                'phases = [{ do = "run", time = "100us" }, { do = "count", what = "forks" }]\n')
        plan = made('{ do = "fork", group = "c", count = 3 }, { do = "join" }, { do = "count" }',
                    rest)
        result, _ = run(wl_phases, plan)
        # Three children for each turn; the last turn may be unfinished.
        turns, forked = (round(result.values[key] * 0.3) for key in ("throughput", "forks"))
        assert turns > 0 and 3 * turns <= forked <= 3 * turns + 3
        assert result.histograms["child_life"].count == forked


def test_jobs_that_do_not_end_are_told(wl_phases: Path) -> None:
    plan, _ = plan_of("batch", *QUICK)
    plan = plan.replace("limit 180000000000", "limit 100000000")
    plan = plan.replace("run uniform 5000000 10", "run fixed 100000000000")
    with pytest.raises(BadOutput, match="1 of 6 jobs"):
        run(wl_phases, plan)


def test_a_plan_that_is_none_is_refused(wl_phases: Path) -> None:
    done = subprocess.run([wl_phases], input="rubbish\n", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "plan, line 1" in done.stderr
