"""How far profiles are from each other."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from schedc.profile.distance import ks
from schedc.profile.drift import drift, fingerprint
from schedc.profile.model import Histogram
from tests.profile.made import group, histogram, profile

COUNTS = st.dictionaries(st.integers(0, 40), st.integers(1, 50), min_size=1)


@given(COUNTS, COUNTS)
def test_ks_is_that_of_the_definition(one: dict[int, int], other: dict[int, int]) -> None:
    def share(counts: dict[int, int], at: int) -> float:
        return sum(n for index, n in counts.items() if index <= at) / sum(counts.values())

    slow = max(abs(share(one, at) - share(other, at)) for at in range(41))
    assert ks(one, other) == pytest.approx(slow)
    assert ks(one, other) == ks(other, one)
    assert ks(one, other, slack=1) <= ks(one, other)
    assert ks(one, one) == 0


def test_a_shift_by_one_bucket_costs_nothing_with_slack() -> None:
    assert ks({10: 5}, {11: 5}) == 1
    assert ks({10: 5}, {11: 5}, slack=1) == 0
    assert ks({10: 5}, {12: 5}, slack=1) == 1


def test_a_profile_is_at_no_distance_from_itself() -> None:
    found = drift(profile(), profile())
    assert found.distance == 0 and found.what == ()


def test_the_same_load_seen_twice_is_near() -> None:
    draw = random.Random(3)
    again = group(
        bursts=histogram(lambda: draw.expovariate(1 / 300e3)),
        sleeps=histogram(lambda: draw.expovariate(1 / 5e6)),
    )
    assert drift(profile(), profile(again)).distance < 0.1


@pytest.mark.parametrize(
    ("change", "least", "said"),
    [
        ({"wakeups_s": 4000.0}, 0.85, "wake-ups/s"),
        ({"tasks": 40}, 0.85, "4 -> 40 tasks"),
        ({"bursts": Histogram.of([3_000_000] * 4000)}, 0.9, "between sleeps"),
        ({"share": 1.2}, 0.85, "cpus"),
    ],
)
def test_another_load_is_far_and_said(change: dict[str, object], least: float, said: str) -> None:
    one, other = profile(), profile(replace(group(), **change))  # type: ignore[arg-type]
    found = drift(one, other)
    assert found.distance >= least
    assert said in found.what[0]
    assert found.distance == pytest.approx(drift(other, one).distance)


def test_a_new_group_counts_by_its_part() -> None:
    small = drift(profile(), profile(group(), group("new", 1, share=0.006, wakeups_s=1.0)))
    large = drift(profile(), profile(group(), group("new", 9, share=3.0, wakeups_s=900.0)))
    assert 0 < small.distance < 0.1 < 0.4 < large.distance <= 1
    assert large.what[0] == "new is new"


def test_the_fingerprint_is_of_the_kind_of_load() -> None:
    same = profile(replace(group("other"), share=group().share * 1.05))
    assert fingerprint(profile()) == fingerprint(same)
    assert fingerprint(profile()) != fingerprint(profile(group(tasks=64)))
