"""The first arm against each other one, metric by metric.

Input: results by arm and pair. Output: `Against` for each other arm. Invariant: a verdict needs the
whole interval of the paired ratios on one side of 1 (`schedc.measure.stats`); what is neither good
nor bad in itself, such as how many switches there were, gets `more` or `less`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from schedc.measure.paired import Comparison, paired
from schedc.measure.stats import Finding
from schedc.records import dataclass
from schedc.sim.results import SYSTEM, RunResult
from schedc.sim.scenario import Arm
from schedc.workload.histogram import SUB_BITS
from schedc.workload.metrics import METRICS
from schedc.workload.model import Workload

Better = Literal["lower", "higher", ""]

_BETTER: Mapping[str, Better] = {"longest_wait": "lower", "fairness": "higher"}
"""Of the metrics of the machine; the others are neither good nor bad in themselves."""

SMALLEST = 0.005
"""A ratio within half a per cent of 1 is called no difference: a simulation has so little noise
that less would often be certain, and never matter."""

Word = Literal["better", "worse", "less", "more", "no difference", "too few runs"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is shown: `unit` ns, 1/s, cpus, share or count."""

    name: str
    unit: str
    better: Better
    resolution: float
    system: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of both arms; `verdict` is about the first."""

    metric: Metric
    comparison: Comparison
    verdict: Word


@dataclass(frozen=True, slots=True)
class Against:
    """The first arm (`arm`) against another (`other`; empty if there is none)."""

    arm: str
    other: str
    rows: tuple[Row, ...]

    def named(self, verdict: Word) -> tuple[Row, ...]:
        """The rows with this verdict."""
        return tuple(row for row in self.rows if row.verdict == verdict)


def metrics_of(workload: Workload) -> tuple[Metric, ...]:
    """The workload's metrics, then those of the machine."""
    own = tuple(
        Metric(one.name, one.unit, one.better, 2.0**-SUB_BITS if one.histogram else SMALLEST, False)
        for one in (METRICS[name] for name in workload.metrics)
        if one.name not in SYSTEM
    )
    return own + tuple(
        Metric(name, unit, _BETTER.get(name, ""), SMALLEST, True) for name, unit in SYSTEM.items()
    )


def compare(
    arms: Sequence[Arm], results: Mapping[str, Mapping[int, RunResult]], workload: Workload
) -> tuple[Against, ...]:
    """The first arm against each other; against nobody if it is alone."""
    first = arms[0].name
    others = [arm.name for arm in arms[1:]] or [""]
    return tuple(
        Against(first, other, tuple(_rows(results, first, other, workload))) for other in others
    )


def _rows(
    results: Mapping[str, Mapping[int, RunResult]], first: str, other: str, workload: Workload
) -> list[Row]:
    found = []
    for metric in metrics_of(workload):
        mine = figures(results.get(first, {}), metric.name)
        theirs = figures(results.get(other, {}), metric.name)
        if not mine and not theirs:
            continue
        comparison = paired(
            metric.name, mine, theirs, lower_is_better=metric.better != "higher",
            resolution=metric.resolution,
        )
        found.append(Row(metric, comparison, _word(metric, comparison.finding)))
    return found


def figures(results: Mapping[int, RunResult], metric: str) -> dict[int, float]:
    """A metric by pair."""
    return {
        pair: value
        for pair, result in sorted(results.items())
        if (value := result.value(metric)) is not None
    }


def _word(metric: Metric, finding: Finding) -> Word:
    match finding:
        case Finding.unknown:
            return "too few runs"
        case Finding.same:
            return "no difference"
        case Finding.better:
            return "better" if metric.better else "less"
        case Finding.worse:
            return "worse" if metric.better else "more"
