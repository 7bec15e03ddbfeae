"""Profiles taken inside a guest by both that trace, of a load whose distributions are known.

On the instruction clock and one cpu, a busy host changes nothing: bursts are what the load's own
work is. (Several cpus would take turns there, and each one's work would seem to last longer.)
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from schedc.profile import file
from schedc.profile.distance import ks
from schedc.profile.graph import drivers
from schedc.profile.model import GroupProfile, Histogram, Profile
from schedc.profile.object import make_object
from schedc.profile.simulated import profile_of
from schedc.profile.workload import workload_toml
from schedc.sim.machine import machine
from schedc.sim.run import simulate
from schedc.sim.scenario import Arm, Options, Scenario
from schedc.sim.trace import read_trace
from schedc.source import Source
from schedc.vm.job import ImageKind, Job
from schedc.vm.machine import Machine
from schedc.vm.run import ICOUNT_SPIN_RATE
from schedc.workload.plan import plan_text
from schedc.workload.read import read_workload
from schedc.workload.registry import settings
from tests.vm import inside

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

LARGEST = 0.1
"""Of the two-sample Kolmogorov-Smirnov distances."""

LOAD = """
format = 1
name = "known"
description = "tasks with known distributions, and a pair of which one wakes the other"
metrics = ["wakeup_p50", "throughput"]
[params.duration]
default = "3s"
doc = "measured time"
[params.warmup]
default = "100ms"
doc = "time before it"
[channels.ask]
[groups.expo]
count = 1
comm = "gen-expo"
loop = "forever"
phases = [
  { do = "sleep", time = { dist = "exponential", mean = "10ms" }, measure = "wakeup" },
  { do = "run", time = { dist = "exponential", mean = "2ms" } },
  { do = "count" },
]
[groups.logn]
count = 1
comm = "gen-logn"
loop = "forever"
phases = [
  { do = "sleep", time = { dist = "uniform", mean = "6ms", spread = "60%" } },
  { do = "run", time = { dist = "lognormal", median = "1ms", sigma = "60%" } },
]
[groups.front]
count = 1
comm = "front"
loop = "forever"
phases = [
  { do = "sleep", time = { dist = "uniform", mean = "12ms", spread = "40%" } },
  { do = "run", time = { dist = "exponential", mean = "800us" } },
  { do = "wake", on = "ask" },
]
[groups.back]
count = 1
comm = "back"
loop = "forever"
phases = [
  { do = "wait", on = "ask" },
  { do = "run", time = { dist = "uniform", mean = "1500us", spread = "50%" } },
]
"""

_DRAW = random.Random(5)
TRUTH: dict[str, tuple[Callable[[], float], Callable[[], float] | None]] = {
    "gen-expo": (lambda: _DRAW.expovariate(1 / 2e6), lambda: _DRAW.expovariate(1 / 1e7)),
    "gen-logn": (
        lambda: 1e6 * math.exp(0.6 * _DRAW.gauss(0, 1)), lambda: _DRAW.uniform(2.4e6, 9.6e6)
    ),
    "front": (lambda: _DRAW.expovariate(1 / 8e5), lambda: _DRAW.uniform(7.2e6, 16.8e6)),
    "back": (lambda: _DRAW.uniform(0.75e6, 2.25e6), None),
}  # fmt: skip


def plan() -> bytes:
    workload, found = read_workload(Source.from_text("known.toml", LOAD))
    assert workload is not None and not found
    values, _ = settings(workload, [])
    return plan_text(workload, values, 7, 1).encode()


def watched(collector: str) -> Profile:
    """The load, watched by our own object or by bcc, which compiles in the guest for 10 s of its
    time: a minute and a half of a host that has nothing else to do."""
    image: ImageKind = "bcc" if collector == "bcc" else "python"
    shape = inside.shape(image, "latest", clock="icount", cpus=1)
    script = (
        f"schedc profile --object p.o --collector {collector} -o out/p.json -- "
        f"/bin/wl-phases --spin-rate {ICOUNT_SPIN_RATE} < plan > out/page 2> out/err"
    )
    with Machine.boot(shape) as machine_:
        done = machine_.run(Job({"p.o": make_object(), "plan": plan()}, script), 60.0)
    assert done.status == 0, done.out.get("err", b"")[-2000:]
    profile = file.parse(done.out["p.json"])
    assert profile.collector == collector
    return profile


@pytest.fixture(scope="module")
def by_bpf() -> Profile:
    return watched("bpf")


@pytest.fixture(scope="module")
def by_bcc() -> Profile:
    return watched("bcc")


@pytest.fixture(params=["bpf", "bcc"])
def profiled(request: pytest.FixtureRequest) -> Profile:
    found: Profile = request.getfixturevalue(f"by_{request.param}")
    return found


def of(profiled: Profile, comm: str) -> GroupProfile:
    return next(one for one in profiled.groups if one.comm == comm)


def test_bursts_and_sleeps_are_those_of_the_load(profiled: Profile) -> None:
    for comm, (run, sleep) in TRUTH.items():
        group = of(profiled, comm)
        assert group.bursts.count >= 100 and not group.bursts.estimated
        true = Histogram.of(max(1, int(run())) for _ in range(100_000))
        assert ks(group.bursts.counts, true.counts) <= LARGEST, comm
        if sleep is not None:
            true = Histogram.of(max(1, int(sleep())) for _ in range(100_000))
            assert ks(group.sleeps.counts, true.counts) <= LARGEST, comm
    assert profiled.dropped == 0


def test_who_wakes_whom_is_known(profiled: Profile) -> None:
    found = drivers(profiled, profiled.groups)
    assert (found["back"].name, found["back"].each) == ("front", 1)
    assert "gen-expo" not in found and "front" not in found


def test_the_simulated_workload_is_the_profile(profiled: Profile) -> None:
    workload, found = read_workload(Source.from_text("made.toml", workload_toml(profiled)))
    assert workload is not None and not found
    values, _ = settings(workload, ["duration=6s"])
    shape = {"cpus": 1, "llcs": 1, "smt": 1}
    report = simulate(
        [Arm("eevdf", built_in="eevdf")], Scenario(workload, values, machine("server", shape)),
        Options(runs=1, traced=True),
    )  # fmt: skip
    simulated = profile_of(read_trace(report.runs[0].trace))
    for comm in TRUTH:
        one, other = of(profiled, comm), of(simulated, comm)
        assert ks(one.bursts.counts, other.bursts.counts) <= LARGEST, comm
        if comm != "back":  # how long it waits comes out of the work
            assert ks(one.sleeps.counts, other.sleeps.counts) <= LARGEST, comm


def test_both_count_the_same(by_bpf: Profile, by_bcc: Profile) -> None:
    for comm in TRUTH:
        one, other = of(by_bpf, comm), of(by_bcc, comm)
        assert ks(one.bursts.counts, other.bursts.counts) <= LARGEST, comm
        assert ks(one.sleeps.counts, other.sleeps.counts) <= LARGEST, comm
        assert one.share == pytest.approx(other.share, rel=0.1)
