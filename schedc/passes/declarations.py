"""Lowering declarations: tunables, cpu sets, queues, assumptions.

Input: the symbols. Output: `ir` declarations, or None where one is mistaken. Invariant: every
number in a result is inside the bounds that the language gives for it (E0303, E0304, E0313).
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.ir.facts import RANGES
from schedc.ir.nodes import Kind
from schedc.passes import types
from schedc.passes.lower_expr import lower_number
from schedc.passes.report import Report
from schedc.passes.symbols import Symbols
from schedc.records import dataclass
from schedc.syntax import tree

DEFAULT_RUNNABLE = 64
DEFAULT_CGROUPS = 64
MAX_RUNNABLE = 65_536
MAX_CGROUPS = 4096
MAX_CPU = 511
MAX_LLC = 511
MAX_DRIFT_SHIFT = 20
MAX_WINDOW_NS = 10 * 1_000_000_000
WATCHDOG_NS = 30 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Assumptions:
    runnable: int
    weight: ir.Interval
    cgroups: int


def out_of_bounds(
    report: Report, number: tree.Number, what: str, low: int, high: int, unit: str = ""
) -> bool:
    """E0313 unless low <= number <= high; says the bounds in the number's own unit."""
    if low <= number.value <= high:
        return False
    report.add(
        "E0313", f"{what} is out of range", number.span,
        f"must be {show(low, unit)} to {show(high, unit)}",
        help=f"write `{show(min(max(number.value, low), high), unit)}`",
    )  # fmt: skip
    return True


