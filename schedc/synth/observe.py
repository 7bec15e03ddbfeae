"""The observation agent: what is this work?

Input: a scenario. Output: an `Observed` message: facts with numbers, from one simulated run under
the default scheduler and from the workload's description; where the workload is made of a profile,
the facts are the profile's, and the run tells how well the simulator repeats it. Invariant: names
of groups and tasks come out as data: at most 15 bytes of letters, digits and `_.:-`, anything else
as an opaque number; the fingerprint of the same kind of work is the same, whatever its names and
exact figures.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from schedc.sim.results import Group, RunResult
from schedc.sim.run import simulate
from schedc.sim.scenario import Arm, Options, Scenario
from schedc.synth.messages import Observed, Profiled, Trait
from schedc.workload.model import Ref

_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,15}", re.ASCII)


def observe(scenario: Scenario, seed: int, profiled: Profiled | None = None) -> Observed:
    """Watch the work for one run. Raises `SimError` if it can't be simulated at all."""
    report = simulate(
        [Arm("eevdf", built_in="eevdf")], scenario, Options(runs=1, first_seed=seed)
    )
    result = next((run.result for run in report.runs if run.result is not None), None)
    if profiled is not None:
        traits = (*profiled.traits, *_repeated(result, profiled))
        return Observed(
            scenario.workload.name, profiled.fingerprint, traits, profiled.overload
        )
    traits = tuple(_traits(result, scenario)) if result is not None else ()
    overload = next((one.value for one in traits if one.subject == "machine"), 0.0)
    return Observed(
        scenario.workload.name, fingerprint(scenario, result), traits, overload
    )


def named(name: str, number: int) -> str:
    """A name that may stand in a prompt: itself if it is plain, else a number."""
    return name if _PLAIN.fullmatch(name) else f"group{number}"


def _traits(result: RunResult, scenario: Scenario) -> Iterator[Trait]:
    cpus = len(scenario.machine.cpus)
    span = max(result.ended_ns, 1)
    busy = sum(group.cpu_ns for group in result.groups) / span
    waited = sum(group.wait_sum_ns for group in result.groups) / span
    yield Trait(
        "machine",
        f"{cpus} cpus, {busy:.1f} of them busy; on average {waited:.1f} tasks wait for one",
        (busy + waited) / cpus, "",
    )  # fmt: skip
    for number, group in enumerate(result.groups):
        if group.runs:
            yield _trait(named(group.name, number), _comm(group.name, scenario), group, span)


def _repeated(result: RunResult | None, profiled: Profiled) -> Iterator[Trait]:
    """How busy the simulator's machine is with the profile's work: far from the profile's own
    figure, what is found there may not hold."""
    if result is None:
        return
    busy = sum(group.cpu_ns for group in result.groups) / max(result.ended_ns, 1)
    yield Trait(
        "simulator",
        f"in the simulator this work keeps {busy:.2f} cpus busy, "
        f"in the profile {profiled.busy:.2f}",
        busy, "cpus",
    )  # fmt: skip


def _comm(group: str, scenario: Scenario) -> str:
    """The name of a group's tasks, empty if it isn't plain."""
    found = scenario.workload.groups.get(group)
    comm: object = group
    if found is not None:
        comm = scenario.settings[found.comm.param] if isinstance(found.comm, Ref) else found.comm
    return comm if isinstance(comm, str) and _PLAIN.fullmatch(comm) else ""


def _trait(name: str, comm: str, group: Group, span: int) -> Trait:
    """One group: how many, how often each gets a cpu, for how long."""
    tasks = max(group.tasks, 1)
    rate = group.runs / tasks / span * 1e9
    burst = group.cpu_ns / group.runs
    share = group.cpu_ns / span / tasks
    called = f" (comm {comm})" if comm not in ("", name) else ""
    text = (
        f"{tasks} {name}{called}: each runs {rate:.0f} times a second for {time(burst)}, "
        f"{100 * share:.0f}% of a cpu; waited up to {time(group.wait_max_ns)}"
    )
    return Trait(name, text, burst, "ns", comm, share)


def time(ns: float) -> str:
    """A time for people."""
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def fingerprint(scenario: Scenario, result: RunResult | None) -> str:
    """What kind of work it is: metrics, cpus, and each group's size, burst and share by powers of
    two (so that a little more or less of it is the same kind)."""
    parts = [",".join(sorted(scenario.workload.metrics)), str(len(scenario.machine.cpus))]
    if result is not None:
        shapes = sorted(_shape(one, result.ended_ns) for one in result.groups)
        parts += ["/".join(map(str, shape)) for shape in shapes]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _shape(group: Group, span: int) -> tuple[int, int, int]:
    burst = group.cpu_ns // max(group.runs, 1)
    share = 1000 * group.cpu_ns // max(span * max(group.tasks, 1), 1)
    return group.tasks.bit_length(), burst.bit_length() // 2, share.bit_length()
