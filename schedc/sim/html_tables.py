"""The report's headline tables: who is better at what, by how much, with which interval.

Input: an `Against`. Output: a `Table` of texts. Invariant: what is said in words is what the
verdict and the interval say; no figure is computed here but its rounding.
"""

from __future__ import annotations

from schedc.measure.stats import Interval
from schedc.records import dataclass
from schedc.sim import plot
from schedc.sim.compare import Against, Row
from schedc.workload.metrics import METRICS
from schedc.workload.quantity import UNITS

_SYSTEM_DOC = {
    "longest_wait": "longest wait of any task for a cpu",
    "utilisation": "share of all cpus' time that was used",
    "fairness": "Jain's index of cpu time by weight, of the tasks that always wanted a cpu",
    "context_switches": "switches from one task to another",
    "preemptions": "running tasks that lost their cpu",
    "migrations": "tasks that ran on another cpu than before",
    "idle_wakeups": "idle cpus that were given work",
}
_SIGNS = {"better": "▲", "worse": "▼", "less": "↓", "more": "↑", "no difference": "=",
          "too few runs": "?"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cells:
    """One metric of a table, as texts."""

    name: str
    doc: str
    arm: str
    other: str
    ratio: str
    forest: plot.Forest | None
    kind: str
    sign: str
    words: str


@dataclass(frozen=True, slots=True)
class Table:
    """`plain`: metrics that are neither good nor bad in themselves."""

    arm: str
    other: str
    summary: str
    better: tuple[str, ...]
    worse: tuple[str, ...]
    rows: tuple[Cells, ...]
    plain: tuple[Cells, ...]
    note: str


def table(against: Against) -> Table:
    if against.other and not any(row.comparison.ratio for row in against.rows):
        sentence = "No pair of runs counts, so there is nothing to compare."
        return Table(against.arm, against.other, sentence, (), (), (), (), "")
    ratios = [row.comparison.ratio for row in against.rows if row.comparison.ratio is not None]
    note = ""
    if ratios:
        pairs, covered = max(one.n for one in ratios), min(one.coverage for one in ratios)
        note = (
            f"Medians of {pairs} pairs of runs with equal seeds. In brackets, what holds the true "
            f"median with {100 * covered:.1f}%. Ratio: {against.arm} over {against.other}, within "
            "pairs; the line is its interval, the dot its median, between ⅛ and 8."
        )
    return Table(
        against.arm, against.other, _summary(against),
        tuple(_short(row) for row in against.named("better")),
        tuple(_short(row) for row in against.named("worse")),
        tuple(_cells(row) for row in against.rows if row.metric.better),
        tuple(_cells(row) for row in against.rows if not row.metric.better), note,
    )  # fmt: skip


def _summary(against: Against) -> str:
    """Who is better at how much, in one sentence."""
    judged = [row for row in against.rows if row.metric.better]
    better, worse = len(against.named("better")), len(against.named("worse"))
    unknown = sum(row.verdict == "too few runs" for row in judged)
    if not against.other:
        return ""
    if judged and unknown == len(judged):
        return "Too few runs for a verdict: five pairs at least are needed."
    return (
        f"Better at {better} of {len(judged)} measures, worse at {worse}, "
        f"no difference beyond noise at {len(judged) - better - worse - unknown}."
    )


def _short(row: Row) -> str:
    return f"{_name(row)}: {_change(row)}"


def _name(row: Row) -> str:
    return row.metric.name.replace("_", " ")


def _change(row: Row) -> str:
    """`47% lower`, `2.3 times as high`: the median ratio in words."""
    found = row.comparison.ratio
    if found is None or found.median == 1:
        return "as before"
    if found.median >= 2:
        return f"{_digits(found.median)} times as high"
    if found.median <= 0:
        return "down to nothing"
    change = 100 * abs(found.median - 1)
    number = _percent(change) if change < 10 else _whole(change)
    return f"{number}% {'lower' if found.median < 1 else 'higher'}"


def _cells(row: Row) -> Cells:
    comparison, unit = row.comparison, row.metric.unit
    known = METRICS.get(row.metric.name)
    words = row.verdict if row.verdict in ("no difference", "too few runs") else _change(row)
    kind = row.verdict if row.verdict in ("better", "worse") else "same"
    return Cells(
        _name(row), known.doc if known else _SYSTEM_DOC.get(row.metric.name, ""),
        _interval(comparison.policy, unit), _interval(comparison.base, unit),
        _interval(comparison.ratio, "ratio"), plot.forest(comparison.ratio), kind,
        _SIGNS[row.verdict], words if kind == "same" else f"{row.verdict}, {words}",
    )  # fmt: skip


def _interval(found: Interval | None, unit: str) -> str:
    """`18.4 us [17.9 .. 18.9]`: the bounds in the unit of the median."""
    if found is None:
        return "–"
    scale, suffix = _scale(found.median, unit)
    write = _whole if unit == "count" else _percent if unit == "share" else _digits
    median, low, high = (write(value / scale) for value in (found.median, found.low, found.high))
    return f"{median}{suffix}" if low == high else f"{median}{suffix} [{low} .. {high}]"


def _scale(median: float, unit: str) -> tuple[float, str]:
    match unit:
        case "ns":
            fits = [name for name in ("s", "ms", "us") if abs(median) >= UNITS[name]]
            return (UNITS[fits[0]], f" {fits[0]}") if fits else (1, " ns")
        case "share":
            return 0.01, "%"
        case "1/s":
            return 1, "/s"
        case _:
            return 1, ""


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{value:.1f}" if value < 99.95 else f"{value:.2f}"


def _digits(value: float) -> str:
    """Three significant digits, and never an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}" if value else "0"
