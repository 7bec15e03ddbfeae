"""An adversary that is not exhaustive, over the shipped policies: no wait passes its bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.tightness import Row, rows, table
from tests.model.machines import ROOT, SHIPPED, shipped


def _within_bounds(found: list[Row]) -> None:
    assert all(row.bound_ns for row in found), table(found)
    assert all(row.worst_ns <= row.bound_ns for row in found if row.bound_ns), table(found)


def _name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", SHIPPED, ids=_name)
def test_a_few_casts_stay_within_the_bounds(path: Path) -> None:
    policy = shipped(path)
    found = rows(policy, runnable=6, runs=4, picks=150, seed=3)
    _within_bounds(found)
    assert max(row.worst_ns for row in found) > 0
    assert {row.cls for row in found} <= {cls.name for cls in policy.classes}


def test_in_a_fifo_the_adversary_comes_near() -> None:
    (row,) = rows(shipped(ROOT / "stdlib_policies/fifo.sched"), runnable=6, runs=6, picks=150)
    assert row.ratio is not None
    assert 0.7 <= row.ratio <= 1


@pytest.mark.slow
@pytest.mark.parametrize("runnable", [4, 16, 64])
@pytest.mark.parametrize("path", SHIPPED, ids=_name)
def test_many_casts_stay_within_the_bounds(path: Path, runnable: int) -> None:
    _within_bounds(rows(shipped(path), runnable=runnable, runs=80, picks=3_000, seed=runnable))
