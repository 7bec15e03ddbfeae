"""A simulation: every arm, every seed, and what comes of it.

Input: arms, a `Scenario`, `Options`. Output: a `Report`. Invariant: the report is a function of the
input alone: the order of runs, how many go on at once and how busy the host is change nothing in
it. Run i of every arm has the seed `first_seed + i`, so arms are compared within pairs.
"""

from __future__ import annotations

import re
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from schedc.records import dataclass
from schedc.sim.build import Toolchain, toolchain
from schedc.sim.compare import Against, compare
from schedc.sim.errors import CRASHED, ENDLESS, NO_RESULT, REFUSED_C, STALLED, THROWN_OUT, SimError
from schedc.sim.pool import Done, Job, Pool
from schedc.sim.results import KIND_NORMAL_MAX, RunResult, read_result
from schedc.sim.scenario import UNWATCHED, Arm, Options, Scenario, Watch
from schedc.vm.verdict import Stall
from schedc.workload.plan import BadPlan, plan_text
from schedc.workload.quantity import show_time

GIVE_UP = 2
"""After so many first runs of an arm, all void by its scheduler, the rest is not run."""

_SAID_LINES = 12


@dataclass(frozen=True, slots=True)
class Void:
    """Why a run does not count. E09xx: by the scheduler; E12xx: by the workload."""

    code: str
    reason: str
    stall: Stall | None = None
    notes: tuple[str, ...] = ()

    @property
    def scheduler(self) -> bool:
        return self.code.startswith("E09")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an arm. A void one may still have a result; `trace` as `schedc.sim.trace` reads
    it, empty if none was asked for."""

    arm: str
    pair: int
    seed: int
    result: RunResult | None
    void: Void | None
    seconds: float
    trace: bytes = b""

    @property
    def counts(self) -> bool:
        return self.void is None


@dataclass(frozen=True, slots=True)
class Report:
    """`comparisons`: the first arm against each other one."""

    arms: tuple[Arm, ...]
    scenario: Scenario
    options: Options
    runs: tuple[Run, ...]
    comparisons: tuple[Against, ...]

    @property
    def void_runs(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.void is not None)

    @property
    def scheduler_failed(self) -> bool:
        """Whether any run is void by its scheduler's doing."""
        return any(run.void is not None and run.void.scheduler for run in self.runs)

    def of(self, arm: str) -> tuple[Run, ...]:
        """The runs of an arm that count, by seed."""
        return tuple(run for run in self.runs if run.arm == arm and run.counts)


def simulate(
    arms: Sequence[Arm], scenario: Scenario, options: Options | None = None,
    watch: Watch = UNWATCHED,
) -> Report:
    """Run `scenario` under every arm. Raises `SimError` if the simulator can't be built or a
    scheduler's C can't be compiled; a scheduler that fails makes its runs void instead."""
    options = options or Options()
    assert arms and len({arm.name for arm in arms}) == len(arms), "arms need names of their own"
    _check(scenario, options)
    tools = toolchain(options.variant, options.cc)
    runtime, objects = _built(tools, arms, watch)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="schedc-sim-") as folder, Pool(options.jobs) as pool:
        bench = _Bench(arms, scenario, options, Path(folder), runtime, objects)
        # The first runs of all arms show who fails at once; only then the others are begun.
        for pairs in (range(min(GIVE_UP, options.runs)), range(GIVE_UP, options.runs)):
            slots = [
                (arm, pair) for pair in pairs for arm in arms if not hopeless(runs, arm.name)
            ]
            total = len(runs) + len(slots)
            for run in bench.run(pool, slots):
                runs.append(run)
                watch.done(run, len(runs), max(total, len(arms) * options.runs))
    order = {arm.name: number for number, arm in enumerate(arms)}
    ordered = tuple(sorted(runs, key=lambda run: (run.pair, order[run.arm])))
    return Report(
        tuple(arms), scenario, options, ordered,
        compare(arms, figures_of(ordered), scenario.workload),
    )


def _check(scenario: Scenario, options: Options) -> None:
    """Settings that make no run are told before anything is built for them."""
    try:
        plan_text(scenario.workload, scenario.settings, options.first_seed,
                  len(scenario.machine.cpus))  # fmt: skip
    except BadPlan as wrong:
        raise SimError("E1205", f"`{scenario.workload.name}`: {wrong}") from wrong


def _built(
    tools: Toolchain, arms: Sequence[Arm], watch: Watch
) -> tuple[Path, dict[str, Path]]:
    """The runtime and all policies, built side by side."""
    watch.progress("building", None)
    with ThreadPoolExecutor(thread_name_prefix="build") as threads:
        runtime = threads.submit(tools.runtime)
        made = {
            arm.name: threads.submit(_object, tools, arm) for arm in arms if arm.runs_policy
        }
        return runtime.result(), {name: one.result() for name, one in made.items()}


def _object(tools: Toolchain, arm: Arm) -> Path:
    try:
        return tools.policy(arm.c_text, arm.files, arm.folder)
    except SimError as failure:
        if failure.code != REFUSED_C:
            raise
        raise SimError(
            failure.code, f"`{arm.name}`: {failure.message}", notes=failure.notes,
            help=failure.help,
        ) from failure


def hopeless(runs: Sequence[Run], arm: str) -> bool:
    """Whether an arm has had its chances and its scheduler never stayed."""
    mine = [run for run in runs if run.arm == arm]
    failed = [run for run in mine if run.void is not None and run.void.scheduler]
    return len(failed) == len(mine) >= GIVE_UP


