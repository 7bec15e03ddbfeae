"""What a profile says in words, with numbers.

Input: a profile. Output: traits such as "512 worker: each wakes 900/s and runs 80 us", the machine
first, then groups by cpu time. Invariant: texts hold plain names and numbers only, so they may
stand in a prompt; estimates are called so.
"""

from __future__ import annotations

from collections.abc import Iterator

from schedc.profile.model import GroupProfile, Histogram, Profile
from schedc.profile.words import rate, time
from schedc.records import dataclass

MAX_TRAITS = 24
_LEAST_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class Trait:
    """One fact. `value` in `unit`: of a group its mean burst. `comm`: its tasks' name where that is
    plain; `cpus`: what one of its tasks uses."""

    subject: str
    text: str
    value: float
    unit: str
    comm: str = ""
    cpus: float = 0.0


def traits(profile: Profile) -> tuple[Trait, ...]:
    """At most `MAX_TRAITS`."""
    return (_machine(profile), *_groups(profile))[:MAX_TRAITS]


def _machine(profile: Profile) -> Trait:
    machine = profile.machine
    text = f"{profile.cpus} cpus, {machine.busy:.1f} of them busy"
    if machine.psi_some >= 0:
        text += f"; tasks waited for a cpu in {100 * machine.psi_some:.0f}% of the time"
    return Trait("machine", text, machine.busy / profile.cpus, "")


def _groups(profile: Profile) -> Iterator[Trait]:
    for group in profile.groups:
        if group.share >= _LEAST_SHARE or group.wakeups_s >= 1:
            yield Trait(
                group.name, _text(group), group.bursts.mean, "ns", group.comm,
                group.share / group.tasks,
            )  # fmt: skip


def _text(group: GroupProfile) -> str:
    called = f" (comm {group.comm})" if group.comm not in ("", group.name) else ""
    nice = f", nice {group.nice}" if group.nice else ""
    head = f"{group.tasks} {group.name}{called}{nice}"
    parts = []
    sleepers = max(group.tasks - group.hogs, 1)
    if group.bursts.count:
        parts.append(
            f"each wakes {rate(group.wakeups_s / sleepers)} and runs {_spread(group.bursts)}"
        )
        if group.sleeps.count:
            parts.append(f"sleeps {_spread(group.sleeps)}")
    if group.born_s >= 1:
        parts.append(f"{rate(group.born_s)} are born")
    if group.hogs:
        parts.append(f"{group.hogs} never sleep and take {group.hog_share:.2f} cpus")
    parts.append(f"{group.share:.2f} cpus in all")
    if group.runq.count:
        parts.append(f"wait {_spread(group.runq)} for a cpu")
    return f"{head}: {'; '.join(parts)}"


def _spread(histogram: Histogram) -> str:
    if histogram.estimated:
        return f"about {time(histogram.mean)} (mean)"
    return f"{time(histogram.quantile(0.5))} (p99 {time(histogram.quantile(0.99))})"
