"""A `RunReport` for people and for programs.

Input: a report or one of its runs. Output: a rich table, diagnostics of void runs, JSON values.
Invariant: nothing is computed here that isn't in the report; the JSON has every figure that the
table rounds, in the unit of the metric.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from schedc.diagnostics.model import Diagnostic, error
from schedc.measure.paired import Comparison
from schedc.measure.stats import Finding, Interval
from schedc.source import Source
from schedc.vm.measure import Run, RunReport
from schedc.vm.show import diagnostics_of
from schedc.workload.metrics import METRICS
from schedc.workload.quantity import UNITS, show_time

if TYPE_CHECKING:
    from rich.table import Table

_STYLE = {Finding.better: "green", Finding.worse: "red", Finding.same: "", Finding.unknown: "dim"}

_SHORT = {Finding.same: "within noise"}


def table(report: RunReport) -> Table:
    """One line a metric: both medians with their intervals, the paired ratio, the verdict."""
    from rich.table import Table as RichTable

    made = RichTable(
        title=f"{report.workload} on {report.kernel}, {report.cpus} cpus, {report.clock} clock",
        title_justify="left",
        caption=_caption(report),
        caption_justify="left",
    )
    made.add_column("metric")
    if report.base:
        made.add_column(report.base, justify="right")
    made.add_column(report.policy, justify="right")
    if report.base:
        made.add_column("ratio", justify="right")
        made.add_column("verdict")
    for one in report.comparisons:
        unit = METRICS[one.metric].unit
        cells = [one.metric.replace("_", " ")]
        if report.base:
            cells.append(_interval(one.base, unit))
        cells.append(_interval(one.policy, unit))
        if report.base:
            cells += [_interval(one.ratio, "ratio"), _finding(one)]
        made.add_row(*cells)
    return made


def _caption(report: RunReport) -> str:
    from rich.markup import escape

    pairs = max((one.ratio.n for one in report.comparisons if one.ratio), default=0)
    lines = []
    if pairs:
        covered = min(one.ratio.coverage for one in report.comparisons if one.ratio)
        lines.append(
            f"medians of {pairs} interleaved pairs; in brackets, what holds the median with "
            f"{100 * covered:.1f}%; ratio is {report.policy} : {report.base} within pairs"
        )
    void = len(report.void_runs)
    if void:
        lines.append(f"{void} of {len(report.runs)} runs void")
    if report.clock == "icount":
        lines.append("instruction clock: cpus take turns, so times are no hardware's")
    lines += report.notes
    return escape("\n".join(lines))


def _finding(one: Comparison) -> str:
    style = _STYLE[one.finding]
    text = _SHORT.get(one.finding, one.finding.value)
    return f"[{style}]{text}[/]" if style else text


def _interval(found: Interval | None, unit: str) -> str:
    if found is None:
        return "-"
    scale, name = _scale(found.median) if unit == "ns" else (1, "/s" if unit == "1/s" else "")
    median, low, high = (_digits(one / scale) for one in (found.median, found.low, found.high))
    # A rich table reads [..] as markup.
    return f"{median} \\[{low}..{high}]{name}"


def _scale(ns: float) -> tuple[int, str]:
    """The largest unit of time that a figure fills, for its bounds too."""
    fits = [name for name in ("s", "ms", "us") if ns >= UNITS[name]]
    return (UNITS[fits[0]], f" {fits[0]}") if fits else (1, " ns")


def _digits(value: float) -> str:
    """Three significant digits, and never an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}" if value else "0"


def counters(report: RunReport) -> Table | None:
    """What the policy counted in its last run that counts: classes and queues."""
    from rich.table import Table as RichTable

    mine = [run for run in report.runs if run.arm == report.policy and run.counts]
    verdict = mine[-1].outcome.verdict if mine else None
    if verdict is None or not any(one.run or one.enqueued for one in verdict.classes):
        return None
    made = RichTable(title=f"counters of {report.policy}, last run", title_justify="left")
    for name in ("class", "enqueued", "direct", "run", "preempted", "ran", "wait mean", "wait max"):
        made.add_column(name, justify="left" if name == "class" else "right")
    for index, one in enumerate(verdict.classes):
        mean = one.wait_ns / one.run if one.run else 0
        made.add_row(
            name_of(report.classes, index), str(one.enqueued), str(one.direct), str(one.run),
            str(one.preempted), show_time(one.ran_ns), show_time(mean), show_time(one.wait_max_ns),
        )
    return made


