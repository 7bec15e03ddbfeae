"""Profiles of known distributions, and small programs to be profiled."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace

from schedc.profile.model import GroupProfile, Histogram, Machine, Profile

SAMPLES = 4000

BURNER = """
import sys, time
burn, sleep, end = float(sys.argv[1]), float(sys.argv[2]), time.monotonic() + float(sys.argv[3])
print("begun", file=sys.stderr, flush=True)
while time.monotonic() < end:
    until = time.thread_time() + burn
    while time.thread_time() < until:
        pass
    time.sleep(sleep)
"""


KNOWN = """
import random, sys, time
draw, end = random.Random(5), time.monotonic() + float(sys.argv[1])
print("begun", file=sys.stderr, flush=True)
while time.monotonic() < end:
    run, sleep = draw.expovariate(1 / 0.002), draw.uniform(0.004, 0.012)
    until = time.thread_time() + run
    while time.thread_time() < until:
        pass
    time.sleep(sleep)
"""


def known(seconds: float) -> list[str]:
    """A process whose work is drawn: exponential bursts of 2 ms, uniform sleeps of 4 to 12 ms."""
    return [sys.executable, "-S", "-c", KNOWN, str(seconds)]


def known_truth(bursts: int) -> tuple[Histogram, Histogram]:
    """What `known` draws first: its bursts and its sleeps."""
    draw = random.Random(5)
    drawn = [(draw.expovariate(1 / 2e6), draw.uniform(4e6, 12e6)) for _ in range(bursts)]
    return Histogram.of(int(run) for run, _ in drawn), Histogram.of(int(s) for _, s in drawn)


def burner(burn_s: float, sleep_s: float, seconds: float) -> list[str]:
    """A process that uses so much cpu time between sleeps."""
    return [sys.executable, "-S", "-c", BURNER, str(burn_s), str(sleep_s), str(seconds)]


def histogram(draw: Callable[[], float], samples: int = SAMPLES) -> Histogram:
    return Histogram.of(max(1, int(draw())) for _ in range(samples))


def group(
    name: str = "work", tasks: int = 4, bursts: Histogram | None = None,
    sleeps: Histogram | None = None, seconds: float = 10.0, **more: object,
) -> GroupProfile:
    """By default 300 us of work after 5 ms of sleep, exponential, as often as that makes it."""
    draw = random.Random(7)
    bursts = bursts or histogram(lambda: draw.expovariate(1 / 300e3))
    sleeps = sleeps or histogram(lambda: draw.expovariate(1 / 5e6))
    made = GroupProfile(
        name, name, tasks, 0, bursts.sum / 1e9 / seconds, sleeps.count / seconds,
        sleeps.count / seconds, 0.0, bursts, sleeps, Histogram.of([20_000] * sleeps.count),
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def profile(*groups: GroupProfile, **more: object) -> Profile:
    made = Profile(
        "bpf", "the whole machine", (("bcc", "there is none"),), 10.0, "6.18.0", 4,
        Machine(1.5, 0.2, 0.0, 1000.0, 10.0, Histogram.of([20_000, 30_000])),
        groups or (group(),), (),
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]
