"""A `Report` for people and for programs.

Input: a report or one of its runs. Output: rich tables, sentences, diagnostics of void runs, JSON
values. Invariant: nothing is computed here that isn't in the report; the JSON has every figure that
the tables round, in the unit of the metric, and is the same for the same input.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from schedc.diagnostics.model import Diagnostic, error
from schedc.measure.stats import Interval
from schedc.sim.compare import Against, Metric, Row, Word, metrics_of
from schedc.sim.errors import CRASHED, ENDLESS
from schedc.sim.run import Report, Run
from schedc.sim.waits import class_waits, group_waits
from schedc.workload.quantity import UNITS, show_time

if TYPE_CHECKING:
    from rich.table import Table

_STYLE: dict[Word, str] = {"better": "green", "worse": "red", "too few runs": "dim"}
_SHORT: dict[Word, str] = {"no difference": "same", "too few runs": "?"}
_ORDER: tuple[Word, ...] = ("better", "worse", "more", "less", "no difference", "too few runs")


def parts(report: Report) -> Iterator[str | Table]:
    """The comparison; then the longest waits, by group and beside the proved bounds. Text stands
    by itself and not in a table, which would break it to its own width."""
    yield f"{report.scenario.workload.name} on {report.scenario.machine.describe()}"
    if any(one.rows for one in report.comparisons):
        yield _comparison(report)
    yield from _caption(report)
    if (waits := _groups(report)) is not None:
        yield "\nlongest wait for a cpu in any run, by group of the workload"
        yield waits
    if (bounds := _bounds(report)) is not None:
        yield "\nlongest wait by class, beside the proved bound W(N)"
        yield bounds
        yield "N: all tasks of the workload, as no more can contend for one cpu; with more tasks " \
            "than the proof holds for, its own N"
    said = list(sentences(report))
    if said:
        yield ""
        yield from said


def _comparison(report: Report) -> Table:
    """One line a metric: the medians with their intervals, and for each other arm the ratio within
    pairs with the verdict."""
    from rich.table import Table as RichTable

    first = report.arms[0].name
    made = RichTable()
    made.add_column("metric")
    made.add_column(first, justify="right")
    for one in report.comparisons:
        if one.other:
            made.add_column(one.other, justify="right")
            made.add_column(f"{first} : {one.other}", justify="right")
    machine = False
    for rows in zip(*(_aligned(report, one) for one in report.comparisons), strict=True):
        known = [row for row in rows if row is not None]
        if not known:
            continue
        if known[0].metric.system and not machine:
            made.add_section()
            machine = True
        made.add_row(*_cells(known[0].metric, rows, bool(report.comparisons[0].other)))
    return made


def _aligned(report: Report, against: Against) -> list[Row | None]:
    """Rows in the order of the metrics, None where this arm has none."""
    found = {row.metric.name: row for row in against.rows}
    return [found.get(metric.name) for metric in metrics_of(report.scenario.workload)]


def _cells(metric: Metric, rows: tuple[Row | None, ...], others: bool) -> list[str]:
    mine = next(row for row in rows if row is not None).comparison.policy
    cells = [metric.name.replace("_", " "), _interval(mine, metric.unit)]
    for row in rows if others else ():
        if row is None:
            cells += ["-", "-"]
            continue
        word = _SHORT.get(row.verdict, row.verdict)
        if (style := _STYLE.get(row.verdict, "")):
            word = f"[{style}]{word}[/]"
        ratio = f"{_interval(row.comparison.ratio, 'ratio')} {word}"
        cells += [_interval(row.comparison.base, metric.unit),
                  ratio if row.comparison.ratio is not None else "-"]  # fmt: skip
    return cells


def _caption(report: Report) -> Iterator[str]:
    last = report.options.first_seed + report.options.runs - 1
    found = [row.comparison for one in report.comparisons for row in one.rows]
    covered = [one.policy.coverage for one in found if one.policy is not None]
    if covered:
        paired = "; ratios are within pairs of one seed" if any(one.ratio for one in found) else ""
        yield (
            f"medians of {report.options.runs} runs, seeds {report.options.first_seed}..{last}; in "
            f"brackets, what holds the median with {100 * min(covered):.1f}%{paired}"
        )
    if report.void_runs:
        yield f"{len(report.void_runs)} of {len(report.runs)} runs void"


def sentences(report: Report) -> Iterator[str]:
    """Who is better at what, and by how much: plain text."""
    for against in report.comparisons:
        if not against.other:
            continue
        yield f"{against.arm} against {against.other}:"
        said = False
        for word in _ORDER:
            rows = [
                row for row in against.named(word)
                if row.comparison.ratio is not None
                and (row.metric.better or not row.metric.system)
            ]  # fmt: skip
            if rows:
                said = True
                yield f"  {word + ':':15}{'; '.join(_by_how_much(row) for row in rows)}"
        if not said:
            yield "  nothing to compare: no pair of runs counts"


def _by_how_much(row: Row) -> str:
    name, ratio = row.metric.name.replace("_", " "), row.comparison.ratio
    if ratio is None or row.verdict in ("no difference", "too few runs"):
        return name
    return f"{name} ×{_digits(ratio.median)} [{_digits(ratio.low)}..{_digits(ratio.high)}]"


def _groups(report: Report) -> Table | None:
    """The longest wait for a cpu of each group of the workload, under each arm."""
    from rich.table import Table as RichTable

    found = group_waits(report)
    if not found:
        return None
    made = RichTable()
    made.add_column("group")
    made.add_column("tasks", justify="right")
    for arm in report.arms:
        made.add_column(arm.name, justify="right")
    for one in found:
        cells = [show_time(ns) if ns is not None else "-" for ns in one.longest]
        made.add_row(one.group, str(one.tasks), *cells)
    return made


def _bounds(report: Report) -> Table | None:
    """The longest wait of each class beside what is proved of it."""
    from rich.table import Table as RichTable

    found = class_waits(report)
    if not found:
        return None
    made = RichTable()
    for name in ("scheduler", "class", "waits", "longest seen", "bound", "N", "seen : bound"):
        made.add_column(name, justify="left" if name in ("scheduler", "class") else "right")
    for one in found:
        share = one.longest_ns / one.bound_ns
        seen = f"{share:.2f}" if share >= 0.005 else "< 0.01"
        made.add_row(
            one.arm, one.cls, str(one.waits), show_time(one.longest_ns), show_time(one.bound_ns),
            str(one.contenders), f"[bold red]{seen}[/]" if one.exceeded else seen,
        )  # fmt: skip
    return made


def _interval(found: Interval | None, unit: str) -> str:
    if found is None:
        return "-"
    scale, name = _scale(found.median, unit)
    median, low, high = (_digits(one / scale) for one in (found.median, found.low, found.high))
    # A rich table reads [..] as markup.
    return f"{median} \\[{low}..{high}]{name}"


def _scale(median: float, unit: str) -> tuple[float, str]:
    """What figures are divided by, and what stands behind them."""
    if unit == "ns":
        fits = [name for name in ("s", "ms", "us") if median >= UNITS[name]]
        return (UNITS[fits[0]], f" {fits[0]}") if fits else (1, " ns")
    return 1, {"1/s": "/s"}.get(unit, "")


def _digits(value: float) -> str:
    """Three significant digits, and never an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}" if value else "0"


