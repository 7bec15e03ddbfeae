"""Interleaved runs of two arms, and what they show.

Input: two arms, a function that runs one of them once, and how many pairs. Output: a `RunReport`.
Invariants: the arms take turns (A B A B …); both runs of a pair have the same seed; the first run
of each arm after a boot is thrown away; a run whose scheduler did not stay is void, keeps its
reason, and takes its pair out of the ratios; percentiles are read within a run, and only their
median over runs is reported.

Seeds: pair i has seed `first_seed + i`, the runs thrown away have `first_seed − 1`. So the same
command measures the same inputs, and under `--clock icount` gives the same figures bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from schedc.measure.paired import Comparison, paired
from schedc.records import dataclass
from schedc.vm.verdict import Stall, Verdict
from schedc.workload.histogram import SUB_BITS
from schedc.workload.metrics import METRICS
from schedc.workload.results import Result

DEFAULT_RUNS = 6
"""Six pairs: the range of six figures covers their median with 96.9%, that of five with 93.75%."""

FIRST_SEED = 1

BASELINE = "eevdf"
"""The arm without any sched_ext scheduler: the kernel's own."""

_GIVE_UP = 2
"""After so many runs of an arm, all void by its scheduler, there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Void:
    """Why a run does not count. The code says whose doing it is: E08xx the scheduler's, E12xx the
    workload's."""

    code: str
    reason: str
    stall: Stall | None = None

    @property
    def scheduler(self) -> bool:
        return self.code.startswith("E08")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of one arm: a result, or why there is none. A void run may still have a result.

    `verdict` is the kernel's, with the policy's counters; None where no policy ran.
    """

    result: Result | None
    void: Void | None = None
    verdict: Verdict | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """An outcome and its place; `warmup` runs are thrown away."""

    arm: str
    pair: int
    seed: int
    warmup: bool
    outcome: Outcome

    @property
    def counts(self) -> bool:
        return not self.warmup and self.outcome.void is None


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole measurement; void runs are in `runs` with their reasons.

    `classes` and `queues` are the names that the policy's counters go by. `emulator_faults`: how
    often a run was begun again because QEMU's emulation had failed.
    """

    workload: str
    policy: str
    base: str
    kernel: str
    clock: str
    cpus: int
    settings: Mapping[str, int | str]
    spin_rate: int
    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    emulator_faults: int = 0

    @property
    def void_runs(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.outcome.void)

    @property
    def scheduler_failed(self) -> bool:
        """Whether any run was void because its scheduler did not load or did not stay."""
        return any(run.outcome.void and run.outcome.void.scheduler for run in self.runs)


@dataclass(frozen=True, slots=True)
class Slot:
    """One run that is to be made."""

    arm: str
    pair: int
    seed: int
    warmup: bool


def slots(policy: str, base: str | None, pairs: int, first_seed: int) -> Iterator[Slot]:
    """All runs in order: a warm-up of each arm, then the pairs, the baseline first in each."""
    arms = (base, policy) if base is not None else (policy,)
    for arm in arms:
        yield Slot(arm, -1, first_seed - 1, True)
    for pair in range(pairs):
        for arm in arms:
            yield Slot(arm, pair, first_seed + pair, False)


def measure(
    plan: Iterator[Slot],
    run_once: Callable[[Slot], Outcome],
    done: Callable[[Run], None] = lambda run: None,
) -> tuple[Run, ...]:
    """Run every slot; when a scheduler has failed each of its first runs, the rest is not run."""
    runs: list[Run] = []
    for slot in plan:
        if hopeless(runs, slot.arm):
            break
        run = Run(slot.arm, slot.pair, slot.seed, slot.warmup, run_once(slot))
        runs.append(run)
        done(run)
    return tuple(runs)


def hopeless(runs: list[Run], arm: str) -> bool:
    """Whether an arm has had its chances and its scheduler never stayed."""
    mine = [run for run in runs if run.arm == arm]
    failed = [run for run in mine if run.outcome.void and run.outcome.void.scheduler]
    return len(failed) == len(mine) >= _GIVE_UP


def compare(
    runs: tuple[Run, ...], policy: str, base: str | None, metrics: tuple[str, ...]
) -> tuple[Comparison, ...]:
    """Medians and paired ratios for each metric that any run has."""
    found = []
    for name in metrics:
        mine = figures(runs, policy, name)
        theirs = figures(runs, base, name) if base is not None else {}
        if not mine and not theirs:
            continue
        metric = METRICS[name]
        found.append(
            paired(
                name, mine, theirs, lower_is_better=metric.better == "lower",
                resolution=2.0**-SUB_BITS if metric.histogram else 0.0,
            )
        )
    return tuple(found)


def figures(runs: tuple[Run, ...], arm: str, metric: str) -> dict[int, float]:
    """A metric by pair, of the runs of an arm that count."""
    found = {}
    for run in runs:
        if run.arm == arm and run.counts and run.outcome.result is not None:
            value = run.outcome.result.value(metric)
            if value is not None:
                found[run.pair] = value
    return found
