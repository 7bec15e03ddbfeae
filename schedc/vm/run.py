"""`vm run`: a workload under a policy and under a baseline, in one machine.

Input: compiled policies, a workload with settings, and what machine to use. Output: a `RunReport`.
Invariants: a run's figures count only if its scheduler was the kernel's from before the workload
began until after it ended; the same work (spin rate) is asked of both arms; the object of an arm
is loaded afresh for each run, so no state passes from one run to the next.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field

from schedc.records import dataclass
from schedc.vm.errors import BAD_RESULT, GUEST_DIED, TIMED_OUT, VmError
from schedc.vm.job import Clock, Job, JobResult, Shape
from schedc.vm.kernels import Kernel, Kernels
from schedc.vm.loadable import Policy
from schedc.vm.machine import Machine
from schedc.vm.measure import (
    BASELINE,
    DEFAULT_RUNS,
    FIRST_SEED,
    Outcome,
    Run,
    RunReport,
    Slot,
    Void,
    compare,
    measure,
    slots,
)
from schedc.vm.outcome import WORKLOAD_FAILED, read_outcome
from schedc.vm.store import Progress, Store, silent
from schedc.workload.command import Plan, plan
from schedc.workload.model import Setting, Workload

_BOOT_ALLOWANCE_S = 180.0
"""What a job may take beyond its workload: unpacking, loading, detaching, a slow host."""

_CALIBRATIONS = 3

ICOUNT_SPIN_RATE = 45_000
"""The loop of wl_spin has 11 instructions of 2 ns: 45,455 turns a millisecond. Measuring it would
cost a boot, and every arm owes the same work in any case."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure. `pairs` runs of each arm count; the first of each arm is thrown away."""

    kernel: str = "latest"
    clock: Clock = "wall"
    cpus: int = 2
    memory_mib: int = 512
    pairs: int = DEFAULT_RUNS
    first_seed: int = FIRST_SEED
    alone: bool = False
    """Without any second arm: verdicts and counters, but no comparison."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Called while a measurement goes on."""

    progress: Progress = silent
    done: Callable[[Run, int, int], None] = field(default=lambda run, number, total: None)


_UNWATCHED = Watch()


def run_workload(
    policy: Policy,
    against: Policy | None,
    workload: Workload,
    settings: Mapping[str, Setting],
    options: Options,
    store: Store | None = None,
    watch: Watch = _UNWATCHED,
) -> RunReport:
    """Measure `workload` under `policy` and under `against` (None: the kernel's own scheduler)."""
    store = store or Store.default()
    kernel = Kernels(store).resolve(options.kernel, watch.progress)
    arms = _arms(policy, against, options)
    base = None if options.alone else next(name for name in arms if name != policy.name)
    order = tuple(slots(policy.name, base, options.pairs, options.first_seed))
    bench = _Bench(arms, workload, settings, options, store, kernel, watch)
    with bench.ready():
        numbers = iter(range(1, len(order) + 1))
        runs = measure(
            iter(order), bench.run, lambda run: watch.done(run, next(numbers), len(order))
        )
    return RunReport(
        workload.name, policy.name, base or "", kernel.release, options.clock, options.cpus,
        dict(settings), bench.spin_rate, runs, compare(runs, policy.name, base, workload.metrics),
        tuple(bench.notes), policy.classes, policy.queues, bench.faults,
    )


def _arms(policy: Policy, against: Policy | None, options: Options) -> dict[str, Policy | None]:
    """The arms by name; a policy against itself is told apart by a mark."""
    arms: dict[str, Policy | None] = {policy.name: policy}
    if options.alone:
        return arms
    if against is None:
        # A policy may be called eevdf; the kernel's own scheduler must not be mistaken for it.
        name = BASELINE if policy.name != BASELINE else f"{BASELINE} (kernel)"
    else:
        name = against.name if against.name != policy.name else f"{against.name} (second)"
    arms[name] = against
    return arms


