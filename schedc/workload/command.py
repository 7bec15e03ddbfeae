"""What a guest runs for a workload: the shell script of one run.

Input: a workload, the settings of its parameters and a seed. Output: a `Plan`. Invariant: the
script contains only text of the shipped or checked TOML and whole numbers, each quoted for the
shell; the measured program's result is in `out/measured` when the script is done. A workload
without commands is run by `wl-phases`, from the plan that the simulator runs too.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from schedc.records import dataclass
from schedc.workload.check import PLACEHOLDER
from schedc.workload.model import CPUS, Arg, Command, Setting, Workload
from schedc.workload.plan import plan_text
from schedc.workload.quantity import UNITS

RESULT = "measured"
"""The file under `out/` that the measured program's parser reads."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run of a workload: a script, and after how many seconds it must be over."""

    script: str
    parser: str
    timeout_s: float


def plan(
    workload: Workload, settings: Mapping[str, Setting], seed: int, spin_rate: int, cpus: int
) -> Plan:
    """The script that runs `workload` once with these settings."""
    if not workload.commands:
        return _phases(workload, settings, seed, spin_rate, cpus)
    numbers = {name: cpus if value == CPUS else value for name, value in settings.items()}
    values = {**numbers, "seed": seed, "cpus": cpus}
    lines = ["#!/bin/sh", "# One run of a workload; the working directory holds out/."]
    measured: list[str] = []
    background = 0
    for command in workload.commands:
        words = _words(command, values, spin_rate)
        if command.parser:
            measured = words
        else:
            background += 1
            lines.append(f"{shlex.join(words)} > out/beside{background} 2>&1 &")
            lines.append(f"beside{background}=$!")
    target = f"out/{RESULT}"
    stdout = "out/stdout" if any(word.endswith(target) for word in measured) else target
    lines.append(f"{shlex.join(measured)} > {stdout} 2> out/stderr")
    lines.append("status=$?")
    # The programs beside end by themselves at about the same time; stragglers must not run into
    # the next arm's measurement.
    for number in range(1, background + 1):
        lines.append(f"kill $beside{number} 2> /dev/null")
        lines.append(f"wait $beside{number} 2> /dev/null")
    lines.append("exit $status")
    return Plan("\n".join(lines) + "\n", workload.parser, _timeout(workload, values))


def _phases(
    workload: Workload, settings: Mapping[str, Setting], seed: int, spin_rate: int, cpus: int
) -> Plan:
    text = plan_text(workload, settings, seed, cpus)
    # The plan comes as a here-document: quoted, so that the shell reads nothing in it, and no line
    # of a plan can be the word that ends it.
    script = (
        f"#!/bin/sh\nwl-phases --spin-rate {spin_rate} > out/{RESULT} 2> out/stderr << 'END_PLAN'\n"
        f"{text}END_PLAN\n"
    )
    return Plan(script, workload.parser, _timeout(workload, settings))


def _timeout(workload: Workload, values: Mapping[str, Setting]) -> float:
    own = sum(
        value
        for name in ("duration", "warmup")
        if name in workload.params and isinstance(value := values[name], int)
    )
    return (workload.limit + own) / UNITS["s"]


def _words(command: Command, values: Mapping[str, Setting], spin_rate: int) -> list[str]:
    words = [command.program]
    words += [_fill(arg, values) for arg in command.args if not arg.when or values[arg.when]]
    if command.spin_rate:
        words += ["--spin-rate", str(spin_rate)]
    return words


def _fill(arg: Arg, values: Mapping[str, Setting]) -> str:
    def value(name: str, unit: str | None) -> str:
        if name == "out":
            return f"out/{RESULT}"
        setting = values[name]
        if unit and isinstance(setting, int):
            # Rounded up: a time that is not 0 must not become 0 in a coarse unit.
            return str(-(-setting // UNITS[unit]))
        return str(setting)

    return PLACEHOLDER.sub(lambda match: value(match[1], match[2]), arg.text)
