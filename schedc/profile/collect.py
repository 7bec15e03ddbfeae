"""Taking a profile with the best collector there is.

Input: a target and a time. Output: a `Profile` that says which collector ran, and why no better one
did. Invariant: without `command`, nothing is started; an interrupted profile is one, too
(`complete` is false).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from schedc.profile import system
from schedc.profile.counts import Counted, read_counts
from schedc.profile.errors import (
    COLLECTOR_FAILED,
    NO_BCC,
    NO_KERNEL_SUPPORT,
    NO_RIGHTS,
    NOTHING_RAN,
    ProfileError,
)
from schedc.profile.model import COLLECTORS, NOT_A_TASK, GroupProfile, Histogram, Profile
from schedc.profile.object import make_object, read_object
from schedc.profile.proc import ProcCollector
from schedc.profile.target import Command, Target
from schedc.profile.tracing import (
    Tracer,
    bpf_command,
    bpf_request,
    check_btf,
    check_rights,
)
from schedc.records import dataclass

MAX_SECONDS = 86_400.0
_OTHERS_MAY_DO = frozenset({NO_RIGHTS, NO_KERNEL_SUPPORT, COLLECTOR_FAILED, NO_BCC})


@dataclass(frozen=True, slots=True)
class _Job:
    target: Target
    seconds: float
    command: Command | None
    object: Path | None

    def go(self) -> None:
        if self.command is not None:
            self.command.go()

    def over(self) -> bool:
        """Whether there is nothing left to watch."""
        if self.command is not None:
            return self.command.over()
        if self.target.kind == "process":
            return not Path(f"/proc/{self.target.pid}").exists()
        return self.target.cgroup is not None and not self.target.cgroup.exists()


@dataclass(frozen=True, slots=True)
class _Found:
    counted: Counted
    before: system.Moment
    after: system.Moment
    interrupted: bool
    notes: tuple[str, ...] = ()


class _Unfit(Exception):
    """This collector can't run here; nothing was started yet."""

    def __init__(self, failure: ProfileError) -> None:
        super().__init__(failure.message)
        self.failure = failure


def collect(
    target: Target, seconds: float | None, collector: str = "auto", *,
    command: Command | None = None, object_file: Path | None = None,
) -> Profile:
    """Watch for so many seconds (None, with a command: until it ends). Raises `ProfileError`."""
    job = _Job(target, seconds or MAX_SECONDS, command, object_file)
    why_not: list[tuple[str, str]] = []
    for name in COLLECTORS if collector == "auto" else (collector,):
        try:
            found = _RUN[name](job)
        except _Unfit as unfit:
            if collector != "auto":
                raise unfit.failure from None
            why_not.append((name, unfit.failure.message[:200]))
            continue
        return _profile(name, job, found, tuple(why_not), seconds)
    raise ProfileError(COLLECTOR_FAILED, "no collector can run", notes=tuple(
        f"{name}: {reason}" for name, reason in why_not
    ))  # fmt: skip


def _profile(
    name: str, job: _Job, found: _Found, why_not: tuple[tuple[str, str], ...],
    asked: float | None,
) -> Profile:
    counted = found.counted
    groups = counted.groups
    if job.command is not None:
        # Between its fork and its exec, the command goes by the name of whoever started it.
        own = system.read(system.PROC / "self/comm").strip()
        groups = tuple(one for one in groups if one.comm != own or one.bursts.count)
    if not groups:
        raise ProfileError(
            NOTHING_RAN, f"nothing of it ran within {counted.seconds:.1f} s",
            help="watch for longer: --for 60s",
        )  # fmt: skip
    notes = list(found.notes)
    early = asked is not None and counted.seconds < 0.9 * asked
    if found.interrupted:
        notes.append(f"interrupted after {counted.seconds:.1f} s")
    elif early:
        notes.append(f"what was watched ended after {counted.seconds:.1f} s")
    if counted.dropped:
        notes.append(f"{counted.dropped} events found no room in the collector's tables")
    return Profile(
        name, job.target.words, why_not, counted.seconds, system.kernel(), system.cpus(),
        system.machine(found.before, found.after, counted.migrations_s, counted.runq),
        groups, _wakes(counted, groups), counted.dropped, not (found.interrupted or early),
        tuple(notes),
    )  # fmt: skip


def _wakes(
    counted: Counted, groups: tuple[GroupProfile, ...]
) -> tuple[tuple[str, str, int], ...]:
    names = {NOT_A_TASK, *(group.name for group in groups)}
    return tuple(one for one in counted.wakes if one[0] in names and one[1] in names)


# --- the collectors -----------------------------------------------------------------------------


def _bpf(job: _Job) -> _Found:
    def start() -> Tracer:
        check_rights()
        check_btf()
        data = read_object(job.object) if job.object else make_object()
        return Tracer(bpf_command(), bpf_request(data, job.target, job.seconds))

    return _trace(job, start)


def _bcc(job: _Job) -> _Found:
    def start() -> Tracer:
        from schedc.profile.bcc import bcc_request, find_bcc

        check_rights()
        command = find_bcc()
        return Tracer(command, bcc_request(job.target, job.seconds))

    return _trace(job, start)


def _trace(job: _Job, start: Callable[[], Tracer]) -> _Found:
    try:
        tracer = start()
    except ProfileError as failure:
        if failure.code in _OTHERS_MAY_DO:
            raise _Unfit(failure) from None
        raise
    with tracer:
        before, interrupted = system.moment(), False
        job.go()
        try:
            tracer.wait(job.seconds, job.over)
        except KeyboardInterrupt:
            interrupted = True
        after = system.moment()
        counted = read_counts(tracer.finish())
    notes = () if counted.wakers else ("who wakes whom is not known: this kernel doesn't show "
                                       "whether an interrupt is being served",)  # fmt: skip
    return _Found(counted, before, after, interrupted, notes)


def _proc(job: _Job) -> _Found:
    collector = ProcCollector(job.target, os.getpid())
    before, interrupted = system.moment(), False
    collector.look()
    job.go()
    time.sleep(0.001)
    try:
        collector.run(job.seconds, job.over)
    except KeyboardInterrupt:
        interrupted = True
    after = system.moment()
    groups = collector.groups()
    runq = Histogram()
    for group in groups:
        runq = runq.merge(group.runq)
    counted = Counted(
        max(collector.took, 1e-3), groups, (), runq,
        sum(max(one.migrations_s, 0.0) for one in groups), 0, False,
    )  # fmt: skip
    return _Found(counted, before, after, interrupted, (
        "from /proc: bursts, sleeps and waits are means between two looks; who wakes whom, and "
        "tasks that lived between two looks, are not known",
    ))  # fmt: skip


_RUN: dict[str, Callable[[_Job], _Found]] = {"bcc": _bcc, "bpf": _bpf, "proc": _proc}
