"""Intervals and verdicts: exact coverage, no verdict from noise, no verdict from too little."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from schedc.measure.stats import Finding, coverage, interval, judge, median, ratio

FIGURES = st.lists(st.floats(0, 1e12), min_size=1, max_size=40)


@given(FIGURES)
def test_the_median_lies_in_its_interval(figures: list[float]) -> None:
    found = interval(figures)
    assert found is not None
    assert min(figures) <= found.low <= found.median <= found.high <= max(figures)
    assert found.n == len(figures)


@pytest.mark.parametrize(
    ("n", "k", "want"), [(5, 1, 0.9375), (6, 1, 0.96875), (9, 2, 0.9609375), (1, 1, 0.0)]
)
def test_coverage_is_the_binomial_one(n: int, k: int, want: float) -> None:
    assert coverage(n, k) == want


def test_five_runs_have_their_range_and_more_runs_narrow_it() -> None:
    five = interval([5, 1, 3, 2, 4])
    assert five is not None and (five.low, five.high, five.median) == (1, 5, 3)
    nine = interval(list(range(9)))
    assert nine is not None and (nine.low, nine.high) == (1, 7)
    assert interval([]) is None


def test_the_interval_covers_as_often_as_it_says() -> None:
    """1,000 samples of a skewed distribution with median 1 (seed 7)."""
    source = random.Random(7)
    covered = 0
    for _ in range(1000):
        found = interval([source.lognormvariate(0, 1) for _ in range(7)])
        assert found is not None
        covered += found.low <= 1 <= found.high
    assert covered / 1000 == pytest.approx(coverage(7, 1), abs=0.02)


def test_the_same_distribution_is_seldom_called_different() -> None:
    """1,000 A/A measurements of six pairs (seed 11): at most about 1 in 32 may be wrong."""
    source = random.Random(11)
    wrong = 0
    for _ in range(1000):
        ratios = [source.lognormvariate(0, 0.3) / source.lognormvariate(0, 0.3) for _ in range(6)]
        wrong += judge(interval(ratios), True, 0.0) is not Finding.same
    assert wrong / 1000 < 0.05


def test_a_verdict_needs_five_pairs() -> None:
    assert judge(interval([0.1] * 4), True, 0) is Finding.unknown
    assert judge(interval([0.1] * 5), True, 0) is Finding.better
    assert judge(None, True, 0) is Finding.unknown


def test_direction_and_resolution() -> None:
    half, twice, near = interval([0.5] * 6), interval([2.0] * 6), interval([1.02] * 6)
    assert judge(half, True, 0) is Finding.better
    assert judge(half, False, 0) is Finding.worse
    assert judge(twice, True, 0) is Finding.worse
    assert judge(twice, False, 0) is Finding.better
    assert judge(near, True, 0) is Finding.worse
    # The same 2% in a histogram whose buckets are 3% wide means nothing.
    assert judge(near, True, 1 / 32) is Finding.same
    assert judge(interval([0.5, 0.6, 0.7, 0.8, 0.9, 1.1]), True, 0) is Finding.same


def test_ratios_of_nothing() -> None:
    assert ratio(0, 0) == 1
    assert ratio(3, 0) is None
    assert ratio(3, 4) == 0.75
    assert median([4, 1]) == 2.5
