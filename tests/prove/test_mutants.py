"""Mutants of the shipped policies: none is accepted that a replayed run shows to be bad.

A sample runs with the suite. The campaign (`make campaign`) judges 42 mutants of each policy of the
library, spread over the kinds of changes, and writes `mutants.md`: what became of each of them, and
why those that are still proved are harmless.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.prove.result import Verdict
from tests.prove.judged import Judged, judge, report
from tests.prove.mutations import KINDS, Mutant, generated, mutants
from tests.prove.shipped import STDLIB

EACH = 42
TABLE = Path(__file__).with_name("mutants.md")


@cache
def spread(base: Path, seed: int = 1) -> tuple[Mutant, ...]:
    """The mutants of a policy in an order in which every kind comes up early."""
    draw, kinds = random.Random(f"{seed} {base.stem}"), {}
    for one in mutants(base):
        kinds.setdefault(one.kind, []).append(one)
    for several in kinds.values():
        draw.shuffle(several)
    ordered: list[Mutant] = []
    while any(kinds.values()):
        ordered += [several.pop() for several in kinds.values() if several]
    return tuple(ordered)


def campaign() -> list[Mutant]:
    return [one for base in STDLIB for one in spread(base)[:EACH]]


def check(one: Judged) -> None:
    assert not one.bad, f"{one.mutant.name} is proved, but {one.bad}"
    assert one.verdict != "proved" or one.why, f"why is it harmless? {one.mutant.name}"


SOME = STDLIB[1::3]


@pytest.mark.parametrize("base", SOME, ids=lambda path: path.stem)
def test_no_bad_mutant_is_accepted(base: Path) -> None:
    """The first of a kind, for another kind with each policy."""
    kinds = list(KINDS)[3 * SOME.index(base) :]
    check(judge(next(generated(base, kinds))))


CLASSIC = (
    ("fair", "event handler", "without `task.used += charge(ran)`"),
    ("fair", "charge", "`charge(ran)` → `0ms`"),
    ("fair", "assumption or promise", "→ `1..10000`"),
    ("fifo", "assumption or promise", "`<= 64` → `<= 4096`"),
    ("budgeted", "dispatch line", "line `take reserved` at 2"),
    ("bands", "limit of a line", "`at most 48% every 40ms` → `nothing`"),
    ("saved_lag", "dispatch line", "without line `steal ready`"),
)
"""Policy, kind, and a part of what was changed, of mutants that must not be proved."""


@pytest.mark.parametrize(("stem", "kind", "words"), CLASSIC)
def test_a_classic_mistake_is_not_proved(stem: str, kind: str, words: str) -> None:
    base = next(path for path in STDLIB if path.stem == stem)
    policy = next(one for one in generated(base, [kind]) if words in one.what).policy
    assert prove(policy, declared(policy)).verdict is not Verdict.proved


@pytest.mark.slow
def test_there_are_enough_of_every_kind() -> None:
    chosen = campaign()
    assert len(chosen) >= 500
    assert {one.kind for one in chosen} == set(KINDS)
    assert len({one.text for one in chosen}) == len(chosen)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_campaign() -> None:
    judged = [judge(one) for one in campaign()]
    TABLE.write_text(report(judged))
    counts = Counter(one.verdict for one in judged)
    assert counts["refuted"] > 30 and counts["unproven"] > 80
    for one in judged:
        check(one)
