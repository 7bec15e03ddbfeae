"""The lemmas: each proved, none vacuously, and none without its hypotheses."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from schedc.ir.nodes import Interval
from schedc.prove import lemmas
from schedc.prove.discipline import Drift, Fifo, Now, Vtime
from schedc.prove.parameters import declared
from schedc.prove.prove import narrow
from schedc.prove.result import Verdict
from schedc.prove.service import Counted, Paced, Shared, Way
from schedc.prove.solve import Query, solve
from schedc.prove.times import times
from tests.prove.test_compose import MS, above, services, share
from tests.prove.written import shipped

KINDS = [Fifo(), Now(Interval(0, MS)), Drift(Interval(0, MS), 6), Vtime(Interval(0, MS), 0, 200)]
OVER = above(share(20, 40, 8), counts=((1, MS),), direct=MS)
WAYS: list[Way] = [
    Paced(services(8), OVER, Fraction(1, 5), 40 * MS, 8 * MS, 0, 0),
    Counted(services(8), OVER, 4, 8 * MS),
    Shared(services(8), OVER, 1, 8 * MS, ((3, 8 * MS),)),
]
ALL = {query.name: query for query in lemmas.lemmas(KINDS, WAYS)}


def verdict(query: Query) -> Verdict:
    (found,) = solve([query])
    return found.verdict


def test_the_names() -> None:
    assert set(ALL) == {
        f"lemma.{name}"
        for name in ("spread", "position", "order", "clock", "placed", "bucket", "count", "share")
    }


@pytest.mark.parametrize("name", ALL)
def test_it_is_proved(name: str) -> None:
    assert verdict(ALL[name]) is Verdict.proved


# Hypotheses that only say what sizes are, which a goal may not need.
SPARE = {
    "lemma.spread": {0},
    "lemma.position": {0, 1},
    "lemma.placed": {0, 1, 2},
    "lemma.bucket": {0, 1, 2, 6},
    "lemma.count": {0, 2, 3},
    "lemma.share": {2, 3, 6},
}


@pytest.mark.parametrize("name", [name for name, query in ALL.items() if query.hypotheses])
def test_each_hypothesis_counts(name: str) -> None:
    query = ALL[name]
    for number in range(len(query.hypotheses)):
        if number in SPARE.get(name, ()):
            continue
        rest = tuple(one for at, one in enumerate(query.hypotheses) if at != number)
        assert verdict(replace(query, hypotheses=rest)) is Verdict.unproven, number


# --- with numbers ---------------------------------------------------------------------------------

FAIR = shipped("fair")
ALL_QUEUE = FAIR.queue("all")


def pace(way: Paced) -> Verdict:
    return verdict(lemmas.paced(ALL_QUEUE, way, FAIR.span))


@pytest.mark.parametrize("percent", [1, 20, 60, 90])
@pytest.mark.parametrize("period_ms", [1, 40, 1000])
def test_the_pace_is_proved(percent: int, period_ms: int) -> None:
    over = above(share(30, 100, 8), share(20, 80, 8))
    way = Paced(services(8), over, Fraction(percent, 100), period_ms * MS, 8 * MS, 0, 0)
    assert pace(way) is Verdict.proved


class Greedy(Paced):
    """A pace that ignores how long the line may be kept waiting."""

    @property
    def rate(self) -> Fraction:
        return min(self.share, self.above.left)


def test_a_pace_that_forgets_the_period_is_not() -> None:
    over = above(share(30, 100, 8), share(20, 80, 8))
    assert (
        pace(Greedy(services(8), over, Fraction(1, 5), 40 * MS, 8 * MS, 0, 0)) is Verdict.unproven
    )


@pytest.mark.parametrize("name", ["fair", "kernel_first"])
def test_what_a_contender_may_run_is_proved(name: str) -> None:
    policy = shipped(name)
    policy = narrow(policy, declared(policy))
    queue = policy.queue("all")
    assert queue.window is not None
    kind = Vtime(queue.window, 0, 200)
    query = lemmas.credit(queue, kind, times(policy, declared(policy)))
    assert verdict(query) is Verdict.proved


def test_at_half_the_weight_it_is_not() -> None:
    """The rate for weight 100, with charges at weight 200."""
    policy = narrow(FAIR, declared(FAIR))
    queue, known = policy.queue("all"), times(policy, declared(policy))
    assert queue.window is not None
    light = lemmas.credit(queue, Vtime(queue.window, 0, 100), known)
    heavy = lemmas.credit(queue, Vtime(queue.window, 0, 200), known)
    mixed = replace(light, hypotheses=heavy.hypotheses)
    assert verdict(mixed) is Verdict.unproven
