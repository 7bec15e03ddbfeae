"""Waits as a policy counts them: histograms by class, and what happened between two of them.

Input: the buckets of `class_stats.wait_hist`, ever growing while the policy stays. Output: counts,
quantiles in ns. Bucket i holds waits of [2^(i+6), 2^(i+7)) ns, the first also what is shorter, the
last (above 137 s) what is longer. Invariant: a quantile lies in its bucket, so it is right to
within a factor of two; inside, waits are taken to be spread evenly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

BUCKETS = 32
_FIRST = 6

Histograms = Mapping[str, Sequence[int]]
"""Class -> its buckets."""


def edges(bucket: int) -> tuple[int, int]:
    """From where to where a bucket reaches, in ns."""
    return (0 if bucket == 0 else 1 << (bucket + _FIRST)), 1 << (bucket + _FIRST + 1)


def quantile(buckets: Sequence[int], share: float) -> float | None:
    """The wait in ns that this share (0..1) of all waits doesn't pass; None without waits."""
    total = sum(buckets)
    if not total:
        return None
    rank, below = share * total, 0
    for bucket, count in enumerate(buckets):
        if count and below + count >= rank:
            low, high = edges(bucket)
            return low + (high - low) * max(0.0, rank - below) / count
        below += count
    return float(edges(len(buckets) - 1)[1])


def total(histograms: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """Several classes together."""
    return tuple(map(sum, zip(*histograms, strict=False))) or (0,) * BUCKETS


class Window:
    """The waits of the last seconds, of histograms that only grow.

    A count that shrank means that the policy was attached anew (a cpu came or went): what was
    counted before is forgotten.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._seen: deque[tuple[float, dict[str, tuple[int, ...]]]] = deque()

    def add(self, at: float, histograms: Histograms) -> None:
        """What stands in the counters now; `at` in seconds of any clock that only grows."""
        now = {name: tuple(buckets) for name, buckets in histograms.items()}
        if self._seen and any(
            sum(now.get(name, ())) < sum(then) for name, then in self._seen[-1][1].items()
        ):
            self._seen.clear()
        self._seen.append((at, now))
        # The one that stays is the last that is at least as old as the window is long.
        while len(self._seen) > 2 and self._seen[1][0] <= at - self.seconds:
            self._seen.popleft()

    def counts(self, cls: str = "") -> tuple[int, ...]:
        """The waits in the window: of one class, or of all."""
        if len(self._seen) < 2:
            return (0,) * BUCKETS
        (_, first), (_, last) = self._seen[0], self._seen[-1]
        names = [cls] if cls else list(last)
        return total(
            tuple(b - a for a, b in zip(first.get(name) or (0,) * len(last.get(name, ())),
                                        last.get(name, ()), strict=False))
            for name in names
        )  # fmt: skip
