"""Medians with exact intervals, and what two arms of runs say about each other.

Input: figures of runs, paired by seed. Output: `Interval`s and a `Finding`. Invariant: no figure
here is an average; a finding other than "no difference" needs the whole interval of the paired
ratio on one side of 1, beyond the resolution of the metric.

The interval is the distribution-free one for a median: between the k-th smallest and the k-th
largest of n figures lies the true median with probability 1 − 2·P[Binomial(n, 1/2) < k], whatever
the distribution. It needs no resampling and no seed, and unlike a bootstrap it does not become too
narrow for few runs: with five runs it is their whole range, which covers 93.75%.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from math import comb

from schedc.records import dataclass

CONFIDENCE = 0.95
"""The coverage that an interval aims at; with fewer than six runs it has less, and says so."""

ENOUGH = 0.9
"""Below this coverage (fewer than five pairs) nothing is called a difference."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A median of `n` figures, and bounds that hold the true median with `coverage`."""

    median: float
    low: float
    high: float
    coverage: float
    n: int


class Finding(Enum):
    """What the paired ratios say of the policy, against the baseline."""

    better = "better"
    worse = "worse"
    same = "no difference beyond noise"
    unknown = "too few runs"


def median(figures: Sequence[float]) -> float:
    """The middle figure, or the middle between the two middle ones."""
    ordered = sorted(figures)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def coverage(n: int, k: int) -> float:
    """The probability that the k-th smallest and k-th largest of n figures enclose the median."""
    below = sum(comb(n, i) for i in range(k))
    return float(max(0.0, 1.0 - 2.0 * below / 2**n))


def interval(figures: Sequence[float]) -> Interval | None:
    """The narrowest interval that covers `CONFIDENCE`, else the whole range; None if empty."""
    n = len(figures)
    if n == 0:
        return None
    ordered = sorted(figures)
    k = 1
    while k + 1 <= (n + 1) // 2 and coverage(n, k + 1) >= CONFIDENCE:
        k += 1
    return Interval(median(ordered), ordered[k - 1], ordered[n - k], coverage(n, k), n)


def ratio(policy: float, base: float) -> float | None:
    """The policy's figure over the baseline's; None if it would be without bound."""
    if base == 0:
        return 1.0 if policy == 0 else None
    return policy / base


def judge(ratios: Interval | None, lower_is_better: bool, resolution: float) -> Finding:
    """What an interval of paired ratios shows.

    `resolution` is the relative step of the metric (buckets of a histogram): two runs that differ
    by less may be one and the same.
    """
    if ratios is None or ratios.coverage < ENOUGH:
        return Finding.unknown
    if ratios.high < 1 / (1 + resolution):
        return Finding.better if lower_is_better else Finding.worse
    if ratios.low > 1 + resolution:
        return Finding.worse if lower_is_better else Finding.better
    return Finding.same
