"""What one line of `dispatch` gives to a queue, and how long a demand takes there.

Input: numbers only: what stands above a line (`Above`), the line's own limit, a `Demand`. Output:
`Way`s, each with its wait a + b N, a formula, and `claims`: the inequalities that the wait obeys,
as terms of the solver. Invariant: the claims at N allow no wait above W(N); `docs/prover.md` argues
each claim.
"""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction

import z3

from schedc.ir.print import time
from schedc.prove.discipline import Demand
from schedc.prove.linear import Linear, fixed, nonnegative, per_contender, up
from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """A line above, or a cap: served at most `share` of any time, and `size_ns` and one turn."""

    name: str
    share: Fraction
    size_ns: Fraction
    turn_ns: int

    @property
    def burst_ns(self) -> Fraction:
        return self.size_ns + self.turn_ns


@dataclass(frozen=True, slots=True)
class Above:
    """All that may keep a cpu from a line while a task waits there. `buckets`: lines with a share
    of time. `counts`: count and turn of each counted line, from the top. `residue_ns`: what runs
    when the wait begins. `direct_ns`: one placed task. `higher`: higher classes (E5)."""

    buckets: tuple[Bucket, ...]
    counts: tuple[tuple[int, int], ...]
    residue_ns: int
    direct_ns: int
    higher: Bucket

    @property
    def between_ns(self) -> int:
        """What counted lines take before each service of the line. A count is reset by every lower
        line, counted ones included: so they multiply."""
        total, resets = 0, 1
        for count, turn in reversed(self.counts):
            total += count * resets * turn
            resets *= count + 1
        return total

    @property
    def left(self) -> Fraction:
        """The share of time that is left for the line, at least."""
        return 1 - self.higher.share - sum((one.share for one in self.buckets), Fraction(0))

    @property
    def bursts_ns(self) -> Fraction:
        """What all buckets hold, and a turn of each."""
        return sum((one.burst_ns for one in self.buckets), Fraction(self.higher.size_ns))

    @property
    def quiet(self) -> bool:
        """Whether no higher scheduling class takes anything."""
        return self.higher.share == 0 and self.higher.size_ns == 0

    def idle_ns(self, more_ns: int = 0) -> Fraction:
        """D: the longest that the line goes unserved while it is open and a task waits."""
        if self.quiet:
            # Buckets don't fill beyond their size during the residue: it stays outside.
            return self.residue_ns + (self.bursts_ns + more_ns) / self.left
        return (self.residue_ns + self.bursts_ns + more_ns) / self.left

    def text(self) -> str:
        """The bursts, as summands of a formula."""
        named = [f"{time(up(one.burst_ns))} ({one.name})" for one in self.buckets]
        return " + ".join(named)


@dataclass(frozen=True, slots=True)
class Way:
    """A queue's way to the cpu. `after_ns`: how long a task waits before the line is there."""

    demand: Demand
    above: Above

    @property
    @abstractmethod
    def rest(self) -> Linear:
        """The wait after the demand's delay."""

    @property
    def wait(self) -> Linear:
        """W(N)."""
        return fixed(self.demand.delay_ns) + self.rest

    @abstractmethod
    def formula(self) -> str:
        """The wait in words and symbols."""

    @abstractmethod
    def claims(self, runnable: int) -> list[z3.BoolRef]:
        """What is known of `wait` while the task still waits; all terms are Ints, times in ns."""


WAIT = z3.Int("wait")
"""How long the task has waited, and still waits."""


def _rest(demand: Demand) -> z3.ArithRef:
    """The wait after the demand's delay: what of it is long."""
    return WAIT - demand.delay_ns


def _taken(above: Above, clock: z3.ArithRef) -> tuple[list[z3.BoolRef], list[z3.ArithRef]]:
    """Each bucket's service within a time, and what bounds it."""
    claims, terms = [], []
    buckets = list(above.buckets)
    if not above.quiet:
        buckets.append(above.higher)
    for number, one in enumerate(buckets):
        taken = z3.Int(f"taken.{number}")
        claims += [taken >= 0, nonnegative([(one.share, clock), (-1, taken)], one.burst_ns)]
        terms.append(taken)
    return claims, terms


