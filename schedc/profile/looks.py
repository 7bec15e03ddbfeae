"""Looks at a machine at intervals: is the load still what a profile says?

Input: a profile, a way to take another one, a limit for the distance between them. Output: a `Look`
for each that was taken. Invariant: the load counts as another one only after two looks in a row
that are beyond the limit, so that one odd minute changes nothing; a look that can't be taken is
told, counts for neither side, and three of them in a row end the watch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from schedc.profile.drift import drift
from schedc.profile.errors import ProfileError
from schedc.profile.model import Profile
from schedc.records import dataclass

IN_A_ROW = 2
"""So many looks beyond the limit make another load."""
MOST_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Look:
    """One look. `distance` in 0..1 from the profile that is watched against, `what` differs in
    words; `drifted`: this is the look that makes it another load. `profile` is None if the look
    could not be taken; `failed` says why."""

    number: int
    distance: float
    what: tuple[str, ...]
    beyond: bool
    drifted: bool
    profile: Profile | None
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """`every` seconds a look begins (at once after one that took longer); `limit` in 0..1."""

    every: float
    limit: float


class Looks:
    """Looks against `old`; `again` begins anew with another profile, after something was done."""

    def __init__(
        self, old: Profile, pace: Pace, take: Callable[[], Profile],
        clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.old = old
        self.pace = pace
        self._take = take
        self._clock = clock
        self._sleep = sleep
        self._row = 0
        self._failures = 0

    def again(self, old: Profile) -> None:
        """From now on against this one."""
        self.old = old
        self._row = 0

    def __iter__(self) -> Iterator[Look]:
        """Without end. Raises `ProfileError` if looks can't be taken."""
        number = 0
        due = self._clock() + self.pace.every
        while True:
            self._sleep(max(0.0, due - self._clock()))
            due = self._clock() + self.pace.every
            number += 1
            yield self._look(number)

    def _look(self, number: int) -> Look:
        try:
            new = self._take()
        except ProfileError as failure:
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                raise
            return Look(number, 0.0, (), False, False, None, str(failure))
        self._failures = 0
        found = drift(self.old, new)
        beyond = found.distance > self.pace.limit
        self._row = self._row + 1 if beyond else 0
        return Look(
            number, found.distance, tuple(found.what), beyond, self._row >= IN_A_ROW, new
        )
