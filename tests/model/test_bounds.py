"""No schedule of a small machine waits longer than the prover's bound: all of them are tried.

Where the table of a case says `least`, the worst schedule must come at least that near to the bound
(in percent): so the search is known to reach what it is meant to. `schedc.model` knows nothing of
the prover, nor the prover of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from schedc.model import Machine, Profile, Topology
from schedc.prove.parameters import Parameters, declared
from schedc.prove.prove import prove
from schedc.prove.result import Verdict
from tests.model.explore import Found, Moves, explore
from tests.model.machines import MS, nice, policy_of

FIFO = """
queue all fifo
class everyone
enqueue everyone to all slice 4ms
dispatch { take all }
"""

TWO = """
queue a fifo
queue b fifo
class a when nice < 0
class b
enqueue a to a slice 4ms
enqueue b to b slice 4ms
dispatch {{ {} }}
"""

THREE = """
queue a fifo
queue b fifo
queue c fifo
class a when nice < 0
class b when nice == 0
class c
enqueue a to a slice 4ms
enqueue b to b slice 4ms
enqueue c to c slice 4ms
dispatch {{ {} }}
"""

FAIR = """
assume weight in {0}
queue all by vtime within {1}
state task.used : vtime of all
class everyone
on stop {{ task.used += charge(ran) }}
enqueue everyone to all key task.used slice 4ms
dispatch {{ {2} }}
"""

KEYS = """
assume weight in {0}
queue all by vtime within {1}
state task.used : vtime of all
class a when nice < 0
class b
on stop {{ task.used += charge(ran) }}
enqueue a to all key task.used - {2} slice 4ms
enqueue b to all key task.used + {3} slice 4ms
dispatch {{ take all }}
"""

MOMENTS = """
queue all by moment within 0ms..20ms
class a when nice < 0
class b
enqueue a to all key now slice 4ms
enqueue b to all key now + 20ms slice 4ms
dispatch { take all }
"""

STEAL = """
queue own fifo per cpu
class everyone
enqueue everyone to own slice 4ms
dispatch { take own steal own }
"""

CELLS = """
assume weight in 50..200
assume cgroups <= 4
queue cell by vtime within -4ms..8ms drift 1/2 clock all per cgroup
queue own by vtime within -4ms..8ms drift 1/2 clock all per cpu
state task.used : vtime of cell
class bound when kthread
class free
on stop { task.used += charge(ran) }
enqueue bound to own key task.used slice 4ms
enqueue free to cell key task.used slice 4ms
dispatch { lowest own, cell steal own }
"""

PREEMPT = """
queue a fifo
queue b fifo
class a when nice < 0
class b
enqueue a to a slice 4ms preempt b when ran >= 2ms
enqueue b to b slice 4ms
dispatch { take a at most 50% every 16ms take b }
"""

CAPPED = """
queue night fifo
queue day fifo
class night when nice < 0
class day
cap night at 25% every 32ms
enqueue night to night slice 4ms
enqueue day to day slice 4ms
dispatch { take day at most 50% every 16ms take night }
"""

UNLIMITED = """
queue all fifo
class everyone
enqueue everyone to all slice unlimited contended 4ms
dispatch { take all }
"""

CGROUPS = """
assume cgroups <= 3
queue cell fifo per cgroup
class everyone
enqueue everyone to cell slice 4ms
dispatch { take cell }
"""

A, B, C = nice(-1), nice(0), nice(1)


def weights(*values: int) -> tuple[Profile, ...]:
    return tuple(Profile(weight=value) for value in values)


def narrow(*cpus: int) -> Profile:
    return Profile(allowed=frozenset(cpus))


@dataclass(frozen=True)
class Case:
    """`victim`: the kind of task that waits. `least`: see the module. `served`: as
    `Moves.cpus`; `apart`: so many contenders of each queue, not in all."""

    name: str
    text: str
    kinds: tuple[Profile, ...]
    runnable: int
    least: int
    victim: int = 0
    llcs: tuple[int, ...] = (0,)
    tick_ns: int = 0
    late: tuple[int, ...] = (0,)
    ends: tuple[str, ...] = ()
    ends_late: tuple[str, ...] = ("sleep", "exit")
    short_ns: tuple[int, ...] = ()
    states: int = 4_000
    served: int | None = None
    apart: bool = False


KEEP = "keep at most 2 when task.used < head(all) take all"
AFTER = "take b after 12ms at most 25% every 32ms take a at most 50% every 32ms take b"
BUCKETS = "take a at most 25% every 16ms take b at most 25% every 40ms take c"
DRIFT = "-4ms..8ms drift 1/2"

CASES = (
    Case("fifo", FIFO, (Profile(),), 4, 75, tick_ns=MS, late=(0, 1),
         ends=("yield", "sleep", "exit"), short_ns=(10_000,)),
    Case("fifo, 2 cpus", FIFO, (Profile(),), 2, 50, llcs=(0, 0)),
    Case("fifo, narrow", FIFO, (narrow(0), narrow(1), narrow(0, 1)), 2, 50, llcs=(0, 0)),
    Case("steal", STEAL, (narrow(0, 1), narrow(0)), 3, 50, victim=1, llcs=(0, 0), served=1,
         ends_late=("exit",)),
    Case("placed", FIFO.replace("enqueue", "place { idle prev idle anywhere }\nenqueue", 1),
         (narrow(0, 1), narrow(0)), 2, 30, llcs=(0, 0)),
    Case("vtime", FAIR.format("100..100", "-4ms..8ms", "take all"), weights(100), 3, 25),
    Case("vtime, ticks", FAIR.format("100..100", "-4ms..8ms", "take all"), weights(100), 3, 25,
         tick_ns=4 * MS, late=(1,)),
    Case("vtime, weights", FAIR.format("50..200", "-4ms..16ms", "take all"), weights(50, 200),
         2, 20),
    Case("vtime, 10..1000", FAIR.format("10..1000", "-4ms..40ms", "take all"), weights(10, 1000),
         2, 45),
    Case("drift", FAIR.format("50..200", DRIFT, "take all"), weights(50, 200), 2, 60),
    Case("drift, 2 llcs", FAIR.format("50..200", f"{DRIFT} per llc", "take all steal all"),
         weights(50, 200), 2, 12, llcs=(0, 1), states=1_500),
    Case("keep", FAIR.format("100..100", DRIFT, KEEP), weights(100), 2, 15),
    Case("lead", KEYS.format("100..400", "-8ms..8ms", "8ms", "0ms"),
         tuple(Profile(weight=w, nice=n) for w in (400, 100) for n in (0, -1)), 2, 30, victim=2),
    Case("lag", KEYS.format("100..100", "-4ms..16ms", "4ms", "8ms"), (A, B), 3, 30, victim=1),
    Case("moment", MOMENTS, (A, B), 3, 70, victim=1),
    Case("count, upper", TWO.format("take a at most 2 take b"), (A, B), 3, 75, apart=True),
    Case("count, lower", TWO.format("take a at most 2 take b"), (A, B), 3, 85, victim=1,
         apart=True),
    Case("counts", THREE.format("take a at most 1 take b at most 2 take c"), (A, B, C), 3, 35,
         victim=2),
    Case("count and bucket", THREE.format("take a at most 50% every 16ms take b at most 1 take c"),
         (A, B, C), 2, 70, victim=2, ends_late=("exit",), apart=True),
    Case("bucket, upper", TWO.format("take a at most 50% every 16ms take b"), (A, B), 3, 65,
         apart=True),
    Case("bucket, lower", TWO.format("take a at most 50% every 16ms take b"), (A, B), 3, 65,
         victim=1, apart=True),
    Case("cap", CAPPED, (A, B), 2, 25, states=1_500),
    Case("unlimited", UNLIMITED, (Profile(),), 3, 50, tick_ns=MS, late=(0, 1),
         ends=("yield", "sleep", "exit"), short_ns=(2 * MS, 4 * MS, 6 * MS)),
    Case("cgroups", CGROUPS, tuple(Profile(cgroup=i) for i in range(3)), 3, 30),
    Case("preempt", PREEMPT, (A, B), 3, 50, victim=1),
    Case("share, more", THREE.format("share a 2, b 1, c 1"), (A, B, C), 3, 45),
    Case("share, less", THREE.format("share a 2, b 1, c 1"), (A, B, C), 3, 50, victim=2),
    Case("lowest", CELLS, (Profile(), Profile(weight=50, kthread=True),
                           Profile(weight=200, cgroup=1)), 2, 10, states=1_500),
)  # fmt: skip

LONG = (
    Case("drift, 10..1000", FAIR.format("10..1000", "-4ms..40ms drift 1/4", "take all"),
         weights(10, 1000), 2, 90, states=40_000),
    *(
        Case(f"two buckets, {'abc'[victim]}", THREE.format(BUCKETS), (A, B, C), 3, 50,
             victim=victim, states=40_000)
        for victim in range(3)
    ),
    Case("after", TWO.format(AFTER), (A, B), 3, 45, victim=1, states=40_000),
    Case("fifo, late and early", FIFO, (narrow(0), narrow(0, 1)), 3, 60, llcs=(0, 0),
         tick_ns=2 * MS, late=(0, 1), states=40_000),
    Case("vtime, 3 tasks", FAIR.format("50..200", "-4ms..16ms", "take all"), weights(50, 200),
         3, 30, states=40_000),
    Case("drift, narrow", FAIR.format("50..200", DRIFT, "take all"),
         (*weights(50, 200), Profile(weight=50, allowed=frozenset({0}))), 2, 20, victim=2,
         llcs=(0, 0), states=40_000),
)  # fmt: skip


def parameters_of(case: Case) -> Parameters:
    """The numbers of the model: the kernel itself keeps nobody there, as `dispatch` does."""
    return replace(
        declared(policy_of(case.text)),
        runnable=case.runnable, tick_ns=case.tick_ns, keep_slice_ns=1,
    )  # fmt: skip


def search(case: Case) -> tuple[str, Found]:
    """The victim's class, and the worst that was found."""
    m = Machine(policy_of(case.text), Topology(case.llcs), parameters=parameters_of(case),
                record=False)  # fmt: skip
    m.advance(1_000 * MS)  # buckets are full
    victim = m.fork(case.kinds[case.victim], 0)
    cls = m.class_name(victim)
    assert cls is not None
    moves = Moves(case.runnable, case.kinds, case.ends, case.late, case.short_ns, case.ends_late,
                  cpus=case.served, apart=case.apart)  # fmt: skip
    return cls, explore(m, victim, moves, case.states)


