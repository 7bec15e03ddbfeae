"""One metric of two arms whose runs come in pairs.

Input: an arm's figures by pair, and the other's. Output: a `Comparison`. Invariant: a ratio is
taken within a pair only, so a pair of which one run is void counts for neither.
"""

from __future__ import annotations

from collections.abc import Mapping

from schedc.measure.stats import Finding, Interval, interval, judge, ratio
from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric over all runs that count; `ratio` is policy over baseline within pairs."""

    metric: str
    policy: Interval | None
    base: Interval | None
    ratio: Interval | None
    finding: Finding


def paired(
    metric: str,
    policy: Mapping[int, float],
    base: Mapping[int, float],
    *,
    lower_is_better: bool,
    resolution: float = 0.0,
) -> Comparison:
    """Medians of both arms, their ratio within pairs, and what it shows; `resolution` as `judge`
    has it."""
    ratios = [
        one
        for pair in sorted(policy.keys() & base.keys())
        if (one := ratio(policy[pair], base[pair])) is not None
    ]
    between = interval(ratios)
    return Comparison(
        metric, interval(list(policy.values())), interval(list(base.values())), between,
        judge(between, lower_is_better, resolution),
    )
