"""A policy is watched: when the load is no longer what it was made for, it goes.

Input: looks at the machine against the profile that the policy was made from, and what may be done.
Output: an `Event` for each look and each step; how the watch ended. Invariant: nothing is done
before two looks in a row say that the load is another one; only the policy that ran when the watch
began (or that the watch itself put there) is touched; a prepared plan is tried once, under canary,
and whatever keeps it from being confirmed ends with the kernel's default scheduler. Reasons go to
the loader, into whose history they are written.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from schedc.deploy.canary import Ended
from schedc.load.errors import LoadError
from schedc.profile.looks import Look, Looks
from schedc.profile.model import Profile
from schedc.records import dataclass

MAX_REASON = 200


class Kind(Enum):
    """What an event tells. The last five end the watch, `replaced` doesn't."""

    watching = "watching"
    look = "look"
    not_looked = "not-looked"
    drifted = "drifted"
    refused = "refused"
    failed = "failed"
    replaced = "replaced"
    unloaded = "unloaded"
    rolled_back = "rolled-back"
    nothing = "nothing"
    left = "left"
    done = "done"


@dataclass(frozen=True, slots=True)
class Event:
    """`distance`: of the look, in 0..1; `what`: in words, plain text."""

    kind: Kind
    look: int
    distance: float
    what: str
    code: str = ""

    def as_json(self) -> dict[str, Any]:
        found = {"event": self.kind.value, "look": self.look, "distance": round(self.distance, 4),
                 "what": self.what}  # fmt: skip
        return found | ({"code": self.code} if self.code else {})


class Hands(Protocol):
    """What a watch does on the machine. Each may raise `LoadError`."""

    def object(self) -> str:
        """The sha256 of the object that the loader runs; empty for none."""

    def replace(self, reason: str) -> Ended:
        """Try the prepared plan under canary."""

    def unload(self, reason: str) -> None:
        """Back to the kernel's default scheduler."""


class Watch:
    """One watch. `planned`: whether a plan is prepared; `most`: looks at most, 0 for no limit."""

    def __init__(
        self, looks: Looks, hands: Hands, tell: Callable[[Event], None], *, planned: bool,
        most: int = 0,
    ) -> None:  # fmt: skip
        self._looks = looks
        self._hands = hands
        self._tell = tell
        self._planned = planned
        self._most = most
        self._object = ""
        self._replaced = False

    def run(self) -> Kind:
        """Until something ends it: `done` (the most looks were taken, nothing was to be done),
        `replaced` (the same, after the plan took over), `unloaded`, `rolled_back` (unloaded since
        the plan did not stay), `nothing` or `left`. Raises `ProfileError`, `LoadError`."""
        self._object = self._hands.object()
        if not self._object:
            return self._end(Kind.nothing, None, "no policy of the loader runs")
        self._tell(Event(Kind.watching, 0, 0.0, f"object {self._object[:12]}"))
        for look in self._looks:
            self._tell(_told(look))
            if look.drifted and look.profile is not None:
                ended = self._drifted(look, look.profile)
                if ended is not None:
                    return ended
            if self._most and look.number >= self._most:
                break
        return Kind.replaced if self._replaced else Kind.done

    def _drifted(self, look: Look, profile: Profile) -> Kind | None:
        """Another load; None to go on watching."""
        reason = reason_of(look, self._looks.pace.limit)
        self._tell(Event(Kind.drifted, look.number, look.distance, reason))
        try:
            runs = self._hands.object()
            if not runs:
                return self._end(Kind.nothing, look, "no policy of the loader runs any more")
            if runs != self._object:
                return self._end(Kind.left, look, "another policy was loaded meanwhile: "
                                 "it is left alone")  # fmt: skip
            if self._planned and self._replace(look, reason):
                self._looks.again(profile)
                return None
            self._hands.unload(reason)
        except LoadError as failure:
            # A person's canary may be under way. The next look is beyond the limit too.
            self._tell(Event(Kind.failed, look.number, look.distance, failure.message,
                             failure.code))  # fmt: skip
            return None
        kind = Kind.rolled_back if self._planned else Kind.unloaded
        return self._end(kind, look, "the kernel's default scheduler is back")

    def _replace(self, look: Look, reason: str) -> bool:
        """Whether the plan took over."""
        try:
            ended = self._hands.replace(reason)
        except LoadError as refused:
            self._tell(Event(Kind.refused, look.number, look.distance, refused.message,
                             refused.code))  # fmt: skip
            return False
        if not ended.confirmed:
            self._tell(Event(Kind.refused, look.number, look.distance, ended.reason, ended.code))
            return False
        self._planned, self._replaced = False, True
        self._object = self._hands.object()
        what = f"object {self._object[:12]} was confirmed after {ended.seconds:.0f} s"
        self._tell(Event(Kind.replaced, look.number, look.distance, what))
        return True

    def _end(self, kind: Kind, look: Look | None, what: str) -> Kind:
        number, distance = (look.number, look.distance) if look is not None else (0, 0.0)
        self._tell(Event(kind, number, distance, what))
        return kind


def reason_of(look: Look, limit: float) -> str:
    """For the history: how far, and what differs."""
    said = f"drift {look.distance:.2f} > {limit:.2f}, twice: {'; '.join(look.what)}"
    return said if len(said) <= MAX_REASON else said[: MAX_REASON - 3] + "..."


def _told(look: Look) -> Event:
    if look.profile is None:
        return Event(Kind.not_looked, look.number, 0.0, look.failed)
    return Event(Kind.look, look.number, look.distance, "; ".join(look.what)[:MAX_REASON])
