"""The two-sample Kolmogorov-Smirnov distance of histograms.

Input: counts by bucket. Output: the largest difference of the two shares of samples up to a bucket,
0..1. Invariant: the order of the two doesn't matter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate


def ks(one: Mapping[int, int], other: Mapping[int, int], slack: int = 0) -> float:
    """With `slack`, a shift of so many buckets costs nothing: what lies at a bucket's edge may fall
    on either side of it. 0 if either is empty."""
    if not one or not other:
        return 0.0
    places = sorted(one.keys() | other.keys())
    first, second = _cumulated(one), _cumulated(other)
    return max(
        max(first(at - slack) - second(at), second(at - slack) - first(at))
        for place in places for at in (place, place + slack)
    )  # fmt: skip


def _cumulated(counts: Mapping[int, int]) -> Callable[[int], float]:
    """The share of samples in buckets up to one."""
    places = sorted(counts)
    total = sum(counts.values())
    shares = [0.0, *(seen / total for seen in accumulate(counts[place] for place in places))]
    return lambda place: shares[bisect_right(places, place)]
