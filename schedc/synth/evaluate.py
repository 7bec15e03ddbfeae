"""Is a candidate sound, and how good is it?

Input: candidates, a scenario, a goal. Output: `Judged` and `Simulated` messages, and comparisons of
them. Invariant: only proved candidates are simulated; each is judged and simulated once in the life
of a run (the journal remembers); what is compared is paired by seed.

A candidate is better than another only beyond noise: the whole interval of the paired ratio of the
goal's first metric on the better side of 1 (`schedc.measure`), ties broken by the next objectives;
and one that keeps every constraint is better than one that doesn't.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from schedc.diagnostics.render import Format, render_all
from schedc.diagnostics.render.located import Sources
from schedc.measure.paired import paired
from schedc.measure.stats import Finding
from schedc.pipeline import Analysis, analyze, generate, prove
from schedc.prove.result import Proof, Verdict
from schedc.records import dataclass
from schedc.repository.meaning import meaning
from schedc.sim.errors import SimError
from schedc.sim.run import Report, simulate
from schedc.sim.scenario import Arm, Options, Scenario
from schedc.source import Source
from schedc.synth.goal import Constraint, Goal, better_of
from schedc.synth.journal import Journal, step_key
from schedc.synth.messages import Candidate, Judged, Ratio, Simulated
from schedc.vm.check import Settings

BASELINE = "eevdf"
CANDIDATE = "candidate.sched"
"""A candidate's text stands under a name of ours, whatever its author calls it."""

_MOST_SAID = 6000

_BROKEN = 1e3
"""The score of what breaks a constraint, and so much more for each multiple of its bound: a search
is led back to where it holds."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A comparison of two sets of figures for a goal; `better` beyond noise. `excess`: by how much
    constraints are broken, in parts of their bounds, all together."""

    ratios: tuple[Ratio, ...]
    met: bool
    better: bool
    worse: bool
    excess: float = 0.0

    def of(self, metric: str) -> Ratio | None:
        return next((one for one in self.ratios if one.metric == metric), None)


class Backend(Protocol):
    """Where proofs are found and simulations run. What comes out must not depend on it."""

    def ahead(self, texts: Sequence[str]) -> None:
        """These will be judged: a backend with free hands may begin."""
        ...

    def judge(self, text: str) -> Judged:
        """What the compiler and the prover say of a policy's text."""
        ...

    def simulate(self, arms: Sequence[Arm], scenario: Scenario, options: Options) -> Report:
        """As `schedc.sim.run.simulate`."""
        ...


class Here:
    """This machine: proofs one after the other, simulations in a pool of processes."""

    def ahead(self, texts: Sequence[str]) -> None:
        del texts

    def judge(self, text: str) -> Judged:
        return judge(Source.from_text(CANDIDATE, text))

    def simulate(self, arms: Sequence[Arm], scenario: Scenario, options: Options) -> Report:
        return simulate(arms, scenario, options)


