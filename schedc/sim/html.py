"""A simulation as one HTML file that needs nothing else.

Input: a `Report` (with a trace of each arm's first run for the timeline), the command that made it
and the version. Output: the text of the page. Invariant: the page loads nothing, from anywhere (its
Content-Security-Policy allows only the style and the script in it, by their hashes); every name in
it is escaped, by jinja2 or as JSON; the same report gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence

import jinja2
from markupsafe import Markup

from schedc.data import data_path, read_data
from schedc.records import dataclass
from schedc.sim import plot
from schedc.sim.html_tables import table
from schedc.sim.run import Report, Run
from schedc.sim.scenario import Arm
from schedc.sim.timeline import Timeline, timeline, window
from schedc.sim.trace import BadTrace, read_trace
from schedc.sim.waits import class_waits, group_waits
from schedc.workload.histogram import Histogram
from schedc.workload.quantity import show_time
from schedc.workload.registry import show

_FOLDER = "backends/sim/report"
COLOURS = 8
"""Groups of tasks beyond so many share colours; the list of groups says so."""
MOST_CPUS = 64
"""So many rows are drawn; the rest is in the Perfetto trace."""

_HISTOGRAMS = {
    "wakeup": ("Wake-up latency", "from a wake-up until the task runs"),
    "request": ("Request latency", "from a request's arrival until its work is done"),
    "child_life": ("Life of a child", "from a fork until the child is reaped"),
    "victim_wait": ("Waits of the victim", "of 50 µs or more, of a task that wants a cpu"),
    "wait": ("Waits for a cpu", "of all tasks, each time they are runnable"),
}


@dataclass(frozen=True, slots=True)
class _BoundRow:
    """`share`: of the bound, in per cent; `words`: as it is shown."""

    name: str
    arm: str
    seen: str
    bound: str
    contenders: int
    share: float
    words: str
    over: bool


@dataclass(frozen=True, slots=True)
class _Colour:
    number: int
    name: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """The timeline. `data`: what the script needs, as JSON values."""

    rows: tuple[plot.Rows, ...]
    captions: tuple[str, ...]
    colours: tuple[_Colour, ...]
    cpus: int
    all_cpus: int
    pitch: int
    ticks: tuple[plot.Tick, ...]
    length: str
    seed: int
    data: dict[str, object]


def page(report: Report, *, command: str, version: str) -> str:
    """The text of the file."""
    style, script = read_data(f"{_FOLDER}/report.css"), read_data(f"{_FOLDER}/report.js")
    shown = _timeline(report)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(data_path(_FOLDER))),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("report.html.j2").render(
        arms=[arm.name for arm in report.arms],
        workload=report.scenario.workload.name,
        about=report.scenario.workload.description,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        tables=[table(one) for one in report.comparisons],
        figures=list(_figures(report)),
        figure_table=[name for _, name in plot.TABLE],
        width=plot.WIDTH,
        height=plot.HEIGHT,
        timeline=shown,
        bounds=list(_bounds(report)),
        groups=list(_groups(report)),
        facts=list(_facts(report, version)),
        voids=list(_voids(report)),
        command=command,
    )
    # A file's name in the command may be no text: what isn't is shown as "?".
    return text.encode("utf-8", "replace").decode()


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy: nothing but this style and this script."""
    allowed = f"style-src {_hash(style)}; script-src {_hash(script)}"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# --- distributions


def _figures(report: Report) -> Iterator[plot.Figure]:
    for name, (title, about) in _HISTOGRAMS.items():
        arms = [(arm.name, _histograms(report.of(arm.name), name)) for arm in report.arms]
        made = plot.percentiles(title, about, arms)
        if made is not None:
            yield made


def _histograms(runs: Sequence[Run], name: str) -> list[Histogram]:
    found = []
    for run in runs:
        result = run.result
        if result is not None and name == "wait":
            found.append(result.waits)
        elif result is not None and result.workload is not None:
            found.append(result.workload.histograms.get(name, Histogram()))
    return found


# --- the timeline


