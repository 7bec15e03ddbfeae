"""What goes wrong around a policy ends with the default or the policy of before, and is told.

A seeded sample of the cases of `bench/faults.py`, in a guest; and how the campaign deals its runs
and judges them, without one. The figures of a whole campaign are in docs/deploying-measured.md.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from bench.faults import BATCH, batches, dealt, files, in_guest, run_of, table
from bench.faults_inside import CASES
from bench.faults_world import Run
from schedc.vm.machine import Machine
from tests.vm import inside

# Its clock is made of instructions, so that a busy host can't make anything late.
guest = inside.fixture(clock="icount")

# Every kind of death, of guard and of ejection has its turn; a campaign does all of them.
KILLED = ("holder killed", "supervisor killed", "both killed", "killed while loading")
TRIED = ("watcher of a trial killed", "guard fails", "guard hangs", "policy starves a task")
REST = ("guest out of memory", "loader's cgroup out of memory", "SysRq-S")
SLEEPS = "suspended to idle"
SAMPLES = 4


@pytest.mark.vm
@pytest.mark.timeout(600)
def test_a_sample_of_faults(guest: Machine) -> None:
    rng = random.Random(20)
    cases = (rng.choice(KILLED), rng.choice(TRIED), rng.choice(REST), SLEEPS)
    sample = dict.fromkeys(cases, 1)
    runs = in_guest(guest, files(), sample, seed=20)
    assert [run.problem for run in runs] == [""] * SAMPLES
    assert Counter(run.case for run in runs) == sample


def test_runs_are_dealt_in_turn() -> None:
    wanted = dealt(100, list(CASES))
    assert sum(wanted.values()) == 100
    assert max(wanted.values()) - min(wanted.values()) <= 1
    found = batches(wanted)
    total: Counter[str] = Counter()
    for batch in found:
        total.update(batch)
    assert total == wanted
    assert all(sum(batch.values()) == BATCH for batch in found[:-1])
    assert 1 <= sum(found[-1].values()) <= BATCH


def test_a_bad_run_is_counted_and_gives_no_figure() -> None:
    runs = [
        Run("SysRq-S", 0.1, None, "the default", ["unloaded: by a person"]),
        Run("SysRq-S", 0.3, None, "the default", ["unloaded: by a person"]),
        Run("SysRq-S", 9.0, None, "the default", [], "it took 9.0 s"),
    ]
    assert table(runs).splitlines()[2:] == [
        "| SysRq-S | 2 of 3 | the default | 0.20, 0.30 | - | `unloaded: by a person` |"
    ]


def test_lines_of_a_guest_are_read_as_runs() -> None:
    assert run_of({"case": "SysRq-S", "safe_s": 1.0, "took_s": 3.0}) == Run("SysRq-S", 1.0)