class _Bench:
    """The machine of one measurement, and how a slot becomes a job in it."""

    def __init__(
        self,
        arms: Mapping[str, Policy | None],
        workload: Workload,
        settings: Mapping[str, Setting],
        options: Options,
        store: Store,
        kernel: Kernel,
        watch: Watch,
    ) -> None:
        self.arms = arms
        self.workload = workload
        self.settings = settings
        self.options = options
        self.store = store
        self.watch = watch
        self.shape = Shape(
            kernel, options.cpus, options.memory_mib, options.clock, "tools", parallel=True
        )
        self.spin_rate = 0
        self.notes = list(_busy_host(options.clock))
        self._machine: Machine | None = None
        self._dead = ""
        self.faults = 0
        self._unwarmed: set[str] = set()
        self._batch: dict[Slot, Outcome] = {}

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Boot, and measure how much work a millisecond is."""
        with Machine.boot(self.shape, store=self.store, progress=self.watch.progress) as machine:
            self._machine = machine
            if self.options.clock == "icount":
                self.spin_rate = ICOUNT_SPIN_RATE
                self._run_all(machine)
            else:
                self.watch.progress("calibrating", None)
                self.spin_rate = _calibrate(machine)
            yield
            self._machine = None

    def run(self, slot: Slot) -> Outcome:
        """One run of one arm. What ran first in a fresh machine is thrown away, as at the start."""
        if slot in self._batch:
            return self._batch[slot]
        outcome = self._once(slot)
        while (self._began_again(slot) or slot.arm in self._unwarmed) and outcome.void is None:
            self._unwarmed.discard(slot.arm)
            outcome = self._once(slot)
        return outcome

    def _began_again(self, slot: Slot) -> bool:
        """Whether QEMU's emulation failed since this was asked last: see `Machine.run`."""
        if self._machine is None or self._machine.faults == self.faults:
            return False
        self.faults = self._machine.faults
        self._unwarmed = set(self.arms)
        self.notes.append(
            f"QEMU's emulation failed under {slot.arm}: it was begun again in a fresh machine"
        )
        return True

    def _once(self, slot: Slot) -> Outcome:
        if self._dead or self._machine is None:
            return Outcome(None, Void(WORKLOAD_FAILED, self._dead or "no machine"))
        script, made = self._script(slot, 0)
        limit = made.timeout_s + _BOOT_ALLOWANCE_S
        try:
            result = self._machine.run(Job(self._files([slot], [made]), script), limit)
        except VmError as failure:
            if failure.code not in (GUEST_DIED, TIMED_OUT, BAD_RESULT):
                raise
            self._dead = f"the machine died in an earlier run ({failure.message})"
            self.notes.append(f"the machine died under {slot.arm}: {failure.message}")
            code = GUEST_DIED if self.arms[slot.arm] is not None else WORKLOAD_FAILED
            return Outcome(None, Void(code, f"the machine died: {failure.message}"))
        return self._outcome(slot, made, result, 0)

    def _run_all(self, machine: Machine) -> None:
        """Under icount every job is a boot of its own, so that all runs share one job."""
        order = list(self._order())
        pieces = [self._script(slot, number) for number, slot in enumerate(order)]
        plans = [made for _, made in pieces]
        limit = sum(made.timeout_s for made in plans) + _BOOT_ALLOWANCE_S
        self.watch.progress(f"{len(order)} runs in one boot", None)
        script = "\n".join(text for text, _ in pieces)
        # Emulated instruction by instruction: some ten times slower than the guest's clock.
        result = machine.run(Job(self._files(order, plans), script), 20 * limit)
        for number, (slot, made) in enumerate(zip(order, plans, strict=True)):
            self._batch[slot] = self._outcome(slot, made, result, number)

    def _order(self) -> Iterator[Slot]:
        names = list(self.arms)
        base = names[1] if len(names) > 1 else None
        return slots(names[0], base, self.options.pairs, self.options.first_seed)

    def _script(self, slot: Slot, number: int) -> tuple[str, Plan]:
        made = plan(self.workload, self.settings, slot.seed, self.spin_rate, self.options.cpus)
        arm = list(self.arms).index(slot.arm)
        command = f"sh /job/work{number}.sh"
        if self.arms[slot.arm] is not None:
            command = (
                f"schedc-load --object /job/arm{arm}.o --settings /job/arm{arm}.settings "
                f"--report out/load.json -- {command}"
            )
        lines = (
            # A link, so that a run that is killed at its time limit still leaves its files.
            f"mkdir -p /job/run{number} /job/out/run{number} && cd /job/run{number} || exit 1",
            f"ln -s /job/out/run{number} out",
            "cat /sys/kernel/sched_ext/state > out/before",
            command,
            "echo $? > out/status; cd /job",
        )
        return "\n".join(lines) + "\n", made

    def _files(self, order: list[Slot], plans: list[Plan]) -> dict[str, bytes]:
        files = {f"work{n}.sh": made.script.encode() for n, made in enumerate(plans)}
        wanted = {slot.arm for slot in order}
        for number, (name, policy) in enumerate(self.arms.items()):
            if policy is not None and name in wanted:
                files[f"arm{number}.o"] = policy.object
                files[f"arm{number}.settings"] = policy.settings.encode()
        return files

    def _outcome(self, slot: Slot, made: Plan, result: JobResult, number: int) -> Outcome:
        prefix = f"run{number}/"
        out = {
            name[len(prefix) :]: data
            for name, data in result.out.items()
            if name.startswith(prefix)
        }
        # A job of several runs has no time for each.
        seconds = result.seconds if self.options.clock == "wall" else 0.0
        policy = self.arms[slot.arm]
        return read_outcome(
            out, made.parser, self.shape.kernel.release,
            c_text=policy.c_text if policy is not None else None, timed_out=result.timed_out,
            seconds=seconds,
        )


def _busy_host(clock: Clock) -> Iterator[str]:
    """A warning that real times will be noisy: other work wants the host's cpus too."""
    load, cpus = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if clock == "wall" and load > cpus / 2:
        yield f"the host was busy at the start (load {load:.1f} on {cpus} cpus): times are noisy"


def _calibrate(machine: Machine) -> int:
    """Iterations per millisecond: the fastest of a few tries, as only slowness is an accident."""
    script = f"for i in $(seq {_CALIBRATIONS}); do wl-calibrate; done > out/rate"
    result = machine.run(Job({}, script), _BOOT_ALLOWANCE_S)
    try:
        lines = result.out["rate"].decode().splitlines()
        return max(int(json.loads(line)["spin_rate"]) for line in lines)
    except (KeyError, TypeError, ValueError) as failure:
        raise VmError(
            BAD_RESULT,
            "the guest could not be calibrated",
            notes=tuple(result.console.splitlines()[-3:]),
            help="report this with the output of `schedc doctor`",
        ) from failure