class Evaluator:
    """Judges and simulates, through the journal. `seeds`: of the runs of a full measurement."""

    def __init__(
        self, goal: Goal, scenario: Scenario, journal: Journal, *, runs: int, first_seed: int,
        jobs: int | None = None, backend: Backend | None = None,
    ) -> None:  # fmt: skip
        self.goal = goal
        self.scenario = scenario
        self.journal = journal
        self.runs = runs
        self.first_seed = first_seed
        self.jobs = jobs
        self.backend = backend or Here()

    # --- soundness ------------------------------------------------------------------------------

    def ahead(self, candidates: Sequence[Candidate]) -> None:
        """These will be judged."""
        self.backend.ahead([
            one.text for one in candidates
            if not self.journal.knows(step_key("judge", one.text))
        ])  # fmt: skip

    def judge(self, candidate: Candidate) -> Judged:
        """What the compiler and the prover say of a candidate."""
        key = step_key("judge", candidate.text)
        return self.journal.once(key, Judged, lambda: self.backend.judge(candidate.text))

    # --- figures --------------------------------------------------------------------------------

    def baseline(self, runs: int) -> Simulated:
        """The kernel's default scheduler under the same seeds."""
        key = step_key("sim", BASELINE, self._what(runs))
        if not self.journal.knows(key):
            made = self._simulate([Arm(BASELINE, built_in=BASELINE)], runs)
            return self.journal.once(key, Simulated, lambda: made[BASELINE])
        return self.journal.once(key, Simulated, _never)

    def measure(self, candidates: Sequence[Candidate], runs: int) -> list[Simulated]:
        """The figures of proved candidates, of so many runs each, in their order."""
        keys = [self._key(one, runs) for one in candidates]
        new = [
            (key, one) for key, one in zip(keys, candidates, strict=True)
            if not self.journal.knows(key)
        ]  # fmt: skip
        made: Mapping[str, Simulated] = {}
        if new:
            names = {key: f"c{number}" for number, (key, _) in enumerate(new)}
            made = self._simulate([self._arm(names[key], one) for key, one in new], runs)
            made = {key: made[name] for key, name in names.items()}
        return [
            self.journal.once(key, Simulated, lambda key=key: made[key])  # type: ignore[misc]
            for key in keys
        ]

    def compare(self, mine: Simulated, other: Simulated) -> Judgement:
        """How `mine` stands to `other`; constraints are about the default scheduler, so `other`
        must be its figures where `met` is asked."""
        return compare(self.goal, mine, other)

    def _key(self, candidate: Candidate, runs: int) -> str:
        tunes = sorted(candidate.tunes.items())
        return step_key("sim", candidate.text, tunes, self._what(runs))

    def _what(self, runs: int) -> str:
        scenario = self.scenario
        return step_key(
            scenario.workload.name, sorted(scenario.settings.items()), scenario.machine.text(),
            self.first_seed, runs,
        )  # fmt: skip

    def _arm(self, name: str, candidate: Candidate) -> Arm:
        source = source_of(candidate)
        analysis = analyze(source)
        assert analysis.policy is not None, "only proved candidates are simulated"
        policy = analysis.policy
        return Arm(
            name, c_text=generate(policy, source, sources=analysis.sources),
            settings=settings(analysis, candidate.tunes).text(),
            classes=tuple(one.name for one in policy.classes),
            queues=tuple(one.name for one in policy.queues), source=source,
        )  # fmt: skip

    def _simulate(self, arms: Sequence[Arm], runs: int) -> dict[str, Simulated]:
        options = Options(runs=runs, first_seed=self.first_seed, jobs=self.jobs)
        try:
            report = self.backend.simulate(arms, self.scenario, options)
        except SimError as failure:
            if len(arms) > 1:  # one bad arm must not take the others with it
                return {arm.name: self._simulate([arm], runs)[arm.name] for arm in arms}
            seeds = tuple(range(self.first_seed, self.first_seed + runs))
            return {arms[0].name: Simulated("sim", seeds, {}, f"{failure.code}: {failure.message}")}
        return {arm.name: figures(report, arm.name) for arm in arms}


def _never() -> Simulated:
    raise AssertionError("a recorded step is not made again")


def source_of(candidate: Candidate) -> Source:
    """The candidate's text as a source."""
    return Source.from_text(CANDIDATE, candidate.text)


def judge(source: Source) -> Judged:
    """The verdict on a policy's text, with what a person would read of it."""
    analysis = analyze(source)
    sources = Sources(source, analysis.sources)
    if analysis.policy is None:
        return Judged("error", _said(analysis.diagnostics, sources), "", {})
    proof = prove(analysis, source)
    bounds = {one.cls: int(one.wait_ns(proof.runnable)) for one in proof.bounds}
    said = "" if proof.verdict is Verdict.proved else _why(proof, analysis, source, sources)
    return Judged(proof.verdict.value, said, meaning(analysis.policy), bounds)


def _why(proof: Proof, analysis: Analysis, source: Source, sources: Sources) -> str:
    from schedc.prove.diagnose import diagnose

    said = _said(diagnose(proof), sources)
    if proof.run is None or analysis.policy is None:
        return said
    from schedc.refute.story import tell

    return f"{said}{tell(proof.run, analysis.policy, source, alone=False)}"[:_MOST_SAID]


def _said(diagnostics: Iterable[object], sources: Sources) -> str:
    rendered = render_all([(diagnostics, sources)], Format.full)  # type: ignore[list-item]
    return rendered[:_MOST_SAID]


def settings(analysis: Analysis, tunes: Mapping[str, str]) -> Settings:
    """What the loader sets for values of tunables."""
    from schedc.ir.literal import value_of

    policy = analysis.policy
    assert policy is not None
    values = {f"tune_{name}": value_of(policy.tune(name), text) for name, text in tunes.items()}
    decoded = [
        tuple(path.decode("utf-8", "surrogateescape") for path in paths)
        for paths in (policy.cgroup_paths, policy.exes)
    ]
    return Settings(values, decoded[0], decoded[1])


