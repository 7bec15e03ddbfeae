"""The composition over dispatch lines: figures, monotony, failures, and an adversary on one cpu."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest
import z3
from hypothesis import given, settings, strategies as st

from schedc.prove.compose import Failure, routes
from schedc.prove.discipline import Demand, discipline
from schedc.prove.linear import Linear, per_contender, up
from schedc.prove.parameters import declared
from schedc.prove.prove import narrow
from schedc.prove.service import WAIT, Above, Bucket, Counted, Paced, Plain, Shared, Way
from schedc.prove.times import times
from tests.prove.written import written

MS = 1_000_000
QUIET = Bucket("higher classes", Fraction(0), Fraction(0), 0)


def above(
    *buckets: Bucket, counts: tuple[tuple[int, int], ...] = (), residue: int = 24 * MS,
    direct: int = 0, higher: Bucket = QUIET,
) -> Above:  # fmt: skip
    return Above(buckets, counts, residue, direct, higher)


def share(percent: int, period_ms: int, turn_ms: int) -> Bucket:
    part = Fraction(percent, 100)
    return Bucket("upper", part, part * period_ms * MS, turn_ms * MS)


def services(turn_ms: int, delay_ms: int = 0) -> Demand:
    """N - 1 turns, after a delay."""
    turn = turn_ms * MS
    return Demand(delay_ms * MS, per_contender(turn, less=1), turn, True, ("", "(N-1) r"))


def at(way: Way, runnable: int = 64) -> float:
    """W(N) in ms."""
    return float(way.wait.at(runnable)) / MS


# --- figures --------------------------------------------------------------------------------------


def test_a_line_alone_serves_one_after_the_other() -> None:
    assert at(Plain(services(24), above(direct=24 * MS))) == 24 + 24 + 63 * 24


def test_what_two_shares_above_can_block() -> None:
    """40% and 40 ms each, without overshoot: 80 / 20%, as they may take turns."""
    way = Plain(services(1), above(share(40, 100, 0), share(40, 100, 0), residue=0))
    assert at(way, runnable=1) == pytest.approx(400)


def test_a_share_of_its_own() -> None:
    way = Paced(services(8), above(direct=24 * MS), Fraction(1, 5), 40 * MS, 8 * MS, 0, 0)
    assert way.rate == Fraction(1, 5)
    assert at(way) == (63 * 8 + 8) / 0.2 + 24 + 24


def test_a_period_too_short_costs_pace() -> None:
    """D = 24 + (8 + 8) / 80% = 44 ms: of 40 ms in each 44 the bucket can be used."""
    way = Paced(services(8), above(share(20, 40, 8)), Fraction(3, 5), 40 * MS, 8 * MS, 0, 0)
    assert way.idle_ns == 44 * MS
    assert way.rate == Fraction(3, 5) * Fraction(40, 44)


def test_a_share_larger_than_what_is_left() -> None:
    way = Paced(services(8), above(share(80, 100, 8)), Fraction(3, 10), 10_000 * MS, 8 * MS, 0, 0)
    assert way.rate == Fraction(1, 5)


def test_counts() -> None:
    """Four turns of 8 ms before each of 12 ms; and seen from above."""
    lower = Plain(services(12), above(counts=((4, 8 * MS),), direct=12 * MS))
    assert at(lower) == 24 + 12 + 63 * 12 + 64 * 32
    upper = Counted(services(8), above(direct=12 * MS), 4, 12 * MS)
    assert at(upper) == 24 + 12 + 63 * 8 + (63 / 4 + 1) * 12


def test_parts_of_a_share() -> None:
    """One part of four: three of the other's for each of its own, and a turn of each."""
    way = Shared(services(12), above(), 1, 12 * MS, ((3, 20 * MS),))
    assert at(way) == 24 + 4 * 63 * 12 + 20 + 3 * 12


def test_higher_classes_are_a_bucket() -> None:
    higher = Bucket("higher classes", Fraction(1, 10), Fraction(5 * MS), 0)
    way = Plain(services(24), above(higher=higher))
    assert at(way) == pytest.approx((24 + 5 + 63 * 24) / 0.9)


# --- whatever the numbers -------------------------------------------------------------------------

_MS = st.integers(1, 100)
_BUCKETS = st.lists(
    st.builds(share, st.integers(1, 30), st.integers(1, 500), _MS), min_size=0, max_size=3
)
_ABOVES = st.builds(
    lambda buckets, residue, direct: above(*buckets, residue=residue * MS, direct=direct * MS),
    _BUCKETS, _MS, _MS,
)  # fmt: skip
_DEMANDS = st.builds(services, _MS, st.integers(0, 5000))


