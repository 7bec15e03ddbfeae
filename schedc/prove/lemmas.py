"""Lemmas of the argument: steps that hold for every policy, and those about a policy's numbers.

Input: the disciplines and ways that a proof uses. Output: queries. Those named `lemma.…` are the
same text in every proof; `fact.….pace` and `fact.….credit` are their like with numbers, since the
solver is never asked about products of variables. Invariant: `docs/prover.md` uses nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import z3

from schedc.ir import nodes as ir
from schedc.ir.print import time
from schedc.prove.discipline import Discipline, Drift, Fifo, Now, Vtime, lost, rate
from schedc.prove.linear import nonnegative, up
from schedc.prove.parameters import milliseconds
from schedc.prove.service import Counted, Paced, Shared, Way
from schedc.prove.solve import Query
from schedc.prove.times import Times
from schedc.source import Span


def lemmas(kinds: Iterable[Discipline], ways: Iterable[Way]) -> list[Query]:
    """Those that these disciplines and ways rest on, in a fixed order."""
    kinds, ways = list(kinds), list(ways)
    made = [_spread()] if kinds else []
    if any(isinstance(kind, Fifo | Now | Drift) for kind in kinds):
        made.append(_position())
    if any(isinstance(kind, Now | Drift | Vtime) for kind in kinds):
        made.append(_order())
    if any(isinstance(kind, Drift | Vtime) for kind in kinds):
        made.append(_clock())
    if any(way.above.direct_ns for way in ways):
        made.append(_placed())
    if any(way.above.buckets or isinstance(way, Paced) for way in ways):
        made.append(_bucket())
    if any(way.above.between_ns or isinstance(way, Counted) for way in ways):
        made.append(_count())
    if any(isinstance(way, Shared) for way in ways):
        made.append(_share())
    return made


def _lemma(
    name: str, statement: str, hypotheses: list[z3.BoolRef], goals: list[z3.BoolRef]
) -> Query:
    return Query(
        f"lemma.{name}", "starvation-free", statement, None, tuple(hypotheses), z3.And(*goals)
    )


def _position() -> Query:
    """FIFO, and keyed queues once newcomers come behind."""
    before, place, rest = z3.Ints("before place before.next")
    inserted, own, new = z3.Ints("before.inserted own.key new.key")
    return _lemma(
        "position",
        "each pick by a cpu that may run a waiting task takes it or one before it; whoever comes "
        "at the tail, or with a key that is not lower, comes behind",
        [
            before >= 0, place >= 0, place <= before,
            rest == z3.If(place < before, before - 1, before),
            inserted == z3.If(new < own, before + 1, before), new >= own,
        ],
        [z3.Or(place == before, z3.And(rest == before - 1, rest >= 0)), inserted == before],
    )  # fmt: skip


def _spread() -> Query:
    """Pigeonholes, as an induction over the cpus that may run the task: `product` is N times their
    number."""
    total, product, share, n = z3.Ints("total product services runnable")
    total_next, product_next = z3.Ints("total.next product.next")
    return _lemma(
        "spread",
        "if each cpu that may run the task had served N others before it, then N times as many as "
        "there are such cpus had been before it: so one of them served at most N - 1",
        [
            n >= 1, total >= product, share >= n,
            total_next == total + share, product_next == product + n,
        ],
        [total_next >= product_next, z3.Not(total_next <= product_next - 1)],
    )  # fmt: skip


def _order() -> Query:
    """ORDER, in the kernel's own arithmetic: `a - b < 0`, signed, modulo 2^64. Distances of 62 bits
    are what lies within 2^61."""
    clock = z3.BitVec("clock", 64)
    first, second = (z3.SignExt(2, z3.BitVec(name, 62)) for name in ("first", "second"))
    return _lemma(
        "order",
        "keys within 2^61 of one clock are in the order of their distances to it, whatever the "
        "clock: the kernel's comparison modulo 2^64 has no cycles there",
        [], [((clock + first) - (clock + second) < 0) == (first < second)],
    )  # fmt: skip


def _clock() -> Query:
    """A compare-and-swap writes only over what it has seen, and only what is higher."""
    found, seen, value, after = z3.Ints("clock seen value clock.next")
    swapped = z3.And(value > seen, found == seen)
    return _lemma(
        "clock",
        "a clock never goes back, however many cpus move it at once; and after a try that was not "
        "overtaken it is at least the vtime of the task that ran",
        [after == z3.If(swapped, value, found)],
        [after >= found, z3.Implies(found == seen, after >= value)],
    )  # fmt: skip


def _placed() -> Query:
    """LOCAL: a claim takes the idle mark, which a cpu gets only when dispatch finds nobody."""
    idle, claims = z3.Ints("idle claims")
    idle_claimed, claims_claimed = z3.Ints("idle.claimed claims.claimed")
    idle_next, finds = z3.Int("idle.next"), z3.Bool("dispatch.finds")
    return _lemma(
        "placed",
        "while a task waits for a cpu, at most one other is placed there past the queues",
        [
            idle >= 0, claims >= 0, idle + claims <= 1,
            claims_claimed == claims + idle, idle_claimed == 0,
            finds, idle_next == z3.If(finds, idle_claimed, 1),
        ],
        [idle_claimed + claims_claimed <= 1, idle_next + claims_claimed <= 1, claims_claimed <= 1],
    )  # fmt: skip


def _bucket() -> Query:
    """What a bucket has let through and what it holds never exceed what it began with and got."""
    size, filled, more, credit, spent = z3.Ints("size filled more credit spent")
    refilled, ran, turn = z3.Ints("refilled ran turn")
    return _lemma(
        "bucket",
        "within any time, a line with a share of it is served at most that share, what its bucket "
        "holds, and one turn",
        [
            size >= 0, more >= 0, credit <= size, spent + credit <= size + filled,
            refilled == z3.If(credit + more < size, credit + more, size),
            refilled > 0, ran >= 0, ran <= turn,
        ],
        [
            refilled <= size, spent + refilled <= size + filled + more,
            (spent + ran) + (refilled - ran) <= size + filled + more,
            spent + ran <= size + filled + more + turn,
        ],
    )  # fmt: skip


def _count() -> Query:
    """A counted line between two services of a lower one."""
    count, served, limit = z3.Ints("count served limit")
    count_next, served_next = z3.Ints("count.next served.next")
    lower = z3.Bool("lower.served")
    return _lemma(
        "count",
        "a counted line is served at most its count of times between two services of lower lines",
        [
            limit >= 1, served == count, count >= 0, count <= limit,
            z3.Implies(z3.Not(lower), count < limit),
            count_next == z3.If(lower, 0, count + 1),
            served_next == z3.If(lower, 0, served + 1),
        ],
        [served_next <= limit, served_next == count_next],
    )  # fmt: skip


def _share() -> Query:
    """Two portions of a `share`: service over parts, one of them with a task that waits."""
    own, other, ran = z3.Ints("own other ran")
    own_turn, other_turn = z3.Ints("own.turn other.turn")
    serves_own = z3.Bool("own.first")
    own_next, other_next, levelled = z3.Ints("own.next other.next levelled")
    return _lemma(
        "share",
        "of two portions of a `share`, the one with the least service over its parts is served; so "
        "neither is ahead of the other by more than a turn, the one that waits never lifted",
        [
            own <= other + own_turn, other <= own + other_turn, own_turn >= 0, other_turn >= 0,
            z3.Implies(serves_own, own <= other), z3.Implies(z3.Not(serves_own), other <= own),
            ran >= 0, ran <= z3.If(serves_own, own_turn, other_turn),
            own_next == z3.If(serves_own, own + ran, own),
            other_next == z3.If(serves_own, other, other + ran),
            levelled >= other, levelled <= z3.If(other > own, other, own),
        ],
        [
            own_next <= other_next + own_turn, other_next <= own_next + other_turn,
            own <= levelled + own_turn, levelled <= own + other_turn,
        ],
    )  # fmt: skip


# --- with the numbers of a policy -----------------------------------------------------------------


def paced(queue: ir.Queue, way: Paced, span: Span) -> Query:
    """How far a line with its own bucket may fall behind its pace: never more than what D and the
    debt of one turn cost. Four parts of a round; `lag` is pace times time, less service."""
    return Query(
        f"fact.{queue.name}.pace", "starvation-free",
        f"while a task waits, the line of {queue.name} gets {percent(way.rate)} of the time, less "
        f"what it misses in {milliseconds(up(way.idle_ns))}, the longest that it goes unserved "
        "while open, and one turn",
        span, tuple(_round(way)), z3.And(*_lags(way)),
    )  # fmt: skip


_FULL, _DRAINED, _CLOSED = z3.Ints("until.full until.spent closed")
_FIRST, _SECOND, _OVER = z3.Ints("served.until.full served.until.spent overshoot")
_OPEN, _SERVED, _SPENT, _DEBT = z3.Ints("open served.open spent.unfilled closed.first")


def _round(way: Paced) -> list[z3.BoolRef]:
    """What is known of a round: from empty and open, through the last moment at which the bucket
    was full, to spent, to open again; of one in which it never was full; of the first."""
    size = way.share * way.period_ns
    left, idle = way.above.left, way.above.left * way.idle_ns
    return [
        *(term >= 0 for term in (_FULL, _DRAINED, _CLOSED, _OVER, _FIRST, _OPEN, _SERVED, _DEBT)),
        way.turn_ns >= _OVER,
        # Open, up to any moment, and until it was full last: what the lines above leave, after D.
        nonnegative([(1, _SERVED), (-left, _OPEN)], idle),
        nonnegative([(1, _FIRST), (-left, _FULL)], idle),
        # From full to spent: all that it held, what came in meanwhile, and the overshoot.
        nonnegative([(1, _SECOND), (-1, _OVER), (-way.share, _DRAINED)], -size),
        nonnegative([(1, _OVER), (-way.share, _CLOSED)]),
        # Never full: at least what came in, and the overshoot.
        nonnegative([(1, _SPENT), (-1, _OVER), (-way.share, _OPEN)]),
        # Closed when the wait begins: a debt of at most one turn.
        nonnegative([(-way.share, _DEBT)], way.turn_ns),
    ]


def _lags(way: Paced) -> list[z3.BoolRef]:
    pace = way.rate
    return [
        # While open, the lag grows by at most pace * D.
        nonnegative([(1, _SERVED), (-pace, _OPEN)], pace * way.idle_ns),
        # Over a round it doesn't grow, whether the bucket got full or not.
        nonnegative([(1, _FIRST), (1, _SECOND), *[(-pace, t) for t in (_FULL, _DRAINED, _CLOSED)]]),
        nonnegative([(1, _SPENT), (-pace, _OPEN), (-pace, _CLOSED)]),
        # Before the first opening it grows by at most one turn.
        nonnegative([(-pace, _DEBT)], way.turn_ns),
    ]


def percent(share: Fraction) -> str:
    """For people."""
    return f"{float(100 * share):.4g}%"


def credit(queue: ir.Queue, kind: Vtime, times: Times) -> Query:
    """K1 and K3: a contender's vtime pays for its time; so does a forked one's start."""
    factor, stint = rate(kind, queue, times), times.stint(queue)
    counted, ran, charge, moved, spent = z3.Ints("counted ran charge moved spent")
    start, last, lived, paid = z3.Ints("start last lived paid")
    covers = Fraction(stint, min(stint, times.policy.stint_max_ns))
    hypotheses = [
        # So far, the time of a contender, and of those before it in its place, is paid for.
        spent >= 0, nonnegative([(factor, moved), (-1, spent)]),
        counted >= 0, kind.weight * charge >= 100 * counted,
        ran >= 0, nonnegative([(covers, counted), (-1, ran)]),
        # A forked one that exits: its last stint moves no clock, but its start did.
        kind.weight * start >= 100 * times.start(queue), last >= 0, last <= stint,
        lived >= 0, nonnegative([(factor, paid), (-1, lived)]),
    ]  # fmt: skip
    goals = [
        nonnegative([(factor, moved), (factor, charge), (-1, spent), (-1, ran)]),
        nonnegative([(factor, paid), (factor, start), (-1, lived), (-1, last)]),
    ]
    credit_ns = kind.window.high - kind.window.low - kind.lead_ns
    return Query(
        f"fact.{queue.name}.credit", "starvation-free",
        f"a contender runs at most {float(factor):.4g} times as long as the clock of {queue.name} "
        f"or its vtime moves, exits and forks included; so, before a task that waits, for that "
        f"times {time(credit_ns)} and {2 + lost(kind)} turns",
        queue.span, tuple(hypotheses), z3.And(*goals),
    )  # fmt: skip