def figures(report: Report, arm: str) -> Simulated:
    """The figures of one arm. A run that is void makes all of them so: a policy that was thrown out
    once is no candidate."""
    from schedc.sim.compare import metrics_of

    runs = [run for run in report.runs if run.arm == arm]
    seeds = tuple(run.seed for run in runs)
    for run in runs:
        if run.void is not None:
            return Simulated("sim", seeds, {}, f"{run.void.code}: {run.void.reason}")
    values: dict[str, tuple[float, ...]] = {}
    for metric in metrics_of(report.scenario.workload):
        found = [run.result.value(metric.name) for run in runs if run.result is not None]
        numbers = [float(one) for one in found if one is not None]
        if len(numbers) == len(runs):
            values[metric.name] = tuple(numbers)
    return Simulated("sim", seeds, values)


# --- comparing -----------------------------------------------------------------------------------


def compare(goal: Goal, mine: Simulated, other: Simulated) -> Judgement:
    """Ratios of all metrics both have, and what they mean for the goal."""
    if mine.void or other.void:
        return Judgement((), False, False, bool(mine.void) and not other.void)
    ratios = tuple(
        one for name in mine.values if (one := ratio_of(name, mine, other)) is not None
    )
    found = {one.metric: one for one in ratios}
    excess = sum(_excess(constraint, mine, other) for constraint in goal.constraints)
    better = worse = False
    for objective in goal.objectives:
        one = found.get(objective.metric)
        if one is not None and one.finding in ("better", "worse"):
            better, worse = one.finding == "better", one.finding == "worse"
            break
    return Judgement(ratios, excess == 0, better, worse, excess)


def ratio_of(name: str, mine: Simulated, other: Simulated) -> Ratio | None:
    """One metric of the seeds that both have."""
    if name not in other.values:
        return None
    of_mine = dict(zip(mine.seeds, mine.values[name], strict=True))
    of_other = dict(zip(other.seeds, other.values[name], strict=True))
    shared = of_mine.keys() & of_other.keys()
    found = paired(
        name, {seed: of_mine[seed] for seed in shared}, {seed: of_other[seed] for seed in shared},
        lower_is_better=better_of(name) == "min" if _rated(name) else True,
        resolution=_resolution(name),
    )
    if found.ratio is None or found.policy is None or found.base is None:
        return None
    words = {
        Finding.better: "better", Finding.worse: "worse", Finding.same: "same",
        Finding.unknown: "unknown",
    }  # fmt: skip
    return Ratio(
        name, found.policy.median, found.base.median, found.ratio.median, found.ratio.low,
        found.ratio.high, words[found.finding],
    )  # fmt: skip


def _rated(name: str) -> bool:
    from schedc.synth.goal import known_metrics

    return name in known_metrics()


def _resolution(name: str) -> float:
    from schedc.workload.histogram import SUB_BITS
    from schedc.workload.metrics import METRICS

    return 2.0**-SUB_BITS if name in METRICS and METRICS[name].histogram else 0.0


def _excess(constraint: Constraint, mine: Simulated, default: Simulated) -> float:
    """By how much a constraint is broken, in parts of its bound, 0 if it holds: by the medians, as
    a bound is about what is typical. What isn't measured is broken for good."""
    name = constraint.metric
    if name not in mine.values:
        return _BROKEN
    if constraint.relative:
        found = ratio_of(name, mine, default)
        if found is None:
            return _BROKEN
        value = found.ratio
    else:
        ordered = sorted(mine.values[name])
        value = ordered[len(ordered) // 2]
    over = constraint.bound - value if constraint.op == ">=" else value - constraint.bound
    return max(0.0, over) / max(constraint.bound, 1e-9)


def score(goal: Goal, found: Judgement) -> float:
    """How far the first objective is improved against the default: the ratio turned so that less is
    better, worse than anything if a constraint is broken. For ranking within a search only; what is
    kept needs `better`."""
    one = found.of(goal.objectives[0].metric)
    if one is None or one.ratio <= 0:
        return 1e9
    turned = one.ratio if goal.objectives[0].direction == "min" else 1 / one.ratio
    return turned if found.met else _BROKEN * (1 + found.excess) + turned