def _between(above: Above, services: int) -> tuple[list[z3.BoolRef], z3.ArithRef]:
    """How often each counted line is served between so many services of the line, and before and
    after them; and the time that takes."""
    claims: list[z3.BoolRef] = []
    total, resets = z3.IntVal(0), z3.IntVal(services + 1)
    for number, (count, turn) in reversed(list(enumerate(above.counts))):
        times = z3.Int(f"counted.{number}")
        claims += [times >= 0, times <= count * resets]
        total, resets = total + turn * times, resets + times
    return claims, total


def _served(demand: Demand, runnable: int) -> list[z3.BoolRef]:
    """The line's service so far on the cpu that has given least of it: the task would be next."""
    served = z3.Int("served")
    return [served >= 0, nonnegative([(-1, served)], demand.work.at(runnable))]


@dataclass(frozen=True, slots=True)
class Plain(Way):
    """A line without a limit: whenever a cpu is not kept away from it, it serves the demand."""

    @property
    def rest(self) -> Linear:
        above = self.above
        work = self.demand.work + per_contender(above.between_ns)
        burst = fixed(above.bursts_ns + above.direct_ns)
        if above.quiet:
            return fixed(above.residue_ns) + (work + burst).times(1 / above.left)
        return (fixed(above.residue_ns) + work + burst).times(1 / above.left)

    def formula(self) -> str:
        above, (delay, work) = self.above, self.demand.text
        parts = [work]
        if above.between_ns:
            parts.append(f"N {time(above.between_ns)} (counted lines above)")
        if above.direct_ns:
            parts.append("r'")
        parts += [above.text()] if above.buckets else []
        inner = " + ".join(parts)
        if not above.quiet:
            inner = f"RES + sigma + {inner}"
        if above.left != 1:
            inner = f"({inner}) / {_percent(above.left)}"
        return " + ".join([*([delay] if delay else []), *(["RES"] if above.quiet else []), inner])

    def claims(self, runnable: int) -> list[z3.BoolRef]:
        above, rest = self.above, _rest(self.demand)
        residue, served, direct = z3.Ints("residue served direct")
        # Buckets clip at their size while the residue lasts, so that they count from its end.
        since = rest - residue if above.quiet else rest
        bounds, taken = _taken(above, since)
        counted, between = _between(above, runnable - 1)
        return [
            residue >= 0, residue <= above.residue_ns, direct >= 0, direct <= above.direct_ns,
            *_served(self.demand, runnable),
            *counted, *bounds,
            rest <= residue + served + between + direct + sum(taken, z3.IntVal(0)),
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counted(Way):
    """The uppermost line, with a count: after `count` services one turn of a lower line."""

    count: int
    lower_ns: int

    @property
    def rest(self) -> Linear:
        above = self.above
        lower = fixed(self.lower_ns) + per_contender(Fraction(self.lower_ns, self.count), less=1)
        fair = self.demand.work + lower + fixed(above.direct_ns + above.bursts_ns)
        if above.quiet:
            return fixed(above.residue_ns) + fair
        return (fixed(above.residue_ns) + fair).times(1 / above.left)

    def formula(self) -> str:
        delay, work = self.demand.text
        lower = f"((N-1) / {self.count} + 1) {time(self.lower_ns)} (lines below)"
        parts = [delay, "RES", work, lower, "r'" if self.above.direct_ns else ""]
        text = " + ".join(part for part in parts if part)
        return text if self.above.quiet else f"({text} + sigma) / {_percent(self.above.left)}"

    def claims(self, runnable: int) -> list[z3.BoolRef]:
        above, rest = self.above, _rest(self.demand)
        residue, served, direct = z3.Ints("residue served direct")
        services, turns, lower = z3.Ints("services turns lower")
        bounds, taken = _taken(above, rest)
        return [
            residue >= 0, residue <= above.residue_ns, direct >= 0, direct <= above.direct_ns,
            *_served(self.demand, runnable),
            services >= 0, services <= runnable - 1,
            turns >= 0, self.count * (turns - 1) <= services,
            lower >= 0, lower <= turns * self.lower_ns, *bounds,
            rest <= residue + served + lower + direct + sum(taken, z3.IntVal(0)),
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Paced(Way):
    """A line with a bucket of its own, or a cap. `turn_ns`: what it may overshoot. `late_ns`: how
    long an idle cpu may take to notice that it is open again (caps)."""

    share: Fraction
    period_ns: int
    turn_ns: int
    late_ns: int
    after_ns: int

    @property
    def idle_ns(self) -> Fraction:
        """D: the longest without service while the line is open."""
        return self.above.idle_ns(self.above.direct_ns if self.late_ns else 0) + self.late_ns

    @property
    def rate(self) -> Fraction:
        """The share that the line can count on: its own; at most what is left; less if its bucket
        may be full before its turn comes."""
        return min(self.share, self.above.left, self.share * self.period_ns / self.idle_ns)

    @property
    def lag_ns(self) -> Fraction:
        """How far its service may be behind that share: D, and one placed task."""
        return self.idle_ns + self.above.direct_ns / self.above.left

    @property
    def rest(self) -> Linear:
        paid = (self.demand.work + fixed(self.turn_ns)).times(1 / self.rate)
        return fixed(self.after_ns + self.lag_ns) + paid

    def formula(self) -> str:
        delay, work = self.demand.text
        parts = [
            f"{time(self.after_ns)} (after)" if self.after_ns else "", delay,
            f"({work} + r) / {_percent(self.rate)}",
            f"{_ms(self.lag_ns)} (until its turn comes)",
        ]  # fmt: skip
        return " + ".join(part for part in parts if part)

    def claims(self, runnable: int) -> list[z3.BoolRef]:
        rest, served, paced = _rest(self.demand) - self.after_ns, z3.Int("served"), z3.Int("paced")
        behind = self.rate * self.lag_ns + self.turn_ns
        return [
            *_served(self.demand, runnable),
            # What the bucket lets through, less the debt of one turn.
            nonnegative([(1, paced), (-self.rate, rest)], behind), served >= paced,
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shared(Way):
    """A portion of `share`. `parts`: its own; `others`: parts and turn of each other portion."""

    parts: int
    turn_ns: int
    others: tuple[tuple[int, int], ...]

    @property
    def skew_ns(self) -> Fraction:
        """How far the others may be ahead of their parts: a turn of each, and of its own."""
        return sum(
            (turn + Fraction(parts * self.turn_ns, self.parts) for parts, turn in self.others),
            Fraction(0),
        )

    @property
    def rest(self) -> Linear:
        above = self.above
        whole = self.parts + sum(parts for parts, _ in self.others)
        work = self.demand.work.times(Fraction(whole, self.parts)) + fixed(self.skew_ns)
        inner = work + fixed(above.bursts_ns + above.direct_ns)
        if above.quiet:
            return fixed(above.residue_ns) + inner.times(1 / above.left)
        return (fixed(above.residue_ns) + inner).times(1 / above.left)

    def formula(self) -> str:
        above, (delay, work) = self.above, self.demand.text
        whole = self.parts + sum(parts for parts, _ in self.others)
        inner = f"{whole}/{self.parts} {work} + {_ms(self.skew_ns)} (other portions)"
        inner = " + ".join(
            part for part in (inner, "r'" if above.direct_ns else "", above.text()) if part
        )
        if above.left != 1:
            inner = f"({inner}) / {_percent(above.left)}"
        return " + ".join([*([delay] if delay else []), "RES", inner])

    def claims(self, runnable: int) -> list[z3.BoolRef]:
        above, rest = self.above, _rest(self.demand)
        residue, served, direct, other = z3.Ints("residue served direct other")
        since = rest - residue if above.quiet else rest
        bounds, taken = _taken(above, since)
        rivals = sum(parts for parts, _ in self.others)
        return [
            residue >= 0, residue <= above.residue_ns, direct >= 0, direct <= above.direct_ns,
            *_served(self.demand, runnable),
            other >= 0,
            nonnegative([(-1, other), (Fraction(rivals, self.parts), served)], self.skew_ns),
            *bounds, rest <= residue + served + other + direct + sum(taken, z3.IntVal(0)),
        ]  # fmt: skip


def _percent(share: Fraction) -> str:
    return f"{float(100 * share):.4g}%"


def _ms(ns: Fraction) -> str:
    return f"{float(ns) / 1e6:.4g} ms"
