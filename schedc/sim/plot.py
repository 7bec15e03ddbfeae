"""The geometry of the report's drawings.

Input: histograms, intervals, timelines. Output: coordinates, path data and texts of ticks, as the
template puts them into SVG. Invariant: nothing here is markup, so that all names are escaped in one
place; the same input gives the same text (coordinates are rounded to a tenth).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log, log10

from schedc.measure.stats import Interval, interval
from schedc.records import dataclass
from schedc.sim.timeline import Timeline, Wait, visible
from schedc.workload.histogram import Histogram
from schedc.workload.quantity import show_time

WIDTH, HEIGHT = 420, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 10, 34
_STEPS = 60
_MOST_NINES = 5
FLOOR_NS = 100
"""Less is drawn as this: a wait of 0 ns has no place on a logarithmic axis."""
_LEFTMOST = -log10(0.9)
"""Drawings begin at 10%: the very shortest latencies would take half of the height."""
_NINES = ((log10(2), "50%"), (1.0, "90%"), (2.0, "99%"), (3.0, "99.9%"), (4.0, "99.99%"))

TABLE = ((0.5, "median"), (0.9, "90%"), (0.99, "99%"), (0.999, "99.9%"), (1.0, "longest"))
"""What the table beside a drawing shows."""

_FOREST_WIDTH, _FOREST_SPAN = 132, 8.0

UNITS = 100_000
"""The width of a timeline's window in its own coordinates."""
ROW, GAP = 10, 2


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Curve:
    """An arm's percentiles: the median over its runs as a line, the interval as a band.
    `figures`: texts for the table."""

    arm: int
    name: str
    line: str
    band: str
    figures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """`x`, `y`: ticks inside the frame."""

    title: str
    about: str
    curves: tuple[Curve, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]


def percentiles(
    title: str, about: str, arms: Sequence[tuple[str, Sequence[Histogram]]]
) -> Figure | None:
    """Latency over percentile, both logarithmic: half as many samples beyond each equal step to the
    right. None if no arm has samples."""
    filled = [
        (number, name, [one for one in histograms if one.counts])
        for number, (name, histograms) in enumerate(arms)
    ]
    filled = [one for one in filled if one[2]]
    if not filled:
        return None
    count = max(histogram.count for _, _, of in filled for histogram in of)
    right = min(max(log10(count), 1.0), float(_MOST_NINES))
    steps = [_LEFTMOST + (right - _LEFTMOST) * step / _STEPS for step in range(_STEPS + 1)]
    shares = [1 - 10**-step for step in steps]
    series = [(number, name, _series(of, shares), of) for number, name, of in filled]
    ends = [one for _, _, points, _ in series for one in points]
    y = _Log(min(one.low for one in ends), max(one.high for one in ends))
    curves = tuple(
        Curve(number, name, *_paths(points, y), _table(of)) for number, name, points, of in series
    )
    width = right - _LEFTMOST
    x = tuple(
        Tick(_x((at - _LEFTMOST) / width), label) for at, label in _NINES if at <= right + 1e-9
    )
    return Figure(title, about, curves, x, y.ticks())


def _series(histograms: Sequence[Histogram], shares: Sequence[float]) -> list[Interval]:
    found = []
    for share in shares:
        values = [histogram.quantile(share) for histogram in histograms]
        one = interval([max(value, FLOOR_NS) for value in values if value is not None])
        assert one is not None
        found.append(one)
    return found


def _table(histograms: Sequence[Histogram]) -> tuple[str, ...]:
    texts = []
    for share, _ in TABLE:
        values = [histogram.quantile(share) for histogram in histograms]
        one = interval([value for value in values if value is not None])
        texts.append(show_time(one.median) if one is not None else "–")
    return tuple(texts)


def _x(share: float) -> float:
    return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)


@dataclass(frozen=True, slots=True)
class _Log:
    """A logarithmic axis of ns, from the bottom of the frame to its top, with some air."""

    low: float
    high: float

    def at(self, value: float) -> float:
        low, high = self._ends()
        share = (log10(value) - low) / (high - low)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP), 1)

    def _ends(self) -> tuple[float, float]:
        low, high = log10(self.low), log10(self.high)
        air = max(0.05 * (high - low), 0.15 if high - low < 0.3 else 0.0)
        return low - air, high + air

    def ticks(self) -> tuple[Tick, ...]:
        low, high = self._ends()
        digits = (1,) if high - low > 3 else (1, 3) if high - low > 1.2 else (1, 2, 3, 5, 7)
        values = [
            digit * 10**power for power in range(floor(low), ceil(high) + 1) for digit in digits
        ]
        inside = [value for value in values if low <= log10(value) <= high]
        return tuple(Tick(self.at(value), show_time(value)) for value in inside)


