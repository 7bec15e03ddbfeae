"""Names of a workload looked up, and waits that nobody ends.

Input: a workload as read. Output: diagnostics in `findings`. Invariant: afterwards (if it reported
nothing) every reference in the workload has a target and every wait has a waker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from schedc.workload.metrics import METRICS
from schedc.workload.model import (
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
MEASURES = {metric.histogram: metric for metric in METRICS.values()}
"""What phases can measure: the histograms that metrics are read from; "" measures nothing."""


def check_references(workload: Workload, findings: Findings) -> None:
    """Report every name that stands for nothing, and every wait that can't end."""
    for name, channel in workload.channels.items():
        if channel.per and channel.per not in workload.groups:
            _unknown(findings, ("channels", name, "per"), "group", channel.per, workload.groups)
    for group in workload.groups.values():
        _check_group(workload, group, findings)
    _check_commands(workload, findings)
    _check_waits(workload, findings)


def _unknown(
    findings: Findings, path: tuple[str | int, ...], what: str, name: str,
    known: Mapping[str, object],
) -> None:
    findings.report("E1206", f"no {what} is called `{name[:40]}`", path, help=near(name, known))


def _check_group(workload: Workload, group: Group, findings: Findings) -> None:
    path: tuple[str | int, ...] = ("groups", group.name)
    if group.per not in ("", "cpu") and group.per not in workload.groups:
        _unknown(findings, (*path, "per"), "group", group.per, workload.groups)
    if group.per == group.name:
        findings.report("E1206", f"`{group.name}` can't belong to itself", (*path, "per"))
    for key, value in (("count", group.count), ("loop", group.loop)):
        if isinstance(value, Ref) and value.param not in workload.params:
            _unknown(findings, (*path, key), "parameter", value.param, workload.params)
    for index, phase in enumerate(group.phases):
        _check_phase(workload, phase, (*path, "phases", index), findings)


def _check_phase(
    workload: Workload, phase: Phase, path: tuple[str | int, ...], findings: Findings
) -> None:
    for ref in refs(phase):
        if ref.param not in workload.params:
            _unknown(findings, path, "parameter", ref.param, workload.params)
    match phase:
        case Wait(channel=channel) | Wake(channel=channel) if channel not in workload.channels:
            _unknown(findings, (*path, "on"), "channel", channel, workload.channels)
        case Fork(group=target) if target not in workload.groups:
            _unknown(findings, (*path, "group"), "group", target, workload.groups)
        case Wait(measure=measure) | Mark(measure=measure) if measure not in MEASURES:
            _unknown(findings, (*path, "measure"), "measure", measure, MEASURES)
        case Fork(group=target) if workload.groups[target].start != "forked":
            findings.report(
                "E1210", f"`{target}` runs from the beginning, so it can't be forked", path,
                help=f'write start = "forked" in [groups.{target}]',
            )
        case _:
            pass


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
        case _:
            pass
    yield from (value for value in numbers if isinstance(value, Ref))


def _check_commands(workload: Workload, findings: Findings) -> None:
    measured = [command for command in workload.commands if command.parser]
    if len(measured) != 1:
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
        waited = False
        for index, phase in enumerate(group.phases):
            where = ("groups", group.name, "phases", index)
            match phase:
                case Wait(channel=channel):
                    waited = True
                    if channel not in woken:
                        findings.report("E1210", f"nothing wakes `{channel}`", where,
                                        help=f'add {{ do = "wake", on = "{channel}" }} somewhere')
                case Lock(name=name) if name not in unlocked:
                    findings.report("E1210", f"nothing unlocks `{name}`", where)
                case Mark() if not waited:
                    findings.report("E1210", "a mark measures from the post that a `wait` took; "
                                    "there is none before it", where)
                case _:
                    pass
