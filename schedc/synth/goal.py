"""A goal, structured: what is to get better, and what must not get worse.

Values only; `infer` makes them of words, `parse` of `--objective` and `--constraint`. Invariant: a
goal has at least one objective, no metric is both to grow and to shrink, every metric can be
measured, and no bound is one that no scheduler can keep.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

from schedc.diagnostics.model import Diagnostic, error
from schedc.records import dataclass
from schedc.workload.metrics import METRICS

Direction = Literal["min", "max"]
Op = Literal["<=", ">="]

SYSTEM: Mapping[str, Direction] = {
    "fairness": "max", "longest_wait": "min", "idle_wakeups": "min", "context_switches": "min",
    "migrations": "min", "utilisation": "min",
}  # fmt: skip
"""Metrics of the machine rather than of a workload, and which way is better when one asks for it.
`utilisation` is asked for to save energy, so less is better."""

MOST_OBJECTIVES = 4
MOST_CONSTRAINTS = 8


class BadGoal(Exception):
    """Words that make no goal; `diagnostic` says why and what to write."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def bad(code: str, message: str, *notes: str, help: str | None = None) -> BadGoal:
    """E1101: not understood; E1102: impossible; E1103: refused as it stands."""
    return BadGoal(error(code, message, None, notes=list(notes), help=help))


@dataclass(frozen=True, slots=True)
class Objective:
    """The first objective of a goal is the one that counts; the next ones break ties."""

    metric: str
    direction: Direction

    def __str__(self) -> str:
        return f"{self.metric}:{self.direction}"


@dataclass(frozen=True, slots=True)
class Constraint:
    """`relative`: a multiple of what the default scheduler reaches; else in the metric's own unit
    (ns, 1/s, …)."""

    metric: str
    op: Op
    bound: float
    relative: bool

    def __str__(self) -> str:
        if self.relative:
            return f"{self.metric} {self.op} {self.bound:g} x default"
        unit = unit_of(self.metric)
        return f"{self.metric} {self.op} {self.bound:g}{' ' + unit if unit else ''}"


@dataclass(frozen=True, slots=True)
class Goal:
    """`isolate`: names of tasks (comm, at most 15 bytes) that are to be kept from the others;
    data, never instructions."""

    text: str
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    isolate: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The word for it in a policy's `goal` line."""
        return kind_of(self.objectives[0].metric)

    @property
    def key(self) -> str:
        """The same for the same goal in other words."""
        parts = [
            ",".join(map(str, self.objectives)), ",".join(sorted(map(str, self.constraints))),
            ",".join(sorted(self.isolate)),
        ]  # fmt: skip
        return "; ".join(part for part in parts if part)


def kind_of(metric: str) -> str:
    """latency, throughput, makespan, completion, fairness or energy."""
    name = metric.rsplit("_p", 1)[0]
    match name:
        case "makespan":
            return "makespan"
        case "mean_completion" | "last_short":
            return "completion"
        case "throughput" | "switches" | "forks" | "background":
            return "throughput"
        case "fairness" | "misallocated" | "victim_share":
            return "fairness"
        case "idle_wakeups" | "utilisation" | "migrations" | "context_switches":
            return "energy"
    return "latency"


def known_metrics() -> tuple[str, ...]:
    """Everything that a goal can name."""
    return (*METRICS, *SYSTEM)


def better_of(metric: str) -> Direction:
    """Which way a metric is better."""
    if metric in SYSTEM:
        return SYSTEM[metric]
    return "min" if METRICS[metric].better == "lower" else "max"


def unit_of(metric: str) -> str:
    """ns, 1/s, cpus, share; empty for a plain number."""
    return METRICS[metric].unit if metric in METRICS else ""


def checked(goal: Goal) -> Goal:
    """The goal; raises `BadGoal` if it contradicts itself or can't be reached by any scheduler."""
    if not goal.objectives:
        raise bad("E1101", "the goal names nothing that can be measured", help=_examples())
    if len(goal.objectives) > MOST_OBJECTIVES or len(goal.constraints) > MOST_CONSTRAINTS:
        raise bad("E1103", "too many wishes at once",
                  help=f"at most {MOST_OBJECTIVES} objectives and {MOST_CONSTRAINTS} constraints")
    for one in goal.objectives:
        if one.direction != better_of(one.metric):
            way = "smaller" if better_of(one.metric) == "min" else "larger"
            raise bad("E1102", f"`{one.metric}` is better when it is {way}; the goal asks for "
                      "the opposite", help=f"--objective {one.metric}:{better_of(one.metric)}")
    for constraint in goal.constraints:
        _possible(constraint)
    return goal