def _paths(points: Sequence[Interval], y: _Log) -> tuple[str, str]:
    steps = len(points) - 1
    xs = [_x(step / steps) for step in range(steps + 1)]
    middle = _path(zip(xs, (y.at(one.median) for one in points), strict=True))
    if all(one.low == one.high for one in points):
        return middle, ""
    upper = list(zip(xs, (y.at(one.high) for one in points), strict=True))
    lower = list(zip(xs, (y.at(one.low) for one in points), strict=True))
    return middle, _path([*upper, *reversed(lower)]) + "Z"


def _path(points: Sequence[tuple[float, float]] | zip[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


@dataclass(frozen=True, slots=True)
class Forest:
    """A ratio and its interval on a logarithmic line; `low`..`high` are cut to the drawing."""

    one: float
    dot: float
    low: float
    high: float


def forest(found: Interval | None) -> Forest | None:
    """Where a ratio lies between 1/8 and 8; None if there is none."""
    if found is None:
        return None
    return Forest(*(_ratio_x(value) for value in (1.0, found.median, found.low, found.high)))


def _ratio_x(ratio: float) -> float:
    share = log(max(ratio, 1e-9)) / log(_FOREST_SPAN)
    return round(_FOREST_WIDTH / 2 + max(-1.0, min(1.0, share)) * (_FOREST_WIDTH / 2 - 6), 1)


@dataclass(frozen=True, slots=True)
class Rows:
    """One arm's window. `paths`: by colour, the spans as one path. `spans`: flat, four numbers
    each (cpu, x, width, index of the task), for what answers to a pointer. `wait`: the run's
    longest wait, as x and width, if it is in the window."""

    arm: int
    name: str
    paths: tuple[tuple[int, str], ...]
    spans: tuple[int, ...]
    wait: tuple[int, int, int] | None
    longest: Wait | None


def rows(
    number: int, name: str, line: Timeline, start: int, end: int, colours: Mapping[int, int],
    tasks: dict[tuple[str, int, int], int], most_cpus: int,
) -> Rows:
    """The spans of a window as paths and numbers. `tasks` (name, pid, colour) is added to."""
    scale = UNITS / (end - start)
    paths: dict[int, list[str]] = {}
    flat: list[int] = []
    for begin, stop, cpu, pid in visible(line, start, end):
        if cpu >= most_cpus:
            continue
        x = round((begin - start) * scale)
        width = max(1, round((stop - start) * scale) - x)
        colour = colours.get(line.tasks.group.get(pid, -1), 0)
        who = (line.tasks.comm.get(pid, f"task {pid}"), pid, colour)
        flat += (cpu, x, width, tasks.setdefault(who, len(tasks)))
        paths.setdefault(colour, []).append(f"M{x} {cpu * (ROW + GAP)}h{width}v{ROW}h-{width}z")
    joined = tuple((colour, "".join(paths[colour])) for colour in sorted(paths))
    return Rows(number, name, joined, tuple(flat), _wait(line, start, end, colours), line.longest)


def _wait(
    line: Timeline, start: int, end: int, colours: Mapping[int, int]
) -> tuple[int, int, int] | None:
    wait = line.longest
    if wait is None or wait.end <= start or wait.start >= end:
        return None
    scale = UNITS / (end - start)
    x = round((max(wait.start, start) - start) * scale)
    width = max(1, round((min(wait.end, end) - start) * scale) - x)
    return x, width, colours.get(line.tasks.group.get(wait.pid, -1), 0)


def time_ticks(start: int, end: int) -> tuple[Tick, ...]:
    """Round instants of a window: `at` in per cent of its width."""
    step = next(
        digit * 10**power
        for power in range(14)
        for digit in (1, 2, 5)
        if digit * 10**power * 5 >= end - start
    )
    first = -(-start // step) * step
    return tuple(
        Tick(round(100 * (at - start) / (end - start), 2), show_instant(at, step))
        for at in range(first, end + 1, step)
    )


def show_instant(ns: int, step: int) -> str:
    """An instant of the run, as exact as the ticks lie apart."""
    unit, name = next(
        ((size, name) for size, name in ((10**9, "s"), (10**6, "ms")) if step * 5 >= size),
        (10**3, "us"),
    )
    digits = max(0, len(str(unit)) - len(str(step)))
    return f"{ns / unit:.{digits}f} {name}"
