"""Guards, measured: a look a second at each, and what of it is passed.

Input: guards, the loader's status, this machine. Output: a `Reading` for each guard and look.
Invariant: a guard is `passed` only at two looks with new values in a row, so that one odd value
ends nothing; a command that fails ends the canary at once; what could not be judged is told, and
never counts as good.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from schedc.deploy import host
from schedc.deploy.command import Failed, Probe
from schedc.deploy.guard import Guard, Kind
from schedc.deploy.state import State
from schedc.deploy.waits import Window, quantile
from schedc.records import dataclass

WINDOW_S = 10.0
"""Over how long waits and rates are looked at."""
ENOUGH = 100
"""Waits in the window from which on a quantile is judged; at the end of a canary 1 is enough."""
STRIKES = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """A guard at one look. `value`: in the guard's unit, None if there is none yet. `passed`: its
    limit is passed for good. `failed`: its command failed. `basis`: of what the value is."""

    guard: Guard
    value: float | None
    holds: bool
    passed: bool = False
    failed: str = ""
    basis: str = ""

    @property
    def reason(self) -> str:
        """Why the canary ends, in words; empty if this is no reason."""
        if self.failed:
            return f"the command of `{self.guard.text}` {self.failed}"
        if self.passed and self.value is not None:
            return f"`{self.guard.text}` does not hold: {self.guard.show(self.value)}"
        return ""


class Unmeasurable(Exception):
    """A guard that this machine can't measure, found before anything is loaded."""

    def __init__(self, guard: Guard, why: str, *, command: bool = False) -> None:
        super().__init__(why)
        self.guard = guard
        self.why = why
        self.command = command


class Gauge(Protocol):
    """How one kind of guard is measured."""

    def before(self, now: float) -> str:
        """Called before the load, some seconds apart, twice; says what was found, for people."""

    def look(self, now: float, state: State, last: bool) -> Reading:
        """Called about once a second while the policy runs."""

    def stop(self) -> None:
        """End what it started."""


class Judge:
    """Counts looks at which a guard's limit was passed."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.strikes = 0

    def of(self, value: float | None, basis: str, *, last: bool = False) -> Reading:
        if value is None:
            return Reading(self.guard, None, False, basis=basis)
        holds = self.guard.holds(value)
        self.strikes = 0 if holds else self.strikes + 1
        passed = self.strikes >= STRIKES or (last and not holds)
        return Reading(self.guard, value, holds, passed, basis=basis)


class Waits:
    """A quantile of the policy's own histograms, over the last seconds."""

    def __init__(self, guard: Guard) -> None:
        self.judge = Judge(guard)
        self.window = Window(WINDOW_S)

    def before(self, now: float) -> str:
        return ""

    def look(self, now: float, state: State, last: bool) -> Reading:
        guard, waits = self.judge.guard, state.histograms()
        if guard.cls and guard.cls not in waits and waits:
            known = ", ".join(f"`{name}`" for name in waits)
            raise Unmeasurable(guard, f"the policy has no class `{guard.cls}`; there is {known}")
        self.window.add(now, waits)
        counts = self.window.counts(guard.cls)
        number = sum(counts)
        value = quantile(counts, guard.quantile) if number >= (1 if last else ENOUGH) else None
        if value is not None:
            # Its bucket may reach further than anything that was ever seen.
            value = min(value, float(state.longest_wait_ns(guard.cls)))
        return self.judge.of(value, f"{number} waits", last=last)

    def stop(self) -> None:
        pass


class Pressure:
    """PSI, as the kernel averages it over 10 s."""

    def __init__(self, guard: Guard) -> None:
        self.judge = Judge(guard)

    def before(self, now: float) -> str:
        value = host.psi_some()
        if value is None:
            raise Unmeasurable(self.judge.guard, "the kernel has no /proc/pressure/cpu "
                               "(CONFIG_PSI, or psi=1 on its command line)")  # fmt: skip
        return self.judge.guard.show(value)

    def look(self, now: float, state: State, last: bool) -> Reading:
        return self.judge.of(host.psi_some(), "some, avg10", last=last)

    def stop(self) -> None:
        pass


class Switches:
    """Context switches a second, against those before."""

    def __init__(self, guard: Guard) -> None:
        self.judge = Judge(guard)
        self.seen: deque[tuple[float, int]] = deque()
        self.base = 0.0

    def before(self, now: float) -> str:
        self._see(now)
        if len(self.seen) < 2:
            return ""
        self.base = self._rate()
        self.seen.clear()
        if self.base <= 0:
            raise Unmeasurable(self.judge.guard, "there were no context switches before the load")
        return f"{self.base:.0f} switches/s"

    def look(self, now: float, state: State, last: bool) -> Reading:
        self._see(now)
        if len(self.seen) < 2:
            return self.judge.of(None, "")
        rate = self._rate()
        return self.judge.of(100 * rate / self.base, f"{rate:.0f} switches/s", last=last)

    def _see(self, now: float) -> None:
        count = host.switches()
        if count is None:
            raise Unmeasurable(self.judge.guard, "/proc/stat counts no context switches")
        self.seen.append((now, count))
        while len(self.seen) > 2 and self.seen[1][0] <= now - WINDOW_S:
            self.seen.popleft()

    def _rate(self) -> float:
        (began, first), (ended, last) = self.seen[0], self.seen[-1]
        return (last - first) / (ended - began) if ended > began else 0.0

    def stop(self) -> None:
        pass


class Command:
    """The number that a command prints: itself, or against what it printed before."""

    def __init__(self, guard: Guard, timeout_s: float) -> None:
        self.judge = Judge(guard)
        self.probe = Probe(guard.argv, timeout_s)
        self.base: float | None = None
        self.last: Reading | None = None

    def before(self, now: float) -> str:
        if self.base is not None:
            return f"{self.base:g}"
        found = self.probe.once()
        guard = self.judge.guard
        if isinstance(found, Failed):
            raise Unmeasurable(guard, f"the command of `{guard.text}` {found.why}", command=True)
        if guard.kind is Kind.rate and found <= 0:
            raise Unmeasurable(guard, f"the command of `{guard.text}` printed {found:g} before the "
                               "load; a share of that means nothing", command=True)  # fmt: skip
        self.base = found
        return f"{found:g}"

    def look(self, now: float, state: State, last: bool) -> Reading:
        guard = self.judge.guard
        found = self.probe.look()
        match found:
            case None:
                # At the end the last number counts, however old it is.
                if last and self.last is not None and not self.last.holds:
                    return self.judge.of(self.last.value, self.last.basis, last=True)
                return self.last or Reading(guard, None, False)
            case Failed():
                return Reading(guard, None, False, failed=found.why)
            case number:
                value, basis = number, ""
                if guard.kind is Kind.rate:
                    assert self.base is not None
                    value, basis = 100 * number / self.base, f"{number:g}"
                self.last = self.judge.of(value, basis, last=last)
                return self.last

    def stop(self) -> None:
        self.probe.stop()


def gauge(guard: Guard, timeout_s: float) -> Gauge:
    """What measures a guard; `timeout_s` is for its command."""
    match guard.kind:
        case Kind.wait:
            return Waits(guard)
        case Kind.psi:
            return Pressure(guard)
        case Kind.switches:
            return Switches(guard)
        case Kind.rate | Kind.command:
            return Command(guard, timeout_s)
