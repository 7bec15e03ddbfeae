"""What a tracing collector counted, read from its output.

Input: the JSON of `schedc.load.collect` or of the bcc program, which ran with privileges and saw
names that others gave. Output: groups, wakes and sums of the machine. Invariant: anything of
another form raises `ProfileError`; numbers are in range, names plain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from schedc.profile.errors import COLLECTOR_FAILED, ProfileError
from schedc.profile.model import NOT_A_TASK, GroupProfile, Histogram
from schedc.profile.names import Namer, common
from schedc.records import dataclass

MAX_ROWS = 1 << 17
LAST_BUCKET = 60 * 32 - 1
_BIG = 1 << 64
_LONG_BURST = 0.05
"""A burst that isn't over, and took this part of the profile: a hog's."""

BURST, SLEEP, RUNQ = range(3)


@dataclass(frozen=True, slots=True)
class Counted:
    """The part of a profile that comes from the collector; rates are a second."""

    seconds: float
    groups: tuple[GroupProfile, ...]
    wakes: tuple[tuple[str, str, int], ...]
    runq: Histogram
    migrations_s: float
    dropped: int
    wakers: bool
    """Whether the collector could tell who woke whom."""


def read_counts(data: object) -> Counted:
    """Check and sum up. Raises `ProfileError` (E1225)."""
    try:
        return _Reader(data).read()
    except (KeyError, TypeError, ValueError, IndexError) as bad:
        raise ProfileError(
            COLLECTOR_FAILED, "the collector's output can't be read",
            notes=(f"{type(bad).__name__}: {bad}"[:200],),
        ) from bad  # fmt: skip


def _number(value: Any, high: int = _BIG) -> int:
    if type(value) is not int or not 0 <= value < high:
        raise ValueError(f"not a number in range: {value!r:.40}")
    return value


class _Reader:
    def __init__(self, data: object) -> None:
        if not isinstance(data, dict):
            raise ValueError("not an object")
        self.data: dict[str, Any] = data
        self.seconds = float(data["seconds"])
        if not 0 < self.seconds < 1e6:
            raise ValueError("no such time")
        self.groups = self._rows("groups", 10)
        self.histograms = self._histograms()
        self.open = self._open()

    def _rows(self, name: str, width: int) -> list[list[Any]]:
        rows = self.data[name]
        if not isinstance(rows, list) or len(rows) > MAX_ROWS:
            raise ValueError(f"too many {name}")
        if any(not isinstance(row, list) or len(row) != width for row in rows):
            raise ValueError(f"{name} of another form")
        return rows

    def _histograms(self) -> dict[tuple[int, int], Histogram]:
        counts: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        for group, kind, index, count in self._rows("buckets", 4):
            place = (_number(group, len(self.groups) + 1), _number(kind, 3))
            if _number(count):
                at = _number(index, LAST_BUCKET + 1)
                counts[place][at] = counts[place].get(at, 0) + count
        sums = {
            (_number(group), _number(kind, 3)): (_number(total), _number(high))
            for group, kind, _, total, high in self._rows("sums", 5)
        }
        return {
            place: Histogram(found, *sums.get(place, (0, 0))) for place, found in counts.items()
        }

    def _open(self) -> dict[int, list[tuple[int, bool]]]:
        """Bursts that weren't over at the end, by group."""
        found: dict[int, list[tuple[int, bool]]] = defaultdict(list)
        for group, ran, always in self._rows("tasks", 3):
            found[_number(group)].append((_number(ran), bool(always)))
        return found

    def read(self) -> Counted:
        namer = Namer()
        kept = {
            number: self._group(number, row, namer) for number, row in self._by_time()
        }
        names = {number: group.name for number, group in kept.items()}
        runq = Histogram()
        for group in kept.values():
            runq = runq.merge(group.runq)
        return Counted(
            self.seconds, tuple(kept.values()), tuple(self._wakes(names)), runq,
            _number(self.data["migrations"]) / self.seconds, _number(self.data["dropped"]),
            self.data["wakers"] is True,
        )  # fmt: skip

    def _by_time(self) -> list[tuple[int, list[Any]]]:
        """The groups that ran at all, those with the most cpu time first."""
        rows = [(number, row) for number, row in enumerate(self.groups) if _number(row[6])]
        return sorted(rows, key=lambda one: (-one[1][6], one[0]))

    def _group(self, number: int, row: list[Any], namer: Namer) -> GroupProfile:
        stem, comm, nice, several, most, born, cpu, wakeups, switches, migrations = row
        bytes.fromhex(stem)
        if type(nice) is not int or not -120 <= nice <= 20:
            raise ValueError("no nice value")
        named = common(bytes.fromhex(comm)[:15], _number(several) > 0)
        # Real-time tasks have a static priority of their own; on this scale they are the first.
        nice = min(max(nice, -20), 19)
        bursts = self.histograms.get((number, BURST), Histogram())
        hogs = self._hogs(number, bursts)
        return GroupProfile(
            namer.name(named, nice), named, max(_number(most), 1), nice,
            _number(cpu) / self.seconds / 1e9, _number(wakeups) / self.seconds,
            _number(switches) / self.seconds, _number(migrations) / self.seconds, bursts,
            self.histograms.get((number, SLEEP), Histogram()),
            self.histograms.get((number, RUNQ), Histogram()), _number(born) / self.seconds,
            len(hogs), sum(hogs) / self.seconds / 1e9,
        )  # fmt: skip

    def _hogs(self, group: int, bursts: Histogram) -> list[int]:
        """Cpu time of the tasks that do nothing but run: they had a burst on all the while, or a
        long one that is out of proportion to those that ended."""
        least = max(_LONG_BURST * self.seconds * 1e9, 4 * bursts.max)
        return [
            ran for ran, always in self.open[group]
            if (always and ran > 0.001 * self.seconds * 1e9) or ran > least
        ]  # fmt: skip

    def _wakes(self, names: dict[int, str]) -> Iterator[tuple[str, str, int]]:
        found: dict[tuple[str, str], int] = defaultdict(int)
        for source, target, count in self._rows("edges", 3) if self.data["wakers"] is True else ():
            to = names.get(_number(target) - 1)
            if to is not None:
                found[names.get(_number(source) - 1, NOT_A_TASK), to] += _number(count)
        for (source_name, to), count in sorted(found.items(), key=lambda one: -one[1]):
            yield source_name, to, count
