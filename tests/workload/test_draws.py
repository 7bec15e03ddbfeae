"""Draws: the same numbers on every machine, and with the moments of their distributions."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from statistics import fmean, pstdev

import pytest

N = 20000

GOLDEN = {
    "fixed 5": [5, 5, 5, 5],
    "uniform 1000000 50": [940072, 748447, 783189, 951233],
    "exponential 1000000": [1341947, 1034882, 1309983, 229088],
    "lognormal 1000000 100": [236292, 312590, 743527, 2760187],
    "empirical 3 10 1 20 2 30 1": [20, 30, 30, 30],
}


def draws(program: Path, dist: str, seed: int = 1, count: int = N) -> list[int]:
    done = subprocess.run([program, "draw", str(seed), str(count), *dist.split()],
                          capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


@pytest.mark.parametrize("dist", GOLDEN)
def test_the_numbers_are_these_everywhere(phases: Path, dist: str) -> None:
    assert draws(phases, dist, 42, 4) == GOLDEN[dist]


def test_uniform(phases: Path) -> None:
    values = draws(phases, "uniform 1000000 50")
    assert min(values) >= 500_000 and max(values) <= 1_500_000
    # The mean of N draws lies within five of its standard deviations but once in a million.
    assert abs(fmean(values) - 1e6) < 5 * 1e6 / math.sqrt(12 * N)
    assert pstdev(values) == pytest.approx(1e6 / math.sqrt(12), rel=0.02)


def test_exponential(phases: Path) -> None:
    values = draws(phases, "exponential 1000000")
    assert abs(fmean(values) - 1e6) < 5 * 1e6 / math.sqrt(N)
    for times in (0.1, 1, 3):
        share = sum(value > times * 1e6 for value in values) / N
        assert share == pytest.approx(math.exp(-times), abs=0.02)


def test_lognormal(phases: Path) -> None:
    logs = [math.log(value / 1e6) for value in draws(phases, "lognormal 1000000 100")]
    assert abs(fmean(logs)) < 5 / math.sqrt(N)
    assert pstdev(logs) == pytest.approx(1, rel=0.03)
    # As a normal variable's: within one and two standard deviations.
    assert sum(abs(one) < 1 for one in logs) / N == pytest.approx(0.6827, abs=0.02)
    assert sum(abs(one) < 2 for one in logs) / N == pytest.approx(0.9545, abs=0.01)


def test_empirical(phases: Path) -> None:
    values = draws(phases, "empirical 3 10 1 20 2 30 1")
    assert values.count(20) / N == pytest.approx(0.5, abs=0.02)
    assert values.count(10) + values.count(20) + values.count(30) == N


def test_seeds_give_streams_of_their_own(phases: Path) -> None:
    first = [draws(phases, "uniform 1000000 100", seed, 3) for seed in range(40)]
    assert len({tuple(one) for one in first}) == 40
    # Neighbouring seeds aren't alike: the first draws are spread over the range.
    heads = [one[0] for one in first]
    assert min(heads) < 400_000 and max(heads) > 1_600_000


@pytest.mark.parametrize(
    "dist", ["exponential 0", "lognormal 0 1000", "lognormal 100000000000000 1000",
             "exponential 100000000000000", "uniform 0 100"],
)
def test_extremes_stay_in_bounds(phases: Path, dist: str) -> None:
    assert all(0 <= value <= 10**15 for value in draws(phases, dist, 3, 2000))
