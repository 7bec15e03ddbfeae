"""Names of a workload looked up, and waits that nobody ends.

Input: a workload as read. Output: diagnostics in `findings`. Invariant: afterwards (if it reported
nothing) every reference in the workload has a target and every wait has a waker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from schedc.workload.metrics import COUNTERS, FED_BY_ROLE, MARKS, MEASURES, METRICS
from schedc.workload.model import (
    Barrier,
    Count,
    Empirical,
    Exponential,
    Fixed,
    Fork,
    Group,
    Lock,
    LogNormal,
    Mark,
    Phase,
    Ref,
    Run,
    Sleep,
    Stamp,
    Uniform,
    Unlock,
    Wait,
    Wake,
    Workload,
)
from schedc.workload.results import PARSERS
from schedc.workload.table import Findings, near

PLACEHOLDER = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
SUPPLIED = ("seed", "cpus", "out")
"""Placeholders that every run fills in: its seed, the guest's cpus, the result's file."""
TIME_UNITS = ("ns", "us", "ms", "s")


def check_references(workload: Workload, findings: Findings) -> None:
    """Report every name that stands for nothing, and every wait that can't end."""
    for name, channel in workload.channels.items():
        if channel.per and channel.per not in workload.groups:
            _unknown(findings, ("channels", name, "per"), "group", channel.per, workload.groups)
        _check_number(workload, channel.capacity, ("channels", name, "capacity"), findings)
    for group in workload.groups.values():
        _check_group(workload, group, findings)
    _check_commands(workload, findings)
    _check_waits(workload, findings)
    _check_metrics(workload, findings)


def _unknown(
    findings: Findings, path: tuple[str | int, ...], what: str, name: str,
    known: Mapping[str, object] | tuple[str, ...],
) -> None:
    findings.report("E1206", f"no {what} is called `{name[:40]}`", path, help=near(name, known))


def _check_group(workload: Workload, group: Group, findings: Findings) -> None:
    path: tuple[str | int, ...] = ("groups", group.name)
    if group.per not in ("", "cpu") and group.per not in workload.groups:
        _unknown(findings, (*path, "per"), "group", group.per, workload.groups)
    if group.per == group.name:
        findings.report("E1206", f"`{group.name}` can't belong to itself", (*path, "per"))
    for key, value in (("count", group.count), ("loop", group.loop), ("weight", group.weight),
                       ("nice", group.nice), ("delay", group.delay)):
        _check_number(workload, value, (*path, key), findings)
    for index, phase in enumerate(group.phases):
        _check_phase(workload, phase, (*path, "phases", index), findings)
    if isinstance(group.comm, Ref):
        _check_comm(workload, group.comm, (*path, "comm"), findings)


def _check_comm(
    workload: Workload, comm: Ref, path: tuple[str | int, ...], findings: Findings
) -> None:
    param = workload.params.get(comm.param)
    if param is None:
        _unknown(findings, path, "parameter", comm.param, workload.params)
    elif param.kind != "choice" or not all(
        1 <= len(name.encode()) <= 15 and name.isprintable() for name in param.choices
    ):
        findings.report("E1204", f"`{comm.param}` must be a choice of names", path)


def _check_phase(
    workload: Workload, phase: Phase, path: tuple[str | int, ...], findings: Findings
) -> None:
    for ref in refs(phase):
        _check_number(workload, ref, path, findings)
    match phase:
        case Wait(channel=channel) | Wake(channel=channel) if channel not in workload.channels:
            _unknown(findings, (*path, "on"), "channel", channel, workload.channels)
        case Fork(group=target) if target not in workload.groups:
            _unknown(findings, (*path, "group"), "group", target, workload.groups)
        case Wait(measure=measure) | Sleep(measure=measure) if measure not in ("", *MEASURES):
            _unknown(findings, (*path, "measure"), "measure", measure, MEASURES)
        case Mark(measure=measure) if measure not in MARKS:
            _unknown(findings, (*path, "measure"), "measure", measure, MARKS)
        case Count(what=what) if what not in COUNTERS:
            _unknown(findings, (*path, "what"), "counter", what, COUNTERS)
        case Fork(group=target) if workload.groups[target].start != "forked":
            findings.report(
                "E1210", f"`{target}` runs from the beginning, so it can't be forked", path,
                help=f'write start = "forked" in [groups.{target}]',
            )
        case _:
            pass


def _check_number(
    workload: Workload, value: object, path: tuple[str | int, ...], findings: Findings
) -> None:
    """A reference must be to a parameter that is a number."""
    if not isinstance(value, Ref):
        return
    param = workload.params.get(value.param)
    if param is None:
        _unknown(findings, path, "parameter", value.param, workload.params)
    elif param.kind == "choice":
        findings.report("E1204", f"`{value.param}` is a choice, not a number", path)


def refs(phase: Phase) -> Iterator[Ref]:
    """The parameters that a phase's numbers come from."""
    numbers: tuple[object, ...] = ()
    match phase:
        case Run(time=time) | Sleep(time=time):
            match time:
                case Fixed(value=value) | Exponential(mean=value):
                    numbers = (value,)
                case Uniform(mean=first, spread=second) | LogNormal(median=first, sigma=second):
                    numbers = (first, second)
                case Empirical(values=values):
                    numbers = values
        case Wait(count=count) | Wake(count=count) | Fork(count=count):
            numbers = (count,)
        case Mark(deadline=deadline):
            numbers = (deadline,)
        case _:
            pass
    yield from (value for value in numbers if isinstance(value, Ref))