class _Bench:
    """What all runs share, and how one of them becomes a process."""

    def __init__(
        self, arms: Sequence[Arm], scenario: Scenario, options: Options, folder: Path,
        runtime: Path, objects: Mapping[str, Path],
    ) -> None:
        self.scenario = scenario
        self.options = options
        self.folder = folder
        self.runtime = runtime
        self.objects = objects
        (folder / "machine").write_text(scenario.machine.text())
        self.settings: dict[str, Path] = {}
        for number, arm in enumerate(arms):
            if arm.runs_policy:
                self.settings[arm.name] = folder / f"settings{number}"
                self.settings[arm.name].write_text(arm.settings)

    def run(self, pool: Pool, slots: Sequence[tuple[Arm, int]]) -> Iterator[Run]:
        jobs = [lambda arm=arm, pair=pair: self._job(arm, pair) for arm, pair in slots]
        for (arm, pair), done in zip(slots, pool.run(jobs), strict=True):
            yield self._read(arm, pair, done)

    def _job(self, arm: Arm, pair: int) -> Job:
        seed = self.options.first_seed + pair
        work = self.scenario.workload, self.scenario.settings
        command = [
            str(self.runtime), "--scheduler",
            str(self.objects[arm.name]) if arm.runs_policy else arm.built_in,
            "--plan", "-", "--machine", str(self.folder / "machine"), "--seed", str(seed),
        ]
        if arm.runs_policy:
            command += ["--settings", str(self.settings[arm.name])]
        if self._traced(pair):
            command += ["--trace", str(self._trace(arm))]
        text = plan_text(*work, seed, len(self.scenario.machine.cpus))
        return Job(tuple(command), text.encode(), self.options.limit_s)

    def _traced(self, pair: int) -> bool:
        return self.options.traced and pair == 0

    def _trace(self, arm: Arm) -> Path:
        return self.folder / f"trace-{re.sub(r'[^a-z0-9_]', '_', arm.name)}"

    def _read(self, arm: Arm, pair: int, done: Done) -> Run:
        result, void = judge(arm, done, self.options.limit_s)
        trace = self._trace(arm)
        data = trace.read_bytes() if self._traced(pair) and trace.exists() else b""
        return Run(
            arm.name, pair, self.options.first_seed + pair, result, void, done.seconds, data
        )


def judge(arm: Arm, done: Done, limit_s: float) -> tuple[RunResult | None, Void | None]:
    """What a process that ended says: a result, or why there is none, or both."""
    said = tuple(done.stderr.decode(errors="replace").strip().splitlines()[-_SAID_LINES:])
    if done.timed_out or done.status in (-signal.SIGXCPU, -signal.SIGKILL):
        return None, Void(
            ENDLESS, f"it did not end within {limit_s:.0f} s of cpu time", notes=said
        )
    if done.status < 0 or any("Sanitizer" in line or "runtime error:" in line for line in said):
        return None, Void(CRASHED, _signal(done.status), notes=_sanitized(done.stderr) or said)
    if done.status != 0:
        # Where the cache is says nothing to anybody.
        lines = [re.sub(r"^schedc-sim: |\S*/policy\.so: ", "", line) for line in said]
        return None, Void(NO_RESULT, lines[-1] if lines else f"status {done.status}",
                          notes=tuple(lines[:-1]))  # fmt: skip
    try:
        result = read_result(done.stdout)
    except SimError as failure:
        return None, Void(failure.code, failure.message)
    return result, _thrown_out(result) or _unreadable(result)


_FAULT = re.compile(
    r"ops\.\w+\(\) (?:accessed memory|divided by zero|ran into an instruction|failed)"
)
"""How the runtime words what would have been a crash, had a verifier not seen to it."""


def _thrown_out(result: RunResult) -> Void | None:
    verdict = result.verdict
    if verdict is None:
        return None
    if verdict.stall is not None:
        return Void(STALLED, verdict.reason, verdict.stall)
    if _FAULT.match(verdict.message):
        return Void(CRASHED, f"{verdict.message} (at {show_time(verdict.at_ns)})")
    left = "it left by itself: " if verdict.kind <= KIND_NORMAL_MAX else ""
    words = ": ".join(part for part in (verdict.reason, verdict.message) if part)
    return Void(THROWN_OUT, f"{left}{words}" or f"exit kind {verdict.kind}")


def _unreadable(result: RunResult) -> Void | None:
    return Void("E1209", result.unreadable) if result.unreadable else None


def _signal(status: int) -> str:
    """What a process died of, in words."""
    if status >= 0:
        return "the sanitizer stopped it"
    names = {
        signal.SIGSEGV: "it used memory that isn't there",
        signal.SIGBUS: "it used memory that isn't there",
        signal.SIGFPE: "it divided by zero",
        signal.SIGILL: "it ran into an instruction that doesn't exist",
        signal.SIGABRT: "it gave up",
    }
    number = signal.Signals(-status) if -status in set(signal.Signals) else None
    name = number.name if number is not None else f"signal {-status}"
    return f"{names.get(number, 'it was ended') if number else 'it was ended'} ({name})"


def _sanitized(stderr: bytes) -> tuple[str, ...]:
    """The first lines of a sanitizer's report: what, and where."""
    lines = stderr.decode(errors="replace").splitlines()
    start = next(
        (i for i, line in enumerate(lines) if "ERROR: " in line or "runtime error:" in line), None
    )
    return tuple(line.strip() for line in lines[start : start + 8]) if start is not None else ()


def figures_of(runs: Sequence[Run]) -> dict[str, dict[int, RunResult]]:
    """Results that count, by arm and pair."""
    found: dict[str, dict[int, RunResult]] = {}
    for run in runs:
        if run.counts and run.result is not None:
            found.setdefault(run.arm, {})[run.pair] = run.result
    return found
