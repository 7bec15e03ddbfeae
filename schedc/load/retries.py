"""When a policy whose holder died is loaded again: a little later each time, and not for ever.

Input: a plan and why it has to come back, the clock. Output: what is due, and when. Invariant: one
at most waits; what waits is forgotten when something else is loaded.
"""

from __future__ import annotations

from schedc.load.plan import Plan
from schedc.records import dataclass

FIRST_WAIT_S, LONGEST_WAIT_S, MOST = 1.0, 60.0, 6
STEADY_S = 600.0
"""After so long, a holder that dies is a new misfortune, not the same one."""


@dataclass(frozen=True, slots=True)
class Retry:
    """`at`: on the monotonic clock."""

    at: float
    plan: Plan
    why: str


class Retries:
    """`waiting`: what is to be loaded again."""

    def __init__(self) -> None:
        self.waiting: Retry | None = None
        self._count = 0
        self._last = 0.0

    def later(self, plan: Plan, why: str, now: float) -> bool:
        """Have it wait; False if it was loaded again too often in a short time."""
        if now - self._last > STEADY_S:
            self._count = 0
        self._last = now
        if self._count >= MOST:
            return False
        wait = min(FIRST_WAIT_S * 2**self._count, LONGEST_WAIT_S)
        self._count += 1
        self.waiting = Retry(now + wait, plan, why)
        return True

    def forget(self) -> None:
        self.waiting = None
