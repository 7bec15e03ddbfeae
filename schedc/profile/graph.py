"""Which groups are driven by which: the clear part of who wakes whom.

Input: a profile's wake-ups. Output: for a driven group its driver, and how many of its tasks one
burst of the driver wakes. Invariant: following the drivers ends at a group that nobody drives, or
at two that drive each other in turn, so a workload that is made of it can't wait for ever.
"""

from __future__ import annotations

from schedc.profile.model import NOT_A_TASK, GroupProfile, Profile
from schedc.records import dataclass

CLEAR = 0.9
"""Of a group's wake-ups that must come from one other group."""
_FEW = 20
_MOST = 64
_NEAR = 0.1


@dataclass(frozen=True, slots=True)
class Driver:
    """`each`: wake-ups of the driven group by one burst of the driver."""

    name: str
    each: int


def drivers(profile: Profile, groups: tuple[GroupProfile, ...]) -> dict[str, Driver]:
    """The drivers of these groups, where they are clear."""
    known = {group.name: group for group in groups if group.bursts.count >= _FEW}
    found = {name: driver for name in known if (driver := _driver(profile, known, name))}
    return {name: one for name, one in found.items() if _grounded(name, found)}


def _driver(
    profile: Profile, groups: dict[str, GroupProfile], name: str
) -> Driver | None:
    sources = {source: count for source, to, count in profile.wakes if to == name}
    total = sum(sources.values())
    if total < _FEW:
        return None
    source, count = max(sources.items(), key=lambda one: (one[1], one[0]))
    driver = groups.get(source)
    if source in (NOT_A_TASK, name) or driver is None or count < CLEAR * total:
        return None
    each = count / driver.bursts.count
    whole = round(each)
    if not 1 <= whole <= _MOST or abs(each - whole) > _NEAR * whole:
        return None
    return Driver(source, whole)


def _grounded(name: str, found: dict[str, Driver]) -> bool:
    """Whether the drivers lead to one that goes by itself, or to two that take turns."""
    seen = [name]
    while (driver := found.get(seen[-1])) is not None:
        if driver.name in seen:
            return takes_turns(seen[-1], found)
        seen.append(driver.name)
    return True


def takes_turns(name: str, found: dict[str, Driver]) -> bool:
    """Whether a group and its driver wake each other, once each time."""
    driver = found.get(name)
    back = found.get(driver.name) if driver else None
    return back is not None and driver is not None and (
        back.name == name and back.each == driver.each == 1
    )
