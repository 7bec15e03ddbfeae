"""What died comes back later each time, and at last not at all."""

from __future__ import annotations

from schedc.load.retries import FIRST_WAIT_S, LONGEST_WAIT_S, MOST, STEADY_S, Retries
from tests.load.samples import plan


def waits(retries: Retries, number: int, now: float = 1000.0) -> list[float | None]:
    """Of so many deaths in a row, how long each waits; None: given up."""
    found: list[float | None] = []
    for _ in range(number):
        later = retries.later(plan(), "killed", now)
        found.append(retries.waiting.at - now if later and retries.waiting else None)
        retries.forget()
    return found


def test_later_each_time_and_not_for_ever() -> None:
    found = waits(Retries(), MOST + 2)
    assert found == [FIRST_WAIT_S * 2**n for n in range(MOST)] + [None, None]
    assert FIRST_WAIT_S * 2 ** (MOST - 1) <= LONGEST_WAIT_S


def test_after_a_steady_time_it_is_a_new_misfortune() -> None:
    retries = Retries()
    waits(retries, MOST + 1)
    assert waits(retries, 1, 1000.0 + STEADY_S) == [None]
    # What was given up counts as a misfortune of its own.
    assert waits(retries, 1, 1000.0 + 2 * STEADY_S + 1) == [FIRST_WAIT_S]


def test_one_waits_and_says_why() -> None:
    retries = Retries()
    assert retries.waiting is None
    retries.later(plan(), "killed", 5.0)
    assert retries.waiting is not None
    assert (retries.waiting.at, retries.waiting.why) == (5.0 + FIRST_WAIT_S, "killed")
    retries.forget()
    assert retries.waiting is None
