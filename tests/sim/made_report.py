"""A report without a simulator: figures drawn at random, traces made by hand."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from fractions import Fraction

from schedc.prove.result import Bound
from schedc.sim.compare import compare
from schedc.sim.machine import machine
from schedc.sim.results import Group, RunResult
from schedc.sim.run import Report, Run, Void
from schedc.sim.scenario import Arm, Options, Scenario
from schedc.source import Span
from schedc.vm.verdict import ClassStats
from schedc.workload.histogram import Histogram
from schedc.workload.registry import find, settings
from schedc.workload.results import Result
from tests.sim.made_trace import busy

MS = 1_000_000


def bound(cls: str, ms: int) -> Bound:
    return Bound(cls, cls, "vtime", Fraction(ms * MS), Fraction(MS), "slice + (N − 1) · slice",
                 30_000 * MS, Span(0, 1))  # fmt: skip


def result(arm: str, seed: int, scale: float, classes: int, groups: Sequence[str]) -> RunResult:
    draw = random.Random(f"{arm} {seed}")
    wakeups = Histogram.of(int(draw.lognormvariate(10.5, 1.2) * scale) for _ in range(3000))
    requests = Histogram.of(int(draw.lognormvariate(13, 0.6) * scale) for _ in range(3000))
    values = {"throughput": 900 / scale**0.3 + draw.random(), "background": 3.1 + draw.random()}
    system = {"longest_wait": 40e6 * scale, "utilisation": 0.93, "fairness": 0.98,
              "context_switches": 48_000.0 + seed, "preemptions": 1200.0 * scale,
              "migrations": 900.0, "idle_wakeups": 12_000.0}  # fmt: skip
    stats = tuple(
        ClassStats(10, 1, 10, 2, 5 * MS, 3 * MS, int((2 + 9 * number) * MS * scale), ())
        for number in range(classes)
    )
    return RunResult(
        arm, seed, 2_000 * MS, 400_000, None,
        Result(values, {"wakeup": wakeups, "request": requests}), "", system, wakeups,
        tuple(Group(name, 4, 800 * MS, int((3 + number) * MS * scale), 90 * MS, 4000)
              for number, name in enumerate(groups)),
        stats, (),
    )  # fmt: skip


def made_report(
    names: Sequence[str] = ("interactive", "eevdf", "fair"),
    runs: int = 6,
    cpus: int = 8,
    groups: tuple[str, ...] = ("messenger", "worker", "hog"),
    void: str = "",
    steps: int = 4000,
) -> Report:
    """The first arm is better; `void`: the reason why the last arm's first run doesn't count."""
    workload, _, _ = find("wakeup")
    assert workload is not None
    chosen, _ = settings(workload, [])
    arms = tuple(
        Arm(name, built_in="" if number == 0 else name,
            classes=("urgent", "rest") if number == 0 else (),
            bounds=(bound("urgent", 4), bound("rest", 20)) if number == 0 else (), contenders=8)
        for number, name in enumerate(names)
    )  # fmt: skip
    made = []
    for pair in range(runs):
        for number, arm in enumerate(arms):
            lost = bool(void) and arm is arms[-1] and pair == 0
            made.append(
                Run(
                    arm.name, pair, pair + 1,
                    result(arm.name, pair + 1, (0.5, 1.0, 0.93)[number % 3], len(arm.classes),
                           groups),
                    Void("E0906", void) if lost else None, 0.1,
                    busy(cpus, 7 + number, steps, groups) if pair == 0 else b"",
                )
            )  # fmt: skip
    results = {
        arm.name: {run.pair: run.result for run in made
                   if run.arm == arm.name and run.counts and run.result is not None}
        for arm in arms
    }  # fmt: skip
    return Report(
        arms, Scenario(workload, chosen, machine(flags={"cpus": cpus})), Options(runs=runs),
        tuple(made), compare(arms, results, workload),
    )  # fmt: skip


def renamed(report: Report, text: str) -> Report:
    """The same, with the workload called and described by `text`."""
    workload = dataclasses.replace(report.scenario.workload, name=text, description=text)
    scenario = dataclasses.replace(report.scenario, workload=workload)
    return dataclasses.replace(report, scenario=scenario)