def _ns(ms: int) -> int:
    return ms * MS


@st.composite
def ways(draw: st.DrawFn) -> Way:
    demand, over = draw(_DEMANDS), draw(_ABOVES)
    kind = draw(st.sampled_from(["plain", "paced", "counted", "shared"]))
    match kind:
        case "plain":
            counts = draw(st.lists(st.tuples(st.integers(1, 6), _MS.map(_ns)), max_size=3))
            return Plain(demand, replace(over, counts=tuple(counts)))
        case "paced":
            percent, period = draw(st.integers(1, 99)), draw(st.integers(1, 2000))
            part = Fraction(percent, 100)
            return Paced(demand, over, part, period * MS, demand.stint_ns, 0, 0)
        case "counted":
            lone = above(residue=over.residue_ns, direct=over.direct_ns)
            return Counted(demand, lone, draw(st.integers(1, 20)), draw(_MS) * MS)
    others = draw(st.lists(st.tuples(st.integers(1, 9), _MS.map(_ns)), min_size=1,
                           max_size=3))  # fmt: skip
    return Shared(demand, over, draw(st.integers(1, 9)), demand.stint_ns, tuple(others))


@given(ways(), st.integers(1, 4096))
@settings(deadline=None)
def test_the_claims_allow_no_wait_above_the_bound(way: Way, runnable: int) -> None:
    solver = z3.SimpleSolver()
    solver.add(*way.claims(runnable))
    assert solver.check(WAIT >= 0) == z3.sat
    assert solver.check(up(way.wait.at(runnable)) < WAIT) == z3.unsat


@given(ways(), st.integers(1, 4096))
@settings(deadline=None)
def test_the_claims_allow_nearly_the_bound(way: Way, runnable: int) -> None:
    """So that the bound is no looser than its claims: but for rounding, and a count's floor."""
    slack = 2000
    if isinstance(way, Counted):
        slack += 2 * way.lower_ns
    solver = z3.SimpleSolver()
    solver.add(*way.claims(runnable))
    nearly = int(way.wait.at(runnable)) - slack
    assert solver.check(nearly <= WAIT) == z3.sat


@given(ways(), st.integers(1, 4096))
def test_more_contenders_wait_longer(way: Way, runnable: int) -> None:
    assert way.wait.b > 0
    assert way.wait.at(runnable) < way.wait.at(runnable + 1)


@given(_DEMANDS, _ABOVES, st.builds(share, st.integers(1, 9), st.integers(1, 500), _MS))
def test_a_further_line_above_never_helps(demand: Demand, over: Above, more: Bucket) -> None:
    worse = above(*over.buckets, more, residue=over.residue_ns, direct=over.direct_ns)
    assert at(Plain(demand, worse)) > at(Plain(demand, over))
    part, turn = Fraction(1, 10), demand.stint_ns
    assert at(Paced(demand, worse, part, 100 * MS, turn, 0, 0)) > at(
        Paced(demand, over, part, 100 * MS, turn, 0, 0)
    )


@given(_DEMANDS, _ABOVES, st.integers(1, 98), st.integers(1, 2000))
def test_a_larger_share_never_hurts(demand: Demand, over: Above, percent: int, period: int) -> None:
    def paced(percent: int, period: int) -> float:
        part = Fraction(percent, 100)
        return at(Paced(demand, over, part, period * MS, demand.stint_ns, 0, 0))

    assert paced(percent + 1, period) <= paced(percent, period)
    assert paced(percent, period + 1) <= paced(percent, period)


# --- an adversary on one cpu ----------------------------------------------------------------------


