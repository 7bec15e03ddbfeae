"""simulate, vm_trial.

Input: a policy, a workload, whom to compare with. Output: metrics with intervals and verdicts.
Invariant: the figures are those of `schedc sim` and `schedc vm run` for the same arguments; a
policy without a proof is tried all the same, and the result says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

from schedc.diagnostics.model import Diagnostic, diagnostic
from schedc.mcp import arguments as take, quote, results as give
from schedc.mcp.policies import find
from schedc.mcp.refusal import Refused, rendered, told
from schedc.mcp.setup import Setup
from schedc.mcp.sources import Read, proved, read, settings
from schedc.mcp.workloads import chosen
from schedc.pipeline import generate
from schedc.prove.result import Verdict
from schedc.sim.scenario import BUILT_IN, Arm, Options, Scenario
from schedc.toolchain import compile_c, find_compiler
from schedc.toolchain.compile import line_name

if TYPE_CHECKING:
    from schedc.measure.paired import Comparison
    from schedc.sim.run import Report
    from schedc.vm.loadable import Policy as Loadable

_WIDTH = 160


def simulate(arguments: take.Simulate, setup: Setup) -> give.Simulated:
    from schedc.sim import machine, show
    from schedc.sim.run import simulate as run

    work = chosen(arguments, setup)
    found = read(arguments)
    first = _arm(found, arguments.set)
    arms = [first]
    for name in arguments.against:
        arms.append(_named(_other(name), [one.name for one in arms]))
    with told():
        made = machine.machine("server", _shape(arguments, work.cpus))
        scenario = Scenario(work.workload, work.settings, made)
        report = run(arms, scenario, Options(arguments.runs, arguments.seed))
    said = show.diagnostics(report)
    if not report.of(first.name):
        raise Refused(*said, sources=found.sources)
    is_proved = bool(first.bounds)
    notes = said if is_proved else (*said, _unproven(first.name))
    rows = [
        _row(one.other, row.metric.unit, row.comparison, row.verdict)
        for one in report.comparisons
        for row in one.rows
    ]
    text = "\n\n".join(part for part in (_words(report), rendered(notes, None)) if part)
    return give.Simulated(
        policy=first.name, workload=work.workload.name, machine=scenario.machine.describe(),
        runs=len(report.runs), void=len(report.void_runs), rows=rows, proved=is_proved, text=text,
    )  # fmt: skip


def _shape(arguments: take.Simulate, profiled: int | None) -> dict[str, int]:
    """What is asked of the machine. A profile doesn't say which cpus share a core or a cache, so
    each is a core of its own."""
    shape = {} if profiled is None else {"cpus": profiled, "llcs": 1, "smt": 1}
    asked = {name: getattr(arguments, name) for name in ("cpus", "llcs", "smt", "nodes")}
    return shape | {name: value for name, value in asked.items() if value is not None}


def vm_trial(arguments: take.VmTrial, setup: Setup) -> give.Tried:
    """Only where the server was started with `--allow-vm`."""
    from schedc.vm.check import check_object
    from schedc.vm.kernels import Kernels
    from schedc.vm.run import Options as VmOptions, run_workload
    from schedc.vm.run_show import diagnostics
    from schedc.vm.show import diagnostics_of, verdict_text
    from schedc.vm.store import Store

    found = read(arguments)
    policy = _loadable(found, arguments.set)
    with told():
        if not arguments.chosen:
            kernel = Kernels(Store.default()).resolve(arguments.kernel)
            verdict = check_object(
                policy.object, kernel, settings=policy.settings, c_text=policy.c_text
            )
            if wrong := diagnostics_of(verdict, found.source):
                raise Refused(*wrong, sources=found.sources)
            return give.Tried(policy=policy.name, kernel=verdict.kernel, void=0, rows=[],
                              text=quote.block(verdict_text(verdict), 4000))  # fmt: skip
        work = chosen(arguments, setup)
        options = VmOptions(arguments.kernel, cpus=arguments.cpus, pairs=arguments.runs)
        report = run_workload(policy, None, work.workload, work.settings, options)
    said = diagnostics(report, found.source)
    if report.scheduler_failed:
        raise Refused(*said, sources=found.sources)
    rows = [
        _row(report.base, _unit(one.metric), one, one.finding.value) for one in report.comparisons
    ]
    lines = [f"{one.metric}: {one.ratio} of {one.against}'s: {one.verdict}" for one in rows]
    return give.Tried(
        policy=policy.name, kernel=report.kernel, void=len(report.void_runs), rows=rows,
        text="\n".join([f"on {report.kernel}", *lines, rendered(said, found.sources)]).rstrip(),
    )


def _other(name: str) -> Arm:
    if name in BUILT_IN:
        return Arm(name, built_in=name)
    with told():
        entry = find(name)
    return _arm(read(take.OfPolicy(policy=f"{entry.origin}/{entry.name}")), {})


def _arm(found: Read, set_: dict[str, str]) -> Arm:
    policy, analysis = found.policy, found.analysis
    arm = Arm(
        policy.name, c_text=generate(policy, found.source, sources=analysis.sources),
        settings=settings(policy, set_).text(),
        classes=tuple(one.name for one in policy.classes),
        queues=tuple(one.name for one in policy.queues), source=found.source,
        files={
            **{line_name(f"{name}.sched"): base.text for name, base in analysis.sources.items()},
            line_name(found.source.name): found.source.text,
        },
    )  # fmt: skip
    proof = proved(found)
    if proof.verdict is not Verdict.proved:
        return arm
    return replace(arm, bounds=proof.bounds, contenders=proof.runnable)


def _named(arm: Arm, taken: Iterable[str]) -> Arm:
    """An arm under a name that no other has."""
    name, number = arm.name, 2
    while name in taken:
        name, number = f"{arm.name} ({number})", number + 1
    return replace(arm, name=name)


def _loadable(found: Read, set_: dict[str, str]) -> Loadable:
    """An object for the machine alone: it is not marked as proved."""
    from schedc.vm.loadable import Policy as Loadable

    policy = found.policy
    compiler = find_compiler()
    if isinstance(compiler, Diagnostic):
        raise Refused(compiler)
    text = generate(policy, found.source, sources=found.analysis.sources)
    done = compile_c(text, compiler, source=found.source, bases=found.analysis.sources)
    if done.object is None:
        raise Refused(*done.diagnostics, sources=found.sources)
    return Loadable(
        policy.name, done.object, settings(policy, set_).text(),
        tuple(one.name for one in policy.classes), tuple(one.name for one in policy.queues),
        found.source, text,
    )  # fmt: skip


def _row(against: str, unit: str, one: Comparison, verdict: str) -> give.Row:
    ratio = one.ratio
    return give.Row(
        against=against, metric=one.metric, unit=unit,
        policy=one.policy.median if one.policy else None,
        base=one.base.median if one.base else None,
        ratio=ratio.median if ratio else None, low=ratio.low if ratio else None,
        high=ratio.high if ratio else None, verdict=verdict,
    )  # fmt: skip


def _unit(metric: str) -> str:
    from schedc.workload.metrics import METRICS

    return METRICS[metric].unit


def _words(report: Report) -> str:
    """As `schedc sim` prints it."""
    from rich.console import Console

    from schedc.sim import show

    out = Console(file=StringIO(), width=_WIDTH, no_color=True, highlight=False)
    for part in show.parts(report):
        if isinstance(part, str):
            out.print(part, markup=False, soft_wrap=True)
        else:
            part.box = None  # rules are nothing but tokens to a model
            out.print(part)
    assert isinstance(out.file, StringIO)
    return quote.block(out.file.getvalue().rstrip("\n"), 20_000)


def _unproven(name: str) -> Diagnostic:
    return diagnostic(
        "N0900", f"`{name}` is simulated without a proof", None, notes=["the tool prove says why"]
    )
