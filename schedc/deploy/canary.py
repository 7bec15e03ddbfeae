"""A canary: a policy on trial, under guards, that is kept or taken back.

Input: a policy that the loader holds on trial, gauges, a time. Output: `Ended`. Invariant: it is
confirmed only if the loader still holds it, every guard could be judged and holds at the last look;
whatever else happens here (a guard, a signal, an exception) ends in an abort, and if even that is
lost, the loader goes back by itself when the connection ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from schedc.deploy.guard import Guard, Kind
from schedc.deploy.measured import Gauge, Reading, Unmeasurable, gauge
from schedc.deploy.state import State
from schedc.load.errors import LOADER_FAILED, NO_LOADER, LoadError
from schedc.records import dataclass

BASELINE_S = 3.0
"""Over how long the rate of context switches is measured before the load."""
LOOK_S = 1.0
SHORT_S = 3.0
"""Without `--canary`: long enough to see that it stays enabled."""

GUARD_ENDED = "E0912"
COMMAND_FAILED = "E0913"
NOT_STAYED = "E0914"
LOADER_GONE = "E0915"
BY_HAND = "E0916"
UNMEASURABLE = "E0911"


class Handle(Protocol):
    """What the loader's client gives for a policy on trial."""

    def confirm(self) -> dict[str, Any]: ...
    def abort(self, reason: str) -> dict[str, Any]: ...
    def poll(self) -> LoadError | None: ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a canary ended. `code`: empty if it was confirmed, else that of the diagnostic."""

    code: str
    reason: str
    seconds: float
    readings: tuple[Reading, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def confirmed(self) -> bool:
        return not self.code


@dataclass(frozen=True, slots=True)
class Look:
    """One look: for those who show it."""

    at: float
    seconds: float
    readings: tuple[Reading, ...]
    state: State


Tell = Callable[[Look], None]


class Trial:
    """Guards, measured before the load and then once a second until the end."""

    def __init__(self, guards: Iterable[Guard], timeout_s: float) -> None:
        self.gauges: tuple[Gauge, ...] = tuple(gauge(one, timeout_s) for one in guards)
        self._guards = tuple(guards)
        self.before: tuple[str, ...] = ("",) * len(self.gauges)

    def measure_before(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """What the guards see before the load; raises `Unmeasurable`."""
        self.before = tuple(one.before(time.monotonic()) for one in self.gauges)
        if any(one.kind is Kind.switches for one in self._guards):
            sleep(BASELINE_S)
            self.before = tuple(one.before(time.monotonic()) for one in self.gauges)

    def run(
        self, handle: Handle, status: Callable[[], State], seconds: float, tell: Tell
    ) -> Ended:
        """Watch the policy for so long, then confirm it; or abort."""
        began = time.monotonic()
        try:
            return self._run(handle, status, seconds, tell, began)
        except KeyboardInterrupt:
            return _aborted(handle, BY_HAND, "ended by hand", time.monotonic() - began)
        except BaseException as bug:
            with suppress(LoadError):
                handle.abort(f"schedc itself failed: {type(bug).__name__}")
            raise
        finally:
            self.stop()

    def stop(self) -> None:
        for one in self.gauges:
            one.stop()

    def _run(
        self, handle: Handle, status: Callable[[], State], seconds: float, tell: Tell, began: float
    ) -> Ended:
        while True:
            at = time.monotonic() - began
            if (over := handle.poll()) is not None:
                return _over(over, at)
            try:
                state = status()
                last = at >= seconds
                readings = tuple(one.look(began + at, state, last) for one in self.gauges)
            except LoadError as gone:
                # What ended the trial says more than a status that was not answered.
                return _over(handle.poll() or gone, at)
            except Unmeasurable as found:
                return _aborted(handle, UNMEASURABLE, found.why, at)
            tell(Look(at, seconds, readings, state))
            if (ended := _judged(handle, readings, at, last)) is not None:
                return ended
            if last:
                return _confirmed(handle, readings, at)
            time.sleep(max(0.0, min(LOOK_S, seconds - at)))


def _judged(
    handle: Handle, readings: tuple[Reading, ...], at: float, last: bool
) -> Ended | None:
    """The end that the readings ask for, if they do."""
    for one in readings:
        if one.reason:
            code = COMMAND_FAILED if one.failed else GUARD_ENDED
            return _aborted(handle, code, one.reason, at, readings)
    for one in readings:
        if last and one.value is None:
            why = f"`{one.guard.text}` could not be judged in {at:.0f} s"
            return _aborted(handle, GUARD_ENDED, why, at, readings)
    return None


def _confirmed(handle: Handle, readings: tuple[Reading, ...], at: float) -> Ended:
    try:
        handle.confirm()
    except LoadError as refused:
        return _over(refused, at)
    return Ended("", "", at, readings)


def _aborted(
    handle: Handle, code: str, reason: str, at: float, readings: tuple[Reading, ...] = ()
) -> Ended:
    try:
        handle.abort(reason)
    except LoadError as gone:
        found = _over(gone, at)
        return Ended(found.code, found.reason, at, readings, (f"on the way out: {reason}",
                                                              *found.notes))  # fmt: skip
    return Ended(code, reason, at, readings)


def _over(over: LoadError, at: float) -> Ended:
    """The loader, or what it says of the policy, ended the trial."""
    gone = over.code in (LOADER_FAILED, NO_LOADER)
    return Ended(LOADER_GONE if gone else NOT_STAYED, over.message, at, (), tuple(over.notes))
