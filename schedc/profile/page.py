"""A profile as a page of text for people.

Input: a profile. Output: lines of at most 100 columns: what was watched and how, the machine, the
groups in a table and in words, how their times are spread, who wakes whom. Invariant: only plain
names and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from schedc.profile.graph import drivers
from schedc.profile.model import NOT_A_TASK, GroupProfile, Histogram, Profile
from schedc.profile.traits import traits
from schedc.profile.words import rate, time

MAX_TABLE = 16
MAX_SPREADS = 6
MAX_WAKES = 12
_BARS = " ▁▂▃▄▅▆▇█"
_WIDTH = 100


def page(profile: Profile) -> str:
    """The page; ends with a newline."""
    return "\n".join(line.rstrip() for line in _lines(profile)) + "\n"


def _lines(profile: Profile) -> Iterator[str]:
    yield f"profile   {profile.seconds:.1f} s of {profile.target}, by {profile.collector}"
    for collector, reason in profile.why_not:
        yield from _wrapped("          ", f"not by {collector}: {reason}")
    for note in profile.notes:
        yield from _wrapped("note      ", note)
    machine = profile.machine
    yield (
        f"machine   {profile.cpus} cpus, {machine.busy:.2f} busy; "
        f"{rate(machine.switches_s)} switches, {rate(machine.migrations_s)} migrations"
        + (f"; Linux {profile.kernel}" if profile.kernel else "")
    )
    if machine.psi_some >= 0:
        yield (
            f"pressure  some task waited for a cpu in {100 * machine.psi_some:.0f}% of the time, "
            f"all in {100 * max(machine.psi_full, 0):.0f}%"
        )
    yield ""
    yield from _table(profile)
    yield ""
    for trait in traits(profile)[1 : MAX_TABLE + 1]:
        yield from _wrapped("", trait.text)
    yield ""
    for group in profile.groups[:MAX_SPREADS]:
        yield from _spreads(group)
    yield from _wakes(profile)


def _table(profile: Profile) -> Iterator[str]:
    yield (
        f"{'group':15} {'tasks':>6} {'nice':>4} {'cpus':>6} {'wake-ups':>10} {'switches':>10} "
        f"{'migrations':>10} {'runs':>9} {'sleeps':>9} {'waits':>9}"
    )
    for group in profile.groups[:MAX_TABLE]:
        yield (
            f"{group.name:15} {group.tasks:6} {group.nice:4} {group.share:6.2f} "
            f"{rate(group.wakeups_s):>10} {rate(group.switches_s):>10} "
            f"{rate(group.migrations_s):>10} {_middle(group.bursts):>9} "
            f"{_middle(group.sleeps):>9} {_middle(group.runq):>9}"
        )
    if (more := len(profile.groups) - MAX_TABLE) > 0:
        rest = sum(group.share for group in profile.groups[MAX_TABLE:])
        yield f"{more} more groups with {rest:.2f} cpus"


def _middle(histogram: Histogram) -> str:
    """The median; of estimates the mean."""
    if not histogram.count:
        return "-"
    if histogram.estimated:
        return "~" + time(histogram.mean)
    return time(histogram.quantile(0.5))


def _spreads(group: GroupProfile) -> Iterator[str]:
    """A line for each histogram: percentiles, then a bar for each power of two."""
    shown = [("runs", group.bursts), ("sleeps", group.sleeps), ("waits", group.runq)]
    if not any(found.count and not found.estimated for _, found in shown):
        return
    yield group.name
    for what, found in shown:
        if found.count and not found.estimated:
            points = ", ".join(
                f"{name} {time(found.quantile(share))}"
                for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
            )
            yield f"  {what:7}{points + ', max ' + time(found.max):58} {_bars(found)}"
    yield ""


def _bars(histogram: Histogram) -> str:
    """`16 us ▁▅█▂ 256 us`: each bar is the part of the samples in one octave."""
    octaves: dict[int, int] = {}
    for index, count in histogram.counts.items():
        octave = max(index // 32 - 1, 0)
        octaves[octave] = octaves.get(octave, 0) + count
    low, high = min(octaves), max(octaves)
    largest = max(octaves.values())
    bars = "".join(
        _BARS[-(-8 * octaves.get(at, 0) // largest)] for at in range(low, high + 1)
    )
    begin = time(32 << low) if low else "0 ns"
    return f"{begin} {bars} {time(64 << high)}"


def _wakes(profile: Profile) -> Iterator[str]:
    if not profile.wakes:
        return
    yield "who wakes whom"
    clear = drivers(profile, profile.groups)
    for source, to, count in profile.wakes[:MAX_WAKES]:
        who = "timers, interrupts, others" if source == NOT_A_TASK else source
        line = f"  {who} -> {to}: {rate(count / profile.seconds)}"
        driver = clear.get(to)
        if driver is not None and driver.name == source:
            line += f" ({driver.each} at each of its bursts)"
        yield line
    if (more := len(profile.wakes) - MAX_WAKES) > 0:
        yield f"  and {more} more"


def _wrapped(head: str, text: str) -> Iterator[str]:
    """Lines of at most `_WIDTH` columns; those after the first are indented."""
    line = head
    for word in text.split(" "):
        if len(line) + len(word) + 1 > _WIDTH and line.strip():
            yield line
            line = " " * max(len(head), 4)
        line += word if line.endswith("  ") or line in ("", head) else f" {word}"
    yield line