# --- diagnostics


def diagnostics(report: Report) -> tuple[Diagnostic, ...]:
    """One diagnostic for each way in which runs of an arm became void."""
    grouped: dict[tuple[str, str, str], list[Run]] = {}
    for run in report.void_runs:
        assert run.void is not None
        what = run.void.stall.task if run.void.stall else run.void.reason
        grouped.setdefault((run.arm, run.void.code, what), []).append(run)
    return tuple(_void(report, arm, runs) for (arm, _, _), runs in grouped.items())


def _void(report: Report, arm: str, runs: list[Run]) -> Diagnostic:
    voids = [run.void for run in runs if run.void is not None]
    void = voids[0]
    seeds = ", ".join(str(run.seed) for run in runs[:5]) + (", …" if len(runs) > 5 else "")
    notes = [f"in the simulator, workload {report.scenario.workload.name}, "
             f"seed{'s' if len(runs) > 1 else ''} {seeds}"]  # fmt: skip
    which = f"{len(runs)} run{'s' if len(runs) > 1 else ''} of `{arm}` void"
    stalls = [one.stall for one in voids if one.stall is not None]
    if not stalls:
        return error(void.code, f"{which}: {void.reason}", None, notes=[*notes, *void.notes],
                     help=_HELP.get(void.code))  # fmt: skip
    notes += [
        f"`{one.task}` (pid {one.pid}) was runnable for {one.seconds:.3f} s without running"
        for one in stalls[:5]
    ]
    notes.append(f"the kernel throws such a scheduler out and takes over ({void.reason})")
    longest = max(one.seconds for one in stalls)
    return error(
        void.code, f"{which}: `{stalls[0].task}` starved for {longest:.1f} s", None, notes=notes,
        help="see that every queue is taken from, and that no line of `dispatch` before it can "
        "use up all the time",
    )  # fmt: skip