class Cpu:
    """Lines with buckets above one another, on one cpu, against a policy of chances: which upper
    lines have tasks, how long stints take. The waiting task's line is `own`, or the unlimited one
    at the end if it is None."""

    def __init__(
        self, uppers: list[Bucket], own: Paced | None, rng: random.Random, residue: int
    ) -> None:
        self.uppers, self.own, self.rng, self.residue = uppers, own, rng, residue
        self.now = 0.0
        self.credit = [float(one.size_ns) for one in uppers]
        self.eager = rng.random() < 0.5

    def run(self, taken: float) -> None:
        """Time passes; every bucket fills, no further than its size."""
        self.now += taken
        for number, one in enumerate(self.uppers):
            full = float(one.size_ns)
            self.credit[number] = min(self.credit[number] + float(one.share) * taken, full)

    def upper(self) -> bool:
        """Whether some line above is served now."""
        order = list(range(len(self.uppers)))
        if not self.eager:
            self.rng.shuffle(order)  # a line that has no task now is passed over
        for number in order:
            if self.credit[number] > 0 and self.rng.random() < 0.97:
                turn = self.uppers[number].turn_ns
                taken = turn if self.rng.random() < 0.9 else self.rng.random() * turn
                before = self.credit[number]
                self.run(taken)
                filled = min(before + float(self.uppers[number].share) * taken - taken,
                             float(self.uppers[number].size_ns))  # fmt: skip
                self.credit[number] = filled
                return True
        return False

    def wait(self, before: int, turn: float) -> float:
        """How long the task with so many before it waits."""
        own, credit = self.own, 0.0
        if own is not None:
            credit = self.rng.choice([float(own.share * own.period_ns), 0.0, -own.turn_ns])
        self.run(self.residue)
        if own is not None:
            credit = min(credit + float(own.share) * self.residue,
                         float(own.share * own.period_ns))  # fmt: skip
        while True:
            began = self.now
            used = 0.0
            if not self.upper():
                if own is None or credit > 0:
                    if before == 0:
                        return self.now
                    before -= 1
                    self.run(turn)
                    used = turn
                else:
                    self.run(self.residue)  # a lower line, the longest stint of all
            if own is not None:
                credit += float(own.share) * (self.now - began) - used
                credit = min(credit, float(own.share * own.period_ns))


def chosen(seed: int) -> tuple[random.Random, list[Bucket], int, int]:
    rng = random.Random(seed)
    uppers = [
        share(rng.choice([5, 10, 20, 30]), rng.choice([20, 40, 100, 300]), rng.choice([1, 4, 12]))
        for _ in range(rng.randint(0, 2))
    ]
    return rng, uppers, rng.choice([2, 8, 24]), rng.choice([12, 24, 48])


@pytest.mark.parametrize("seed", range(150))
def test_no_adversary_makes_it_wait_longer(seed: int) -> None:
    rng, uppers, turn, residue = chosen(seed)
    over = above(*uppers, residue=residue * MS)
    demand = services(turn)
    part, period = Fraction(rng.choice([5, 20, 40, 60]), 100), rng.choice([10, 40, 100, 400])
    paced = Paced(demand, over, part, period * MS, turn * MS, 0, 0)
    runnable = rng.choice([2, 5, 20])
    for own, way in ((paced, paced), (None, Plain(demand, over))):
        for _ in range(5):
            cpu = Cpu(uppers, own, rng, residue * MS)
            waited = cpu.wait(runnable - 1, turn * MS)
            assert waited <= float(way.wait.at(runnable)) + 1


# --- the lines of a policy ------------------------------------------------------------------------


def found(text: str, queue: str) -> Way | Failure:
    policy = written(text)
    policy = narrow(policy, declared(policy))
    known = times(policy, declared(policy))
    kinds = {one.name: discipline(policy, declared(policy), one) for one in policy.queues}
    good, bad = routes(policy, known, kinds, policy.queue(queue))
    return good[0].way if good else bad[0]


def three(dispatch: str, more: str = "", queue: str = "queue c fifo") -> str:
    return f"""policy three 1.0.0
queue a fifo
queue b fifo
{queue}
{more}
class a when nice < 0
class b when nice > 0
class c
enqueue a to a slice 4ms
enqueue b to b slice 4ms
enqueue c to c {"key task.v " if "vtime" in queue else ""}slice 4ms
dispatch {{
  {dispatch}
}}
"""


def test_every_line_above_counts() -> None:
    way = found(three("take a at most 20% every 50ms\n take b at most 3\n take c"), "c")
    assert isinstance(way, Plain)
    assert [one.share for one in way.above.buckets] == [Fraction(1, 5)]
    assert way.above.between_ns == 3 * 8 * MS


def test_counts_multiply() -> None:
    way = found(three("take a at most 4\n take b at most 3\n take c"), "c")
    assert isinstance(way, Plain)
    assert way.above.between_ns == (5 * 4 - 1) * 8 * MS
    counts = replace(way.above, counts=((4, 10), (3, 1)))
    # Four of the upper before each of three, and four more after them.
    assert counts.between_ns == (4 * 3 + 4) * 10 + 3


def test_a_tunable_share_counts_at_its_worst() -> None:
    text = three(
        "take a at most tune.p every tune.t\n take b\n take c",
        'tune p = 10% in 5%..30% "share"\ntune t = 50ms in 20ms..80ms "period"',
    )
    own, below = found(text, "a"), found(text, "b")
    assert isinstance(own, Paced)
    assert (own.share, own.period_ns) == (Fraction(5, 100), 20 * MS)
    assert isinstance(below, Plain)
    assert below.above.buckets[0].share == Fraction(30, 100)
    assert below.above.buckets[0].size_ns == 24 * MS