def name_of(names: tuple[str, ...], index: int) -> str:
    """A class or queue by its index; objects that were not compiled here have no names."""
    return names[index] if index < len(names) else f"#{index}"


def diagnostics(report: RunReport, source: Source | None = None) -> tuple[Diagnostic, ...]:
    """One diagnostic for each way in which runs of an arm became void."""
    grouped: dict[tuple[str, str, str], list[Run]] = {}
    for run in report.void_runs:
        void = run.outcome.void
        assert void is not None
        what = void.stall.task if void.stall else void.reason
        grouped.setdefault((run.arm, void.code, what), []).append(run)
    found: list[Diagnostic] = []
    for (arm, _, _), runs in grouped.items():
        verdict = runs[0].outcome.verdict
        if verdict is not None and not verdict.attaches and not verdict.good:
            # It never ran: what `vm check` says of it is all there is to say.
            found += diagnostics_of(verdict, source if arm == report.policy else None)
        else:
            found.append(_void(arm, runs, report))
    return tuple(found)


def _void(arm: str, runs: list[Run], report: RunReport) -> Diagnostic:
    voids = [run.outcome.void for run in runs if run.outcome.void is not None]
    void = voids[0]
    which = f"{len(runs)} run{'s' if len(runs) > 1 else ''} of `{arm}` void"
    notes = [f"on kernel {report.kernel}, workload {report.workload}"]
    stalls = [one.stall for one in voids if one.stall is not None]
    if not stalls:
        return error(void.code, f"{which}: {void.reason}", None, notes=notes)
    notes += [
        f"`{one.task}` (pid {one.pid}) was runnable for {one.seconds:.3f} s without running"
        for one in stalls
    ]
    notes.append(f"the kernel threw the scheduler out and took over ({void.reason})")
    longest = max(one.seconds for one in stalls)
    return error(
        void.code, f"{which}: `{stalls[0].task}` starved for {longest:.1f} s", None, notes=notes,
        help="see that every queue is taken from, and that no line of `dispatch` before it can "
        "use up all the time",
    )


def run_json(run: Run, metrics: tuple[str, ...]) -> dict[str, Any]:
    """One run as a JSON value."""
    outcome = run.outcome
    values: Mapping[str, float | None] = (
        {} if outcome.result is None else {name: outcome.result.value(name) for name in metrics}
    )
    void = None
    if outcome.void is not None:
        stall = outcome.void.stall
        void = {
            "code": outcome.void.code,
            "reason": outcome.void.reason,
            "starved": dataclasses.asdict(stall) if stall is not None else None,
        }
    verdict = outcome.verdict
    return {
        "type": "run", "arm": run.arm, "pair": run.pair, "seed": run.seed, "warmup": run.warmup,
        "void": void, "metrics": values,
        "extra": dict(outcome.result.extra) if outcome.result is not None else {},
        "classes": [dataclasses.asdict(one) for one in verdict.classes] if verdict else [],
        "queues": [dataclasses.asdict(one) for one in verdict.queues] if verdict else [],
        "events": dict(verdict.events) if verdict else {},
    }


def report_json(report: RunReport) -> dict[str, Any]:
    """The whole report without its runs, which have lines of their own."""
    return {
        "type": "report", "workload": report.workload, "policy": report.policy,
        "against": report.base or None, "kernel": report.kernel, "clock": report.clock,
        "cpus": report.cpus, "settings": dict(report.settings), "spin_rate": report.spin_rate,
        "runs": len(report.runs), "void": len(report.void_runs), "notes": list(report.notes),
        "classes": list(report.classes), "queues": list(report.queues),
        "emulator_faults": report.emulator_faults,
        "comparisons": [
            {
                "metric": one.metric, "unit": METRICS[one.metric].unit,
                "better": METRICS[one.metric].better, "policy": _interval_json(one.policy),
                "against": _interval_json(one.base), "ratio": _interval_json(one.ratio),
                "verdict": one.finding.value,
            }
            for one in report.comparisons
        ],
    }


def _interval_json(found: Interval | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {name: getattr(found, name) for name in ("median", "low", "high", "coverage", "n")}
