"""What benchmarks of the synthesis share: a search, and its winner on seeds it has not seen.

Input: a workload, a goal in words. Output: a `Held`: figures of the default scheduler, the best
policy of the library and the winner. Invariant: who wins is chosen on the seeds from 1, and
measured on those from `FRESH`, so that nothing is reported that was chosen for its luck.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from schedc.repository.library import Library
from schedc.repository.place import Place
from schedc.sim import machine as machines
from schedc.sim.scenario import Scenario
from schedc.synth.engine import Outcome
from schedc.synth.engine.search import SearchEngine
from schedc.synth.evaluate import Evaluator, score
from schedc.synth.execute import Limits
from schedc.synth.goal import Goal, with_implied
from schedc.synth.infer import infer
from schedc.synth.journal import Journal
from schedc.synth.messages import Candidate, Ratio, Simulated
from schedc.synth.run import Request, synthesize
from schedc.workload import registry

FRESH = 1001
HELD_RUNS = 20


@dataclass(frozen=True, slots=True)
class Arm:
    """A policy on the fresh seeds. `how`: what was done to get it; `ratios` to the default."""

    how: str
    text: str
    figures: Simulated
    ratios: tuple[Ratio, ...]
    met: bool

    def of(self, metric: str) -> Ratio | None:
        return next((one for one in self.ratios if one.metric == metric), None)


@dataclass(frozen=True, slots=True)
class Held:
    """What came of a search. `library`: the best of the shipped policies as it stands; `found`:
    None if nothing beat the default."""

    goal: Goal
    default: Simulated
    library: Arm | None
    found: Arm | None
    seconds: float
    rounds: int
    candidates: int


def scenario(
    workload: str, params: Sequence[str], flags: Mapping[str, int] | None = None,
    name: str = "server",
) -> Scenario:  # fmt: skip
    """A shipped workload on a simulated machine."""
    found, _, _ = registry.find(workload)
    assert found is not None, workload
    settings, bad = registry.settings(found, params)
    assert not bad, [one.message for one in bad]
    return Scenario(found, dict(settings), machines.machine(name, dict(flags or {})))


def search(
    words: str, workload: str, params: Sequence[str], seconds: float, jobs: int | None
) -> Held:
    """One search with nothing stored before it."""
    where = scenario(workload, params)
    goal = with_implied(infer(words, where.workload.metrics), where.workload.metrics)
    request = Request(
        goal, where, tuple(params), Limits(rounds=8, seconds=seconds), runs=10, seed=1, jobs=jobs,
        workload=workload,
    )  # fmt: skip
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        done = synthesize(request, SearchEngine(), Library(Place(root / "kept")), root / "run")
        took = time.monotonic() - began
        with Journal(root / "held") as journal:
            fresh = Evaluator(
                goal, where, journal, runs=HELD_RUNS, first_seed=FRESH, jobs=jobs
            )
            shipped = [one for one in done.result.outcomes if one.candidate.how.endswith("stands")]
            best = done.result.best
            return Held(
                goal, fresh.baseline(HELD_RUNS),
                _held(fresh, min(shipped, key=lambda one: one.score, default=None)),
                _held(fresh, best if done.result.improved else None),
                took, done.result.spent.rounds, len(done.result.outcomes),
            )  # fmt: skip


def _held(fresh: Evaluator, outcome: Outcome | None) -> Arm | None:
    """A candidate on the fresh seeds."""
    if outcome is None or outcome.simulated is None:
        return None
    candidate = outcome.candidate
    figures = fresh.measure([candidate], HELD_RUNS)[0]
    against = fresh.compare(figures, fresh.baseline(HELD_RUNS))
    text = _text(candidate)
    assert score(fresh.goal, against) > 0
    return Arm(candidate.how, text, figures, against.ratios, against.met)


def _text(candidate: Candidate) -> str:
    from schedc.synth.written import written

    return written(candidate, "found", candidate.how)


def interval(ratio: Ratio | None) -> str:
    """A paired ratio for a table."""
    if ratio is None:
        return "-"
    word = "" if ratio.finding in ("better", "worse") else ", same"
    return f"{ratio.ratio:.3g} [{ratio.low:.3g}..{ratio.high:.3g}{word}]"


def median(figures: Simulated, metric: str) -> float:
    """The median over the runs."""
    ordered = sorted(figures.values[metric])
    return ordered[len(ordered) // 2]
