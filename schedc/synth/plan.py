"""The planning agent: where to begin.

Input: a goal, what was observed, the library. Output: a `Planned` message: policies to begin with,
each with how and why. Invariant: every choice is a policy that is there; a policy that was measured
to be better for the same goal on the same kind of work comes first, to be used again as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from schedc.records import dataclass
from schedc.repository.entry import Entry
from schedc.repository.library import Library
from schedc.repository.results import Measured
from schedc.synth.goal import Goal
from schedc.synth.messages import Choice, Observed, Planned

MOST_CHOICES = 16

_WORDS = {
    "latency": "short bursts wake often interactive latency deadline preempt",
    "throughput": "throughput long slices locality fewer switches batch",
    "makespan": "longest first makespan batch long jobs",
    "completion": "least attained service short jobs first completion batch",
    "fairness": "fair shares weights cgroups cells proportional",
    "energy": "fewer ticks idle pack tickless energy",
}
"""What to look for in names, descriptions and comments, by the kind of goal."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A result of an earlier run that speaks for using its policy again."""

    entry: Entry
    result: Measured
    ratio: float


def plan(goal: Goal, observed: Observed, library: Library, *, writes: bool) -> Planned:
    """`writes`: whether the engine can write a policy of its own."""
    stored = known_good(goal, observed, library)
    choices = [
        Choice(
            _name(one.entry), "reuse",
            f"measured for this goal on this kind of work before: {goal.objectives[0].metric} "
            f"{one.ratio:.2f} of the default's",
            one.entry.source.text,
        )
        for one in stored
    ]  # fmt: skip
    seen = {one.name for one in choices}
    choices += [one for one in _found(goal, library) if one.name not in seen]
    if writes:
        choices.append(Choice("", "write", "none of these may fit; a new one is written", ""))
    kind = "reuse" if stored else "tune and change"
    return Planned(
        tuple(choices[:MOST_CHOICES]),
        f"{kind}: {len(stored)} stored for {goal.kind}, {len(choices) - len(stored)} to begin with",
    )


def known_good(goal: Goal, observed: Observed, library: Library) -> list[Stored]:
    """Policies with a result for the same goal on the same kind of work, the best first."""
    metric, direction = goal.objectives[0].metric, goal.objectives[0].direction
    entries = {one.meaning: one for one in library.entries()[0]}
    found: dict[str, Stored] = {}
    for result in library.results.on(goal.key, observed.workload):
        figure = result.metrics.get(metric)
        entry = entries.get(result.meaning)
        if (
            entry is None or figure is None or figure.ratio is None
            or figure.finding != "better" or result.fingerprint != observed.fingerprint
        ):  # fmt: skip
            continue
        found.setdefault(result.meaning, Stored(entry, result, figure.ratio[0]))
    return sorted(found.values(), key=lambda one: one.ratio, reverse=direction == "max")


def _found(goal: Goal, library: Library) -> Iterator[Choice]:
    """Policies made for such a goal, then those whose words fit, then the rest."""
    words = f"{_WORDS.get(goal.kind, '')} {goal.kind}"
    ranked = library.search(words)
    for one in ranked:
        if goal.kind in one.goals:
            yield Choice(_name(one), "tune", f"made for {goal.kind}: {one.description}",
                         one.source.text)
    for one in ranked:
        if goal.kind not in one.goals:
            yield Choice(_name(one), "tune", f"its words fit: {one.description}",
                         one.source.text)
    known = {one.meaning for one in ranked}
    for one in library.entries()[0]:
        if one.meaning not in known:
            yield Choice(_name(one), "tune", f"one of the library: {one.description}",
                         one.source.text)


def _name(entry: Entry) -> str:
    return f"{entry.origin}/{entry.name}"