def _check_commands(workload: Workload, findings: Findings) -> None:
    measured = [command for command in workload.commands if command.parser]
    if workload.commands and len(measured) != 1:
        findings.report(
            "E1203", f"{len(measured)} commands have a parser; one must be measured",
            ("command", 0),
            help="write parser = \"…\" in the [[command]] whose output is read",
        )
    for index, command in enumerate(workload.commands):
        path: tuple[str | int, ...] = ("command", index)
        if command.parser and command.parser not in PARSERS:
            _unknown(findings, (*path, "parser"), "parser", command.parser, PARSERS)
        for arg in command.args:
            key = "optional" if arg.when else "args"
            if arg.when and arg.when not in workload.params:
                _unknown(findings, (*path, key), "parameter", arg.when, workload.params)
            for name, unit in PLACEHOLDER.findall(arg.text):
                _check_placeholder(workload, name, unit, (*path, key), findings)


def _check_placeholder(
    workload: Workload, name: str, unit: str, path: tuple[str | int, ...], findings: Findings
) -> None:
    if name in SUPPLIED and not unit:
        return
    param = workload.params.get(name)
    if param is None:
        _unknown(findings, path, "parameter", name, workload.params)
    elif (param.kind == "time") != bool(unit):
        fix = f"{{{name}:us}}" if param.kind == "time" else f"{{{name}}}"
        findings.report("E1204", f"`{name}` is a {param.kind}", path, help=f"write {fix}")
    elif unit and unit not in TIME_UNITS:
        findings.report("E1204", f"`{unit[:40]}` is no unit of time", path,
                        help="use ns, us, ms or s")


def _check_waits(workload: Workload, findings: Findings) -> None:
    """A channel that is waited on and never woken, locks that only one side uses."""
    phases = [phase for group in workload.groups.values() for phase in group.phases]
    woken = {phase.channel for phase in phases if isinstance(phase, Wake)}
    forked = {phase.group for phase in phases if isinstance(phase, Fork)}
    unlocked = {phase.name for phase in phases if isinstance(phase, Unlock)}
    for group in workload.groups.values():
        if group.start == "forked" and group.name not in forked:
            path = ("groups", group.name, "start")
            findings.report("E1210", f"nothing forks `{group.name}`", path)
        stamped = False
        for index, phase in enumerate(group.phases):
            where = ("groups", group.name, "phases", index)
            match phase:
                case Wait(channel=channel):
                    stamped = True
                    if channel not in woken:
                        findings.report("E1210", f"nothing wakes `{channel}`", where,
                                        help=f'add {{ do = "wake", on = "{channel}" }} somewhere')
                case Lock(name=name) if name not in unlocked:
                    findings.report("E1210", f"nothing unlocks `{name}`", where)
                case Stamp() | Sleep(schedule=True):
                    stamped = True
                case Mark() if not stamped:
                    findings.report(
                        "E1210", "a mark measures from the post that a `wait` took, from the "
                        "schedule of a `sleep`, or from a `stamp`; there is none before it", where,
                    )
                case Barrier() if group.start == "forked":
                    findings.report("E1210", "how many forked tasks will come to a barrier isn't "
                                    "known", where, help="use a channel")
                case _:
                    pass


def _check_metrics(workload: Workload, findings: Findings) -> None:
    """Without commands, each metric must come from a phase or a role."""
    if workload.commands:
        return
    fed = measured_by(workload)
    for name in workload.metrics:
        metric = METRICS[name]
        if (metric.histogram or name) not in fed:
            findings.report("E1212", f"nothing measures `{name}`", ("metrics",),
                            help=_remedy(metric.histogram or name))


def measured_by(workload: Workload) -> set[str]:
    """The values, and the histograms, that a plan of the workload measures."""
    fed: set[str] = set()
    for group in workload.groups.values():
        fed |= set(FED_BY_ROLE.get(group.role, ()))
        fed |= {"child_life"} if group.start == "forked" else set()
        for phase in group.phases:
            match phase:
                case Wait(measure=measure) | Sleep(measure=measure) if measure:
                    fed.add(measure)
                case Mark(measure=measure, deadline=deadline):
                    fed |= {measure, "throughput"} | ({"missed"} if deadline else set())
                case Count(what=what):
                    fed.add(what)
                case _:
                    pass
    return fed


def _remedy(name: str) -> str | None:
    if name in MEASURES:
        return f'write measure = "{name}" in a `wait` or `sleep`'
    if name in MARKS:
        return f'add {{ do = "mark", measure = "{name}" }} to a group'
    if name in COUNTERS:
        return f'add {{ do = "count", what = "{name}" }} to a group'
    if name == "missed":
        return "give a `mark` a `deadline`"
    roles = [role for role, metrics in FED_BY_ROLE.items() if name in metrics]
    return f'write role = "{roles[0]}" in a group' if roles else None