def _timeline(report: Report) -> _Shown | None:
    """Of the runs that left a trace that can be read; None if there is none."""
    lines = [(number, arm, line) for number, arm in enumerate(report.arms)
             if (line := _traced(report, arm)) is not None and line.ended_ns > 0]  # fmt: skip
    if not lines:
        return None
    start, end = window([line for _, _, line in lines])
    names = {number: name for _, _, line in reversed(lines)
             for number, name in line.tasks.group_name.items()}  # fmt: skip
    colours = {group: number % COLOURS for number, group in enumerate(sorted(names))}
    tasks: dict[tuple[str, int, int], int] = {}
    drawn = tuple(
        plot.rows(number, arm.name, line, start, end, colours, tasks, MOST_CPUS)
        for number, arm, line in lines
    )
    all_cpus = max(line.nr_cpus for _, _, line in lines)
    cpus = min(all_cpus, MOST_CPUS)
    data: dict[str, object] = {
        "start": start, "end": end, "units": plot.UNITS, "cpus": cpus,
        "tasks": [[name, pid, names.get(_group_of(lines, pid), "")] for name, pid, _ in tasks],
        "arms": [one.spans for one in drawn],
    }  # fmt: skip
    return _Shown(
        drawn, tuple(_caption(line, start, end) for _, _, line in lines),
        tuple(_Colour(colours[group], names[group]) for group in sorted(names)),
        cpus, all_cpus, 18 if cpus <= 16 else 12 if cpus <= 32 else 8,
        plot.time_ticks(start, end), show_time(end - start), report.options.first_seed, data,
    )  # fmt: skip


def _traced(report: Report, arm: Arm) -> Timeline | None:
    data = next((run.trace for run in report.runs if run.arm == arm.name and run.trace), b"")
    try:
        return timeline(read_trace(data)) if data else None
    except BadTrace:
        return None  # of a run that died in its first moments; that it is void is said elsewhere


def _group_of(lines: Sequence[tuple[int, Arm, Timeline]], pid: int) -> int:
    return next(line.tasks.group[pid] for _, _, line in lines if pid in line.tasks.group)


def _caption(line: Timeline, start: int, end: int) -> str:
    wait = line.longest
    if wait is None:
        return "Nobody waited."
    name = line.tasks.comm.get(wait.pid, f"task {wait.pid}")
    text = f"Longest wait of this run: {show_time(wait.ns)}, by {name} ({wait.pid})"
    if not wait.over:
        text += ", and still waiting when the run ended"
    inside = wait.end > start and wait.start < end
    return text + ("." if inside else f", at {wait.start / 1e9:.3f} s: outside this window.")


# --- waits and bounds


def _bounds(report: Report) -> Iterator[_BoundRow]:
    """The longest wait of each class over all runs that count, beside its proved bound."""
    for one in class_waits(report):
        share = 100 * one.longest_ns / one.bound_ns
        words = f"{share:.0f}%" if share >= 10 else f"{share:.2g}%"
        yield _BoundRow(
            one.cls, one.arm, show_time(one.longest_ns), show_time(one.bound_ns),
            one.contenders, share, words, one.exceeded,
        )  # fmt: skip


def _groups(report: Report) -> Iterator[tuple[str, int, list[str]]]:
    """Name, number of tasks, and the longest wait under each arm."""
    for one in group_waits(report):
        texts = [show_time(wait) if wait is not None else "–" for wait in one.longest]
        yield one.group, one.tasks, texts


# --- the rest


def _facts(report: Report, version: str) -> Iterator[tuple[str, str]]:
    scenario, options = report.scenario, report.options
    yield "Machine", scenario.machine.describe()
    yield "Costs", ", ".join(
        f"{name.replace('_', ' ')} {show_time(ns)}" for name, ns in scenario.machine.costs.items()
    )
    params = scenario.workload.params
    settings = ", ".join(
        f"{name}={show(params[name], value)}" for name, value in scenario.settings.items()
    )
    yield "Workload", f"{scenario.workload.name}{': ' if settings else ''}{settings}"
    seeds = f"{options.first_seed}..{options.first_seed + options.runs - 1}"
    yield "Runs", f"{options.runs} of each scheduler, seeds {seeds}; {len(report.void_runs)} void"
    yield "Version", f"schedc {version}"


def _voids(report: Report) -> Iterator[str]:
    """Each way in which runs became void, once, with the seeds."""
    grouped: dict[tuple[str, str, str], list[int]] = {}
    for run in report.void_runs:
        assert run.void is not None
        grouped.setdefault((run.arm, run.void.code, run.void.reason), []).append(run.seed)
    for (arm, code, reason), seeds in grouped.items():
        word = "seed" if len(seeds) == 1 else "seeds"
        yield f"{arm}, {word} {', '.join(map(str, seeds))}: {reason} ({code})"