FAIR_TO_SHORT = Constraint("last_short", "<=", 1.05, True)
"""Nobody who asks for a batch to be done sooner wants its short jobs to pay for it. A tenth is what
one may lose; a search goes to the edge of what it is given, so half of it is kept for runs that it
has not seen."""


def with_implied(goal: Goal, measured: Iterable[str]) -> Goal:
    """The goal with what goes without saying: where short jobs are told apart, the last of them
    isn't much later than under the default scheduler, unless the goal speaks of it."""
    named = {one.metric for one in goal.objectives} | {one.metric for one in goal.constraints}
    batch = kind_of(goal.objectives[0].metric) in ("makespan", "completion")
    if not batch or "last_short" not in measured or "last_short" in named:
        return goal
    return replace(goal, constraints=(*goal.constraints, FAIR_TO_SHORT))


def _possible(one: Constraint) -> None:
    wanted: Op = "<=" if better_of(one.metric) == "min" else ">="
    if one.bound < 0 or (wanted == "<=" and one.op == "<=" and one.bound == 0):
        raise bad("E1102", f"no scheduler can keep `{one}`: it takes time to run a task",
                  help="name a bound above 0, or one relative to the default scheduler")
    if one.relative and not 0 < one.bound <= 100:
        raise bad("E1102", f"`{one}` is no factor of what the default scheduler reaches",
                  help=f"such as {one.metric}{one.op}0.95")
    if one.metric.endswith("share") and not one.relative and one.bound > 512:
        raise bad("E1102", f"`{one}` is more than any machine has")


# --- --objective and --constraint ---------------------------------------------------------------

_OBJECTIVE = re.compile(r"([a-z_0-9]{1,40})(?::(min|max))?", re.ASCII)
_CONSTRAINT = re.compile(
    r"([a-z_0-9]{1,40})\s*(<=|>=)\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)(ns|us|ms|s|%|/s)?", re.ASCII
)
_ALIASES = {
    "p50_wakeup": "wakeup_p50", "p99_wakeup": "wakeup_p99", "p999_wakeup": "wakeup_p999",
    "p50_request": "request_p50", "p99_request": "request_p99", "p999_request": "request_p999",
}  # fmt: skip
_TIMES = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def parse(
    text: str, objectives: Iterable[str], constraints: Iterable[str]
) -> Goal:
    """A goal of `p99_wakeup:min` and `throughput>=0.95`; raises `BadGoal`."""
    return checked(Goal(
        text, tuple(map(parse_objective, objectives)), tuple(map(parse_constraint, constraints))
    ))  # fmt: skip


def parse_objective(text: str) -> Objective:
    """`p99_wakeup:min`, or only the metric."""
    match = _OBJECTIVE.fullmatch(text.strip())
    if match is None:
        raise bad("E1103", "that is no objective", help="write METRIC:min or METRIC:max, "
                  "such as p99_wakeup:min")
    metric = metric_of(match[1])
    direction: Direction = "min" if match[2] == "min" else "max"
    return Objective(metric, direction if match[2] else better_of(metric))


def parse_constraint(text: str) -> Constraint:
    """`throughput>=0.95` (of the default scheduler's), `wakeup_p99<=5ms`, `throughput>=900/s`."""
    match = _CONSTRAINT.fullmatch(text.strip())
    if match is None:
        raise bad("E1103", "that is no constraint", help="write one such as throughput>=0.95 "
                  "(times the default scheduler's) or wakeup_p99<=5ms")
    metric, number, unit = metric_of(match[1]), float(match[3]), match[4]
    op: Op = "<=" if match[2] == "<=" else ">="
    if unit in _TIMES and unit_of(metric) != "ns":
        raise bad("E1103", f"`{metric}` is not a time", help=f"{metric}{op}0.95")
    if unit is None:
        return Constraint(metric, op, number, True)
    if unit == "%":
        return Constraint(metric, op, number / 100, True)
    return Constraint(metric, op, number * _TIMES.get(unit, 1), False)


def metric_of(name: str) -> str:
    """A metric by its name or by the order in which people say it; raises `BadGoal`."""
    plain = _ALIASES.get(name, name)
    if plain in known_metrics():
        return plain
    from difflib import get_close_matches

    near = get_close_matches(plain, (*known_metrics(), *_ALIASES), 1)
    raise bad("E1101", f"no metric is called `{name}`",
              help=f"did you mean `{near[0]}`?" if near else "one of " + ", ".join(known_metrics()))


def _examples() -> str:
    return ('say what is to get better, such as "low p99 wake-up latency", "finish the batch '
            'sooner", "more throughput", "fair shares", or use --objective METRIC:min')
