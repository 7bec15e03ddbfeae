"""A workload out of a profile: the file that the simulator and the guest replay.

Input: a profile. Output: TOML text of `schedc.workload`. Invariant: the text is a workload without
errors whatever the names were; each group's bursts and sleeps are drawn from the profile's own
values, as often as they were seen.

A group sleeps and runs in turn. Where it is clear that another group wakes it (`graph`), it waits
for that one instead, and how long comes out of the work. Tasks that only run are a group of their
own. What the profile doesn't know is not made up: no cpu sets, no locks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from schedc.profile.graph import Driver, drivers, takes_turns
from schedc.profile.model import GroupProfile, Histogram, Profile, middle_of
from schedc.records import dataclass
from schedc.workload.quantity import MAX_TIME, write_time

MAX_GROUPS = 32
MAX_VALUES = 128
"""Of a distribution; neighbours are put together, which moves less than 1/128 of it."""
MAX_TASKS = 20_000
SLACK_NS = 25_000
"""What a timer adds to a sleep on average, in the simulator as on Linux: it is in the profile's
sleeps already."""
_LEAST_SHARE = 0.001
_LEAST_WAKEUPS = 1.0
_NAME = re.compile(r"[^a-z0-9_]")


@dataclass(frozen=True, slots=True)
class _Part:
    """A group of the profile that becomes one or two of the workload."""

    group: GroupProfile
    name: str
    count: int
    """Tasks that sleep and run in turn."""
    driver: Driver | None


def workload_toml(profile: Profile, name: str = "profile") -> str:
    """The workload of a profile."""
    return "\n".join(_lines(profile, name)) + "\n"


def _lines(profile: Profile, name: str) -> Iterator[str]:
    kept = tuple(one for one in profile.groups if _counts(one))[:MAX_GROUPS]
    if not kept:
        kept = profile.groups[:1]
    driven = drivers(profile, kept)
    taken: set[str] = set()
    parts = [_part(profile, one, driven, taken) for one in kept]
    yield f"# Made by `schedc profile workload` of {profile.seconds:.1f} s of {profile.target}"
    yield f"# ({profile.collector}, {profile.cpus} cpus)."
    if left_out := len(profile.groups) - len(kept):
        yield f"# {left_out} groups that take next to no cpu time are left out."
    yield "format = 1"
    yield f'name = "{_identifier(name, set())}"'
    yield 'description = "the load of a profile"'
    yield f"metrics = {_metrics(parts)}"
    yield 'limit = "120s"'
    yield ""
    yield from _param("duration", "3s", "measured time")
    yield from _param("warmup", "300ms", "time before it, not measured")
    for one in parts:
        if one.driver is not None:
            yield from (f"[channels.{_channel(one)}]", "")
    for one in parts:
        yield from _groups(one, parts)


def _counts(group: GroupProfile) -> bool:
    return group.share >= _LEAST_SHARE or group.wakeups_s >= _LEAST_WAKEUPS


def _part(
    profile: Profile, group: GroupProfile, driven: dict[str, Driver], taken: set[str]
) -> _Part:
    sleepers = max(group.tasks - group.hogs, 0)
    if not group.bursts.count:
        sleepers = 0 if group.hogs else 1
    # Tasks that slept all the while, but for a moment, don't keep up the group's rate: as many are
    # taken as do (Little's law).
    busy = _cycle(group) * group.bursts.count / (profile.seconds * 1e9)
    if group.sleeps.count and group.born_s * profile.seconds < 0.1 * group.bursts.count:
        sleepers = min(sleepers, max(1, round(busy)))
    driver = driven.get(group.name) if sleepers else None
    return _Part(group, _identifier(group.name, taken), min(sleepers, MAX_TASKS), driver)


def _cycle(group: GroupProfile) -> float:
    """How long a burst, its sleep and the waits for a cpu take together, ns."""
    bursts = group.bursts.count
    waits = group.runq.sum / bursts if bursts else 0.0
    return group.bursts.mean + group.sleeps.mean + waits


def _metrics(parts: list[_Part]) -> str:
    names = []
    if any(one.count for one in parts):
        names += ["wakeup_p50", "wakeup_p99", "throughput"]
    if any(one.group.hogs for one in parts):
        names.append("background")
    return "[" + ", ".join(f'"{one}"' for one in names) + "]"


def _param(name: str, default: str, doc: str) -> Iterator[str]:
    yield from (f"[params.{name}]", f'default = "{default}"', 'min = "0ns"', f'doc = "{doc}"', "")


def _groups(part: _Part, parts: list[_Part]) -> Iterator[str]:
    group = part.group
    comm = group.comm or group.name
    if part.count:
        if part.count < group.tasks - group.hogs:
            yield f"# {group.tasks - group.hogs} tasks; so many keep up their rate:"
        yield from _head(part.name, part.count, comm, group.nice)
        yield "phases = ["
        yield from (f"  {{ {phase} }}," for phase in _phases(part, parts))
        yield from ("]", "")
    if group.hogs:
        yield from _head(f"{part.name[:28]}_hog", min(group.hogs, MAX_TASKS), comm, group.nice)
        yield 'role = "background"'
        yield from ('phases = [{ do = "run", time = "1ms" }]', "")


def _head(name: str, count: int, comm: str, nice: int) -> Iterator[str]:
    yield f"[groups.{name}]"
    yield f"count = {count}"
    yield f'comm = "{comm}"'
    if nice:
        yield f"nice = {nice}"
    yield 'loop = "forever"'


def _phases(part: _Part, parts: list[_Part]) -> Iterator[str]:
    group = part.group
    driven = {one.group.name: one.driver for one in parts if one.driver is not None}
    run = f'do = "run", time = {_empirical(_runs(group))}'
    wakes = [
        f'do = "wake", on = "{_channel(one)}", count = {one.driver.each}'
        for one in parts if one.driver is not None and one.driver.name == group.name
    ]  # fmt: skip
    if part.driver is None:
        rest = f'do = "sleep", time = {_empirical(_sleeps(part))}, measure = "wakeup"'
    else:
        rest = f'do = "wait", on = "{_channel(part)}", measure = "wakeup"'
    # Of two that take turns, the first one begins.
    first = takes_turns(group.name, driven) and _comes_first(part, parts)
    yield from ([run, *wakes, rest] if first else [rest, run, *wakes])
    yield 'do = "count", what = "throughput"'


def _comes_first(part: _Part, parts: list[_Part]) -> bool:
    names = [one.group.name for one in parts]
    assert part.driver is not None
    return names.index(part.group.name) < names.index(part.driver.name)


def _channel(part: _Part) -> str:
    return f"to_{part.name[:28]}"


def _runs(group: GroupProfile) -> list[tuple[int, int]]:
    """Values with weights; a task whose bursts were never seen whole runs for all its time."""
    found = _values(group.bursts, 0)
    return found or [(max(1, round(1e6 * min(group.share, 1.0))), 1)]


def _sleeps(part: _Part) -> list[tuple[int, int]]:
    """Of tasks that live for less than a sleep, also the time until another one takes its place,
    so that there are as many bursts a second as there were."""
    group = part.group
    found = _values(group.sleeps, SLACK_NS)
    missing = group.bursts.count - group.sleeps.count
    if missing > 0.1 * group.bursts.count or not found:
        rate = max(group.wakeups_s + group.born_s, 1e-3)
        whole = part.count / rate * 1e9
        gap = whole - group.bursts.mean - (
            group.runq.sum + group.sleeps.sum
        ) / max(group.bursts.count, 1)
        gap *= group.bursts.count / missing if missing > 0 else 1.0
        found.append((min(max(1000, round(gap)), MAX_TIME), max(missing, 1)))
    return found


def _values(histogram: Histogram, less: int) -> list[tuple[int, int]]:
    """The buckets' values with their counts, at most `MAX_VALUES`, each `less` ns shorter."""
    least = histogram.count / MAX_VALUES
    found: list[tuple[int, int]] = []
    total = weight = 0
    for index in sorted(histogram.counts):
        count = histogram.counts[index]
        total += min(middle_of(index), histogram.max) * count
        weight += count
        if weight >= least:
            found.append((_shorter(total // weight, less), weight))
            total = weight = 0
    if weight:
        found.append((_shorter(total // weight, less), weight))
    return found


def _shorter(value: int, less: int) -> int:
    return min(max(value - less, 1), MAX_TIME)


def _empirical(values: list[tuple[int, int]]) -> str:
    largest = max(weight for _, weight in values)
    scale = max(1, -(-largest // 10**9))
    if len(values) == 1:
        return f'"{write_time(values[0][0])}"'
    times = ", ".join(f'"{write_time(value)}"' for value, _ in values)
    weights = ", ".join(str(max(1, weight // scale)) for _, weight in values)
    return f'{{ dist = "empirical", values = [{times}], weights = [{weights}] }}'


def _identifier(name: str, taken: set[str]) -> str:
    """A name as workloads have them."""
    plain = _NAME.sub("_", name.lower())[:24]
    base = plain if plain[:1].isalpha() else f"g{plain}"
    found, number = base, 1
    while found in taken or f"{found}_hog" in taken:
        number += 1
        found = f"{base}_{number}"
    taken.add(found)
    return found
