"""Profiles for tests: a service beside hogs, as a collector would have seen it."""

from __future__ import annotations

from dataclasses import replace

from schedc.profile.model import GroupProfile, Histogram, Machine, Profile

MS = 1_000_000


def group(
    name: str, tasks: int, share: float, bursts: list[int], sleeps: list[int], *, hogs: int = 0,
    comm: str | None = None,
) -> GroupProfile:  # fmt: skip
    """A group whose bursts and sleeps were each seen 50 times over."""
    return GroupProfile(
        name, name if comm is None else comm, tasks, 0, share, 10.0 * len(bursts), 100.0, 1.0,
        Histogram.of(bursts * 50), Histogram.of(sleeps * 50), Histogram.of([2 * MS] * 50),
        hogs=hogs, hog_share=share if hogs else 0.0,
    )  # fmt: skip


def service() -> Profile:
    """Two cpus: four workers that wake often for a little work, and three hogs."""
    work = [300_000, 400_000, 500_000, 700_000]
    rest = [3 * MS, 4 * MS, 5 * MS, 8 * MS]
    return Profile(
        "proc", "the whole machine", (("bpf", "no rights"),), 5.0, "6.18", 2,
        Machine(2.0, 0.5, 0.0, 900.0, 10.0, Histogram.of([3 * MS] * 500)),
        (group("web", 4, 0.4, work, rest), group("index", 3, 1.6, [], [], hogs=3)), (),
    )  # fmt: skip


def batch() -> Profile:
    """The same machine at night: jobs that compute."""
    return replace(
        service(), groups=(group("batch", 4, 1.9, [60 * MS, 80 * MS], [5 * MS, 6 * MS]),)
    )
