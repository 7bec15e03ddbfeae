"""What kind of load it is, and how far one profile is from another.

Input: profiles. Output: a fingerprint (the same for the same kind of load, whatever its names and
exact figures), and a distance in 0..1 with what differs in words. Invariant: a profile is at 0 from
itself, the distance is the same both ways, and a group is compared with the one of its name, or of
the most similar name, only.

The distance is the mean of the groups' distances, each weighted by its part of the cpu time and of
the wake-ups, the larger of both profiles'. A group's own is the largest of: bursts and sleeps (the
Kolmogorov-Smirnov distance of their histograms, a bucket of difference being none), and its cpu
time, wake-ups and number of tasks (1 - smaller/larger, which is 0.5 for twice as many).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from schedc.profile.distance import ks
from schedc.profile.model import GroupProfile, Histogram, Profile
from schedc.profile.words import time
from schedc.records import dataclass

FEW = 20
"""Fewer samples say nothing about a distribution."""
_SMALL_SHARE = 0.001
"""Of a cpu: what is below in both profiles is left out."""


@dataclass(frozen=True, slots=True)
class Drift:
    """`distance` in 0..1; `what` differs in words, the largest differences first."""

    distance: float
    what: tuple[str, ...]


def drift(old: Profile, new: Profile) -> Drift:
    """How far `new` is from `old`."""
    total, weights, said = 0.0, 0.0, []
    for before, after in _pairs(old, new):
        weight = max(_weight(before, old), _weight(after, new))
        found, words = _distance(before, after)
        total += weight * found
        weights += weight
        said.append((weight * found, words))
    said.sort(key=lambda one: (-one[0], one[1]))
    distance = total / weights if weights else 0.0
    return Drift(min(distance, 1.0), tuple(words for at, words in said if words and at > 0.01)[:8])


def _pairs(
    old: Profile, new: Profile
) -> Iterator[tuple[GroupProfile | None, GroupProfile | None]]:
    before = {(one.name, one.nice): one for one in old.groups if one.share >= _SMALL_SHARE}
    after = {(one.name, one.nice): one for one in new.groups if one.share >= _SMALL_SHARE}
    # A group that is small in one profile only is compared, not missing.
    for key in sorted(before.keys() | after.keys()):
        yield before.get(key) or _named(old, key), after.get(key) or _named(new, key)


def _named(profile: Profile, key: tuple[str, int]) -> GroupProfile | None:
    return next((one for one in profile.groups if (one.name, one.nice) == key), None)


def _weight(group: GroupProfile | None, profile: Profile) -> float:
    if group is None:
        return 0.0
    cpu = sum(one.share for one in profile.groups) or 1.0
    wakeups = sum(max(one.wakeups_s, 0.0) for one in profile.groups) or 1.0
    return (group.share / cpu + max(group.wakeups_s, 0.0) / wakeups) / 2


def _distance(
    before: GroupProfile | None, after: GroupProfile | None
) -> tuple[float, str]:
    if before is None or after is None:
        there = before or after
        if there is None:
            return 0.0, ""
        return 1.0, f"{there.name} is {'new' if before is None else 'gone'}"
    parts = [
        (_ratio(before.share, after.share), f"{before.share:.2f} -> {after.share:.2f} cpus"),
        (_ratio(before.tasks, after.tasks), f"{before.tasks} -> {after.tasks} tasks"),
        (_ratio(before.wakeups_s, after.wakeups_s),
         f"{before.wakeups_s:.0f} -> {after.wakeups_s:.0f} wake-ups/s"),
        (_spread(before.bursts, after.bursts),
         f"runs {time(before.bursts.quantile(0.5))} -> {time(after.bursts.quantile(0.5))} "
         "between sleeps"),
        (_spread(before.sleeps, after.sleeps),
         f"sleeps {time(before.sleeps.quantile(0.5))} -> {time(after.sleeps.quantile(0.5))}"),
    ]  # fmt: skip
    found, words = max(parts, key=lambda part: part[0])
    return found, f"{before.name}: {words}" if found > 0.05 else ""


def _ratio(one: float, other: float) -> float:
    low, high = sorted((max(one, 0.0), max(other, 0.0)))
    return 1 - low / high if high > 0 else 0.0


def _spread(one: Histogram, other: Histogram) -> float:
    """Estimates know the mean alone, so only that is compared then."""
    if one.count < FEW or other.count < FEW:
        return 0.0
    if one.estimated or other.estimated:
        return _ratio(one.mean, other.mean)
    return ks(one.counts, other.counts, slack=1)


# --- the fingerprint ----------------------------------------------------------------------------


def fingerprint(profile: Profile) -> str:
    """What kind of load it is: cpus, and the size, burst, share and nice value of each group that
    takes a hundredth of a cpu, by powers of two (of four for bursts)."""
    parts = [str(profile.cpus)]
    parts += sorted(_shape(one) for one in profile.groups if one.share >= 0.01)
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _shape(group: GroupProfile) -> str:
    burst = int(group.bursts.mean).bit_length() // 2
    share = round(1000 * group.share / group.tasks).bit_length()
    hogs = group.hogs.bit_length()
    return f"{group.tasks.bit_length()}/{burst}/{share}/{hogs}/{group.nice}"
