"""Runs that were made: where they are, and what was asked of them.

Input: a run's folder or name. Output: its request, made again from the journal's first message.
Invariant: a run is only gone on with if its workload still is what it was then; nothing is read
from outside its folder but the workload and machine that it names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from schedc.sim import machine as machines
from schedc.sim.scenario import Scenario
from schedc.synth.execute import Limits
from schedc.synth.journal import FILE, Journal, JournalError
from schedc.synth.messages import Message, Profiled, Started
from schedc.synth.profiled import PREFIX, label, work_of
from schedc.synth.run import Request, runs_folder
from schedc.workload import registry
from schedc.workload.model import Setting, Workload


def folder_of(name: str) -> Path:
    """The folder of a run that is named by it, or by its last part."""
    try:
        if (Path(name) / FILE).is_file():
            return Path(name)
        if re.fullmatch(r"[A-Za-z0-9-]+", name) and (runs_folder() / name / FILE).is_file():
            return runs_folder() / name
    except OSError as failure:  # a name that is too long, a folder that may not be entered
        raise JournalError(
            f"the run can't be read: {failure.strerror}", "schedc synth --resume NAME"
        ) from failure
    shown = ascii(name)[1:-1][:80]
    raise JournalError(f"no run is called `{shown}`", f"the runs are in {runs_folder()}")


def messages_of(folder: Path) -> tuple[Message, ...]:
    """All that a run recorded."""
    with Journal(folder, frozen=True) as journal:
        if not any(isinstance(one, Started) for one in journal):
            raise JournalError("the run ended before it began", "begin a new one")
        return tuple(journal)


def request_of(folder: Path, jobs: int | None = None) -> tuple[Request, str, str]:
    """What was asked, the engine's name and its model."""
    messages = messages_of(folder)
    started = next(one for one in messages if isinstance(one, Started))
    profiled = _profiled(messages, started)
    workload, settings = _named(started) if profiled is None else work_of(profiled)
    flags = dict(_flag(one) for one in started.machine[1:])
    machine = machines.machine(started.machine[0], flags)
    limits = started.limits
    request = Request(
        started.goal, Scenario(workload, dict(settings), machine), started.settings,
        Limits(int(limits.get("rounds", 0)), int(limits.get("tokens", 0)),
               limits.get("cost", 0.0), limits.get("seconds", 0.0)),
        started.runs, started.seed, jobs, True, started.workload, started.machine, profiled,
    )  # fmt: skip
    return request, started.engine, started.model


def _named(started: Started) -> tuple[Workload, Mapping[str, Setting]]:
    """The workload of that name or file, and its settings."""
    workload, _, wrong = registry.find(started.workload)
    if workload is None:
        raise JournalError(f"the run's workload is gone: {wrong[0].message}", "begin a new run")
    settings, bad = registry.settings(workload, started.settings)
    if bad:
        raise JournalError(f"the run's workload has changed: {bad[0].message}", "begin a new run")
    return workload, settings


def _profiled(messages: tuple[Message, ...], started: Started) -> Profiled | None:
    """The profile that the run works on; None if it works on a workload that has a name."""
    if not started.workload.startswith(PREFIX):
        return None
    found = next((one for one in messages if isinstance(one, Profiled)), None)
    if found is None or label(found) != started.workload:
        raise JournalError("the run ended before it had kept its profile", "begin a new run")
    return found


def _flag(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    try:
        return name, int(value)
    except ValueError:
        raise JournalError("the run's machine can't be read", "begin a new run") from None