@pytest.mark.parametrize(
    ("dispatch", "queue", "reason"),
    [
        ("take a\n take b\n take c", "b", "while `a` has tasks"),
        ("share a 1, b 1\n take c", "c", "while `a` and `b` has tasks"),
        ("take a at most 3\n take b at most 20% every 50ms\n take c", "c", "a count stands above"),
        ("take a at most 3\n take b at most 20% every 50ms\n take c", "b", "a count stands above"),
        ("take a at most 20% every 50ms\n take b at most 3\n take c", "b", "is counted below `a`"),
        ("take a at most 4\n take b at most 3\n take c", "b", "is counted below `a`"),
        ("take a at most 4\n share b 1, c 1", "c", "a count stands above a `share`"),
    ],
)
def test_what_is_not_argued_is_unproven(dispatch: str, queue: str, reason: str) -> None:
    failure = found(three(dispatch), queue)
    assert isinstance(failure, Failure)
    assert reason in failure.reason
    assert failure.hint


@pytest.mark.parametrize(
    ("dispatch", "more"),
    [
        ("take a at most 20% every 50ms\n take b at most 20% every 50ms\n take c", ""),
        ("share a 1, b 1, c 1", ""),
        ("take a at most 20% every 50ms\n take b\n take c", "cap b at 30% every 100ms"),
    ],
)
def test_whose_stints_may_be_endless_pays_without_end(dispatch: str, more: str) -> None:
    """Seen in the simulator (tests/sim/test_campaign.py): it waits for as long as a stint lasted
    before it came."""
    text = three(dispatch).replace("class c\n", f"class c\n{more}\n")
    endless = text.replace("to b slice 4ms", "to b slice unlimited contended 4ms")
    failure = found(endless, "b")
    assert isinstance(failure, Failure)
    assert "pays for all of an unlimited stint" in failure.reason
    assert not isinstance(found(text, "b"), Failure)
    assert not isinstance(found(endless, "a"), Failure), "who stands above waits as long as before"


def test_short_stints_below_a_count() -> None:
    queue = "queue c by vtime within -20ms..100ms\nstate task.v : vtime of c"
    text = three("take a at most 3\n take b at most 20% every 50ms\n take c", "", queue)
    charged = text.replace("enqueue a", "on stop { task.v += charge(ran) }\nenqueue a")
    swapped = charged.replace(
        "take a at most 3\n take b at most 20% every 50ms",
        "take b at most 20% every 50ms\n take a at most 3",
    )
    failure = found(swapped, "c")
    assert isinstance(failure, Failure)
    assert "may be very short" in failure.reason


def test_the_queue_s_own_line_above_is_no_obstacle() -> None:
    text = three("take c after 200ms at most 5% every 100ms\n take a at most 20% every 80ms\n"
                 "take b at most 20% every 200ms\n take c")  # fmt: skip
    way = found(text, "c")
    assert isinstance(way, Plain)
    assert len(way.above.buckets) == 2


def test_a_wait_that_is_old_enough_has_a_line() -> None:
    """The aged line alone: from 200 ms on, 30% of the time."""
    text = three("take c after 200ms at most 30% every 100ms\n take a at most 65% every 900ms\n"
                 "take b at most 4% every 900ms\n take c")  # fmt: skip
    way = found(text, "c")
    assert isinstance(way, Paced)
    assert way.after_ns == 200 * MS
    assert way.share == Fraction(3, 10)


def test_a_cap_is_a_share_that_may_idle() -> None:
    text = three("take a at most 20% every 50ms\n take b at most 20% every 100ms\n take c",
                 "cap c at 30% every 300ms")  # fmt: skip
    way = found(text, "c")
    assert isinstance(way, Paced)
    assert way.late_ns == 10 * MS
    assert way.idle_ns > way.above.idle_ns()


def test_a_capped_line_above_is_a_bucket() -> None:
    text = three("take a\n take b at most 20% every 100ms\n take c", "cap a at 30% every 40ms")
    way = found(text, "c")
    assert isinstance(way, Plain)
    assert way.above.left == Fraction(1, 2)


def test_a_line_that_nobody_fills_is_no_obstacle() -> None:
    text = three("take a at most 20% every 50ms\n take none\n take b at most 3\n take c",
                 "queue none fifo")  # fmt: skip
    way = found(text, "c")
    assert isinstance(way, Plain)
    assert len(way.above.buckets) == len(way.above.counts) == 1


def test_linear_bounds_add_up() -> None:
    one = Linear(Fraction(3), Fraction(1, 2)) + per_contender(4, less=1).times(2)
    assert one.at(10) == 3 + 5 + 72
