"""A profile becomes a workload, and the simulated run has the profile's bursts and sleeps."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from schedc.profile.distance import ks
from schedc.profile.graph import drivers
from schedc.profile.model import GroupProfile, Histogram, Profile
from schedc.profile.names import is_plain
from schedc.profile.simulated import profile_of
from schedc.profile.workload import workload_toml
from schedc.sim.machine import machine
from schedc.sim.run import simulate
from schedc.sim.scenario import Arm, Options, Scenario
from schedc.sim.trace import read_trace
from schedc.source import Source
from schedc.workload.model import Wait, Wake, Workload
from schedc.workload.read import read_workload
from schedc.workload.registry import settings
from tests.profile.made import group, histogram, profile

LARGEST = 0.1
DRAW = random.Random(11)


def read(text: str) -> Workload:
    workload, found = read_workload(Source.from_text("made.toml", text))
    assert workload is not None and not found, found
    return workload


def simulated(made: Profile, duration: str = "4s") -> Profile:
    workload = read(workload_toml(made))
    values, found = settings(workload, [f"duration={duration}"])
    assert not found
    shape = {"cpus": made.cpus, "llcs": 1, "smt": 1}
    report = simulate(
        [Arm("eevdf", built_in="eevdf")], Scenario(workload, values, machine("server", shape)),
        Options(runs=1, traced=True),
    )  # fmt: skip
    assert report.runs[0].void is None, report.runs[0].void
    return profile_of(read_trace(report.runs[0].trace))


SHAPES = {
    "expo": (lambda: DRAW.expovariate(1 / 300e3), lambda: DRAW.expovariate(1 / 5e6)),
    "lognormal": (lambda: DRAW.lognormvariate(11, 0.8), lambda: DRAW.lognormvariate(15, 0.5)),
    "bimodal": (
        lambda: DRAW.choice([30e3, 2e6]) * DRAW.uniform(0.9, 1.1), lambda: DRAW.uniform(1e6, 9e6)
    ),
    "short": (lambda: 20e3 * DRAW.uniform(0.7, 1.3), lambda: DRAW.expovariate(1 / 1e6)),
}  # fmt: skip


def test_simulated_bursts_and_sleeps_are_the_profiles() -> None:
    made = profile(
        *(group(name, 2, histogram(run), histogram(sleep)) for name, (run, sleep) in SHAPES.items())
    )
    made = replace(made, groups=tuple(_with_rate(one) for one in made.groups))
    found = simulated(made)
    for one in made.groups:
        other = found.group(one.name)
        assert other is not None and other.bursts.count > 300
        assert ks(one.bursts.counts, other.bursts.counts) <= LARGEST, one.name
        assert ks(one.sleeps.counts, other.sleeps.counts) <= LARGEST, one.name
        assert other.wakeups_s == pytest.approx(one.wakeups_s, rel=0.15)
        assert other.share == pytest.approx(one.share, rel=0.2)


def _with_rate(one: GroupProfile) -> GroupProfile:
    """As if the tasks had gone round all the time: what `tasks` of them give."""
    cycle = one.bursts.mean + one.sleeps.mean + one.runq.sum / one.bursts.count
    rate = one.tasks / cycle * 1e9
    factor = rate * 10.0 / one.bursts.count
    scaled = {
        name: Histogram(
            {at: max(1, round(n * factor)) for at, n in getattr(one, name).counts.items()},
            round(getattr(one, name).sum * factor), getattr(one, name).max,
        )
        for name in ("bursts", "sleeps", "runq")
    }  # fmt: skip
    return replace(one, wakeups_s=rate, share=rate * one.bursts.mean / 1e9, **scaled)


def test_tasks_that_only_run_are_a_group_of_their_own() -> None:
    made = profile(group(hogs=2, hog_share=1.5, tasks=6))
    workload = read(workload_toml(made))
    assert {name: one.count for name, one in workload.groups.items()} == {"work": 2, "work_hog": 2}
    assert "background" in workload.metrics
    found = simulated(made, "1s")
    assert sum(one.hogs for one in found.groups) == 2


def test_a_driven_group_waits_for_its_driver() -> None:
    front, back = group("front", 1), group("back", 3)
    made = profile(front, back, wakes=(("front", "back", 8000), ("-", "front", 4000)))
    assert {name: (one.name, one.each) for name, one in drivers(made, made.groups).items()} == {
        "back": ("front", 2)
    }
    workload = read(workload_toml(made))
    assert [one.count for one in workload.groups["front"].phases if isinstance(one, Wake)] == [2]
    assert any(isinstance(one, Wait) for one in workload.groups["back"].phases)
    found = simulated(made, "1s")
    pairs = {(source, to): count for source, to, count in found.wakes}
    assert pairs["front", "back"] > 50


def test_two_that_take_turns_go_round() -> None:
    made = profile(group("ping", 1), group("pong", 1),
                   wakes=(("ping", "pong", 4000), ("pong", "ping", 4000)))  # fmt: skip
    found = simulated(made, "500ms")
    assert all(one.bursts.count > 100 for one in found.groups)


def test_a_ring_of_three_is_not_made_to_wait() -> None:
    names = ("one", "two", "three")
    made = profile(*(group(name, 1) for name in names),
                   wakes=(("one", "two", 4000), ("two", "three", 4000), ("three", "one", 4000)))
    assert drivers(made, made.groups) == {}


def test_tasks_that_live_for_one_burst_keep_their_rate() -> None:
    bursts = histogram(lambda: DRAW.expovariate(1 / 1e6), 2000)
    short = group("child", 2, bursts, Histogram.of([10_000]), born_s=200.0, wakeups_s=0.1)
    found = simulated(profile(replace(short, sleeps=Histogram())))
    assert found.groups[0].bursts.count / found.seconds == pytest.approx(200, rel=0.15)
    assert ks(bursts.counts, found.groups[0].bursts.counts) <= LARGEST


NAMES = st.text(
    st.sampled_from("ABZabz09_.:-"), min_size=1, max_size=15
).filter(is_plain)  # fmt: skip


@given(st.lists(NAMES, min_size=1, max_size=6, unique=True), st.booleans(), st.integers(-20, 19))
def test_any_names_make_a_workload(names: list[str], estimated: bool, nice: int) -> None:
    few = Histogram.of([1000, 0, 10**13], estimated=estimated)
    groups = [group(name, 1, few, few, nice=nice, comm="") for name in names]
    read(workload_toml(profile(*groups)))


def test_a_group_whose_sleeps_were_never_seen_is_a_workload_too() -> None:
    read(workload_toml(profile(replace(group(), bursts=Histogram(), sleeps=Histogram()))))