_HELP = {
    CRASHED: "`--debug` builds with checks; the kernel's verifier refuses such memory use",
    ENDLESS: "see that every loop has an end; if the simulation is just large, give it more time "
    "with --limit",
}


# --- JSON


def run_json(report: Report, run: Run) -> dict[str, Any]:
    """One run as a JSON value: the same for the same input, so without the time that it took."""
    result, void = run.result, None
    if run.void is not None:
        stall = run.void.stall
        void = {
            "code": run.void.code, "reason": run.void.reason,
            "starved": dataclasses.asdict(stall) if stall is not None else None,
        }
    found: dict[str, Any] = {
        "type": "run", "arm": run.arm, "pair": run.pair, "seed": run.seed, "void": void,
    }
    if result is None:
        return {**found, "metrics": {}, "ended_ns": None, "events": None, "groups": [],
                "classes": [], "queues": []}  # fmt: skip
    names = [metric.name for metric in metrics_of(report.scenario.workload)]
    return {
        **found, "metrics": {name: result.value(name) for name in names},
        "ended_ns": result.ended_ns, "events": result.events,
        "groups": [dataclasses.asdict(one) for one in result.groups],
        "classes": [dataclasses.asdict(one) for one in result.classes],
        "queues": [dataclasses.asdict(one) for one in result.queues],
    }


def report_json(report: Report) -> dict[str, Any]:
    """The whole report without its runs, which have lines of their own."""
    return {
        "type": "report", "workload": report.scenario.workload.name,
        "arms": [
            {"name": arm.name, "built_in": arm.built_in or None, "classes": list(arm.classes),
             "queues": list(arm.queues)}
            for arm in report.arms
        ],
        "machine": report.scenario.machine.as_json(), "settings": dict(report.scenario.settings),
        "runs": len(report.runs), "void": len(report.void_runs),
        "comparisons": [
            {
                "metric": row.metric.name, "unit": row.metric.unit,
                "better": row.metric.better or None, "arm": one.arm, "against": one.other or None,
                "policy": _interval_json(row.comparison.policy),
                "base": _interval_json(row.comparison.base),
                "ratio": _interval_json(row.comparison.ratio),
                "verdict": row.verdict,
            }
            for one in report.comparisons
            for row in one.rows
        ],
        "waits": [dataclasses.asdict(one) for one in class_waits(report)],
        "groups": [dataclasses.asdict(one) for one in group_waits(report)],
    }  # fmt: skip


def _interval_json(found: Interval | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {name: getattr(found, name) for name in ("median", "low", "high", "coverage", "n")}