def bound(case: Case, cls: str) -> int:
    proof = prove(policy_of(case.text), parameters_of(case))
    found = [b for b in proof.bounds if b.cls == cls]
    assert found, [o for o in proof.obligations if o.reason]
    return found[0].wait_ns(case.runnable)


def _check(case: Case) -> None:
    cls, found = search(case)
    limit = bound(case, cls)
    assert found.worst_ns is not None, found.run
    assert found.worst_ns <= limit, found.run
    assert 100 * found.worst_ns >= case.least * limit, (found.worst_ns, limit)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_schedule_waits_longer(case: Case) -> None:
    _check(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", LONG, ids=lambda case: case.name)
def test_no_schedule_of_many_waits_longer(case: Case) -> None:
    _check(case)


@pytest.mark.parametrize(
    ("text", "kinds", "victim"),
    [
        pytest.param(TWO.format("take a take b"), (A, B), 1, id="strict"),
        pytest.param(THREE.format("take a at most 2 take b at most 2 take c"), (A, B, C), 1,
                     id="a count never reset"),
    ],
)  # fmt: skip
def test_the_search_finds_waits_for_ever(
    text: str, kinds: tuple[Profile, ...], victim: int
) -> None:
    case = Case("", text, kinds, 3, 0, victim)
    cls, found = search(case)
    assert found.worst_ns is None
    proof = prove(policy_of(text), parameters_of(case))
    assert proof.verdict is not Verdict.proved
    assert cls not in {b.cls for b in proof.bounds}


def test_a_bound_that_is_too_small_is_exceeded() -> None:
    """The check itself works: less a stint, the bound of a fifo is passed."""
    case = replace(CASES[0], runnable=3)
    cls, found = search(case)
    assert found.worst_ns is not None
    assert found.worst_ns > bound(replace(case, runnable=1), cls)