def show(value: int, unit: str) -> str:
    """A value as one writes it in a policy: `250us`, `30%`, `64`."""
    if unit != "time":
        return f"{value}{unit}"
    for size, suffix in ((1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us")):
        if value % size == 0 and value != 0:
            return f"{value // size}{suffix}"
    return f"{value}ns" if value else "0ms"


def lower_assumptions(symbols: Symbols, report: Report) -> Assumptions:
    """`assume` lines, with the defaults of those not written."""
    runnable, cgroups, weight = DEFAULT_RUNNABLE, DEFAULT_CGROUPS, RANGES[Kind.WEIGHT]
    if symbols.runnable is not None:
        limit = symbols.runnable.limit
        if not out_of_bounds(report, limit, "the number of runnable tasks", 1, MAX_RUNNABLE):
            runnable = limit.value
    if symbols.cgroups is not None:
        limit = symbols.cgroups.limit
        if not out_of_bounds(report, limit, "the number of cgroups", 1, MAX_CGROUPS):
            cgroups = limit.value
    if symbols.weight is not None:
        low, high = symbols.weight.low, symbols.weight.high
        bad = [out_of_bounds(report, one, "a weight", 1, 10_000) for one in (low, high)]
        if not any(bad) and _in_order(tree.Range(low, high, low.span.to(high.span)), report):
            weight = ir.Interval(low.value, high.value)
    return Assumptions(runnable, weight, cgroups)


def lower_tune(tune: tree.Tune, report: Report) -> ir.Tune | None:
    """`tune NAME = V in LO..HI`; all three of one kind, the default inside."""
    value, low, high = tune.value, tune.range.low, tune.range.high
    for one in (value, low, high):
        if not isinstance(one, tree.Number):
            report.add(
                "E0302", "a tunable is a number", one.span, "not a number",
                help="write numbers with their unit: `tune slice = 8ms in 4ms..20ms`",
            )  # fmt: skip
            return None
    assert isinstance(value, tree.Number)
    odd = _odd_one(value, low, high)
    if odd is not None:
        others = next(one for one in (value, low, high) if one.kind != odd.kind)
        report.add(
            "E0301", "a tunable's default and range are of one kind", odd.span,
            f"this is {types.noun(lower_number(odd).type)}, "
            f"`{others.text}` is {types.noun(lower_number(others).type)}",
            help=_with_unit(odd, others),
        )  # fmt: skip
        return None
    if not _in_order(tune.range, report):
        return None
    if not low.value <= value.value <= high.value:
        report.add(
            "E0304", f"the default of `tune.{tune.name.text}` is outside its range", value.span,
            f"not in {low.text}..{high.text}",
            help=f"write a default from {low.text} to {high.text}",
        )  # fmt: skip
        return None
    kind = Kind.LAG if value.kind == "time" and low.value < 0 else lower_number(value).type.kind
    if not _in_kind(tree.Number(low.kind, low.value, low.text, low.span), kind, report):
        return None
    if not _in_kind(high, kind, report):
        return None
    # The description is for people: it stays text and never reaches C.
    why = tune.why.value.decode("utf-8", "replace") if tune.why is not None else ""
    return ir.Tune(
        tune.name.text, ir.Type(kind), value.value, low.value, high.value, why, tune.span
    )


def _odd_one(*numbers: tree.Number) -> tree.Number | None:
    """The number to blame if they aren't of one kind: rather one without a unit than with one."""
    kinds = [number.kind for number in numbers]
    if len(set(kinds)) == 1:
        return None
    return min(numbers, key=lambda number: (number.kind != "int", kinds.count(number.kind)))


def _with_unit(wrong: tree.Number, right: tree.Number) -> str:
    unit = {"time": "ms", "percent": "%", "int": ""}[right.kind]
    return f"write `{wrong.text.rstrip('%nsum')}{unit}`"


def _in_order(range: tree.Range, report: Report) -> bool:
    if range.low.value <= range.high.value:
        return True
    report.add(
        "E0303", "this range is empty", range.span, "its lower end is above its upper end",
        help=f"write `{range.high.text}..{range.low.text}`",
    )  # fmt: skip
    return False


def _in_kind(number: tree.Number, kind: Kind, report: Report) -> bool:
    """Whether a value is one that the kind can have at all."""
    limits = RANGES[kind]
    unit = {"time": "time", "percent": "%", "int": ""}[number.kind]
    return not out_of_bounds(
        report, number, types.noun(ir.Type(kind)), limits.low, limits.high, unit
    )


def lower_range(range: tree.Range, kind: Kind, what: str, report: Report) -> ir.Interval | None:
    """The range of a state or window: its ends have the unit of the kind, and are in order."""
    wanted = {Kind.TIME: "time", Kind.LAG: "time", Kind.MOMENT: "time", Kind.RATIO: "percent"}
    for one in (range.low, range.high):
        if one.kind != wanted.get(kind, "int"):
            found = types.noun(lower_number(one).type)
            unit = tree.Number(wanted.get(kind, "int"), 0, "", one.span)  # type: ignore[arg-type]
            report.add(
                "E0301", f"the range of {what} is in another unit", one.span,
                f"this is {found}", help=_with_unit(one, unit),
            )  # fmt: skip
            return None
    if not _in_order(range, report):
        return None
    if not (_in_kind(range.low, kind, report) and _in_kind(range.high, kind, report)):
        return None
    return ir.Interval(range.low.value, range.high.value)


def lower_cpus(cpus: tree.Cpus, report: Report) -> ir.CpuSet | None:
    """`cpus NAME = "0-3,8"`, `llc 0`, `fast` or `slow`."""
    match cpus.kind, cpus.value:
        case "list", tree.String() as text:
            ranges = _cpu_list(text, report)
            if ranges is None:
                return None
            return ir.CpuSet(cpus.name.text, "list", ranges, None, cpus.span)
        case "llc", tree.Number() as number:
            if out_of_bounds(report, number, "the number of an llc", 0, MAX_LLC):
                return None
            return ir.CpuSet(cpus.name.text, "llc", (), number.value, cpus.span)
    return ir.CpuSet(cpus.name.text, cpus.kind, (), None, cpus.span)


def _cpu_list(text: tree.String, report: Report) -> tuple[tuple[int, int], ...] | None:
    """Closed ranges, in order and without overlap, from the kernel's own list format."""
    found: list[tuple[int, int]] = []
    for part in text.value.split(b","):
        ends = part.strip().split(b"-")
        numbers = [int(end) for end in ends if end.isdigit() and len(end) <= 5]
        low, high = (numbers[0], numbers[-1]) if numbers else (0, -1)
        if len(numbers) != len(ends) or len(ends) > 2 or not low <= high <= MAX_CPU:
            report.add(
                "E0314", "a cpu list that can't be read", text.span,
                f"cpus are 0 to {MAX_CPU}, in ranges `LOW-HIGH` set apart by commas",
                help='write it as the kernel does: `"0-3,8"`',
            )  # fmt: skip
            return None
        found.append((low, high))
    merged: list[tuple[int, int]] = []
    for low, high in sorted(found):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def lower_queue(
    queue: tree.Queue, index: int, clock: str | None, report: Report
) -> ir.Queue | None:
    """A queue; its `slice_max_ns` is filled in by `passes.bounds`."""
    window, shift = None, None
    if queue.window is not None:
        window = _window(queue, report)
        if window is None:
            return None
    if queue.drift is not None:
        shift = _drift(queue.drift, report)
        if shift is None:
            return None
    return ir.Queue(
        queue.name.text, index, queue.order, queue.domain, window, shift, clock,
        shared_clock=queue.clock is not None, slice_max_ns=0, span=queue.span,
    )  # fmt: skip


def _window(queue: tree.Queue, report: Report) -> ir.Interval | None:
    assert queue.window is not None
    window = lower_range(queue.window, Kind.LAG, "a window", report)
    if window is None:
        return None
    bad = [
        out_of_bounds(report, end, "the end of a window", -MAX_WINDOW_NS, MAX_WINDOW_NS, "time")
        for end in (queue.window.low, queue.window.high)
    ]
    if any(bad):
        return None
    if not window.low <= 0 <= window.high:
        report.add(
            "E0303", "a window must hold the clock itself", queue.window.span,
            "0ms is outside of it", help="let it begin at or below 0ms and end at or above 0ms",
        )  # fmt: skip
        return None
    if window.low == window.high:
        report.add(
            "E0303", "a window of no width", queue.window.span, "every key would be the same",
            help=f"give it some width, or write `queue {queue.name.text} fifo`",
        )  # fmt: skip
        return None
    return window


def _drift(drift: tree.Drift, report: Report) -> int | None:
    shift = drift.denominator.value.bit_length() - 1
    good = drift.numerator.value == 1 and drift.denominator.value == 1 << max(shift, 0)
    if good and 1 <= shift <= MAX_DRIFT_SHIFT:
        return shift
    near = 1 << min(max(shift, 1), MAX_DRIFT_SHIFT)
    report.add(
        "E0313", "a drift is 1 over a power of two",
        drift.numerator.span.to(drift.denominator.span),
        f"from 1/2 to 1/{1 << MAX_DRIFT_SHIFT}", help=f"write `drift 1/{near}`",
    )  # fmt: skip
    return None
