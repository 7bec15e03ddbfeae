"""Log-linear histograms of nanoseconds, as the guest's programs write them.

Input: `[index, count]` pairs from a program's JSON, or plain samples. Output: percentiles and
merged histograms. Invariant: `index_of` and `upper_of` are those of the guest's `histogram.h`; a
percentile is at least the exact one and larger by less than a factor of 1 + 2**-SUB_BITS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from math import ceil

from schedc.records import dataclass

SUB_BITS = 5
"""An octave has 2**SUB_BITS buckets: 3.2% wide at most."""

_SUB = 1 << SUB_BITS
_LAST_INDEX = (64 - SUB_BITS + 1) * _SUB - 1


def index_of(value: int) -> int:
    """The bucket that holds a value in 0..2**64-1."""
    if value < _SUB:
        return value
    shift = value.bit_length() - 1 - SUB_BITS
    return (shift + 1) * _SUB + (value >> shift) - _SUB


def upper_of(index: int) -> int:
    """The largest value in a bucket."""
    if index < _SUB:
        return index
    shift = index // _SUB - 1
    return ((index % _SUB + _SUB) << shift) + (1 << shift) - 1


class BadHistogram(ValueError):
    """Buckets that no program of ours writes."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bucket, with the exact smallest and largest value (0 when empty)."""

    counts: Mapping[int, int] = field(default_factory=dict)
    low: int = 0
    high: int = 0

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    @staticmethod
    def of(samples: Iterable[int]) -> Histogram:
        """The histogram of plain values."""
        return Histogram.weighted((value, 1) for value in samples)

    @staticmethod
    def weighted(samples: Iterable[tuple[int, int]]) -> Histogram:
        """The histogram of values with how often each was seen."""
        counts: dict[int, int] = {}
        low = high = -1
        for value, times in samples:
            index = index_of(value)
            counts[index] = counts.get(index, 0) + times
            low = value if low < 0 else min(low, value)
            high = max(high, value)
        return Histogram(counts, max(low, 0), max(high, 0))

    @staticmethod
    def from_json(data: object) -> Histogram:
        """What `hist_json` of the guest wrote; raises `BadHistogram` on anything else."""
        match data:
            case {"sub_bits": int(bits), "min": int(low), "max": int(high), "buckets": list(pairs)}:
                pass
            case _:
                raise BadHistogram("a histogram needs sub_bits, min, max and buckets")
        if bits != SUB_BITS:
            raise BadHistogram(f"a histogram of {bits} bits an octave, not {SUB_BITS}")
        counts: dict[int, int] = {}
        for pair in pairs:
            match pair:
                case [int(index), int(count)] if 0 <= index <= _LAST_INDEX and count > 0:
                    counts[index] = counts.get(index, 0) + count
                case _:
                    raise BadHistogram(f"a bucket is an index and a count, not {pair!r:.60}")
        return Histogram(counts, low, high)

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of both sets of samples together."""
        if not other.counts:
            return self
        if not self.counts:
            return other
        counts = dict(self.counts)
        for index, count in other.counts.items():
            counts[index] = counts.get(index, 0) + count
        return Histogram(counts, min(self.low, other.low), max(self.high, other.high))

    def quantile(self, share: float) -> int | None:
        """The value of nearest rank at `share` in 0..1; None without samples."""
        total = self.count
        if total == 0:
            return None
        # 0.99 * 100 is 99.00000000000001 in binary: its ceiling would be one rank too high.
        rank = max(1, ceil(round(share * total, 6)))
        seen = 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= rank:
                return min(upper_of(index), self.high)
        return self.high
