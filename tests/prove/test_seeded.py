"""Seeded bugs in the prover: each is caught by a check that holds without it.

A bug is a change of one function, put in while the test runs. The checks are those that the rest of
the suite is made of, each on a case that is small enough: shipped policies are proved; classic
mistakes are not; no schedule of a small machine waits longer than its bound; figures worked out by
hand; terms, C and reference semantics mean the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import z3

from schedc.ir.nodes import Policy
from schedc.prove import discipline, facts, prove as proving, service, solve, terms
from schedc.prove.compose import Failure
from schedc.prove.obligations import starvation_free
from schedc.prove.parameters import declared
from schedc.prove.result import PROPERTIES, Proof, Verdict
from schedc.prove.times import Times
from tests.model import test_bounds
from tests.prove.mutations import generated
from tests.prove.shipped import STDLIB, typed
from tests.prove.test_differential import compare, compare_policy

Check = Callable[[Path], None]
Patch = pytest.MonkeyPatch

# --- checks ---------------------------------------------------------------------------------------


def _path(stem: str) -> Path:
    return next(path for path in STDLIB if path.stem == stem)


def _proof(stem: str) -> Proof:
    """Made anew: the bug may be in."""
    return proving.prove(typed(_path(stem)), declared(typed(_path(stem))))


def proved(*stems: str) -> Check:
    """Shipped policies are proved, with obligations of each property."""

    def check(_: Path) -> None:
        for stem in stems:
            found = _proof(stem)
            assert found.verdict is Verdict.proved, stem
            kinds = {one.property for one in found.obligations}
            assert kinds >= set(PROPERTIES) - {"served"}, stem
            assert {one.cls for one in found.bounds} == {
                cls.name for cls in typed(_path(stem)).classes
            }

    return check


@cache
def _mutant(stem: str, kind: str, what: str) -> Policy:
    return next(one for one in generated(_path(stem), [kind]) if what in one.what).policy


def refused(stem: str, kind: str, what: str) -> Check:
    """A mutant is not proved."""

    def check(_: Path) -> None:
        policy = _mutant(stem, kind, what)
        assert proving.prove(policy, declared(policy)).verdict is not Verdict.proved

    return check


def accepted(stem: str, kind: str, what: str) -> Check:
    """A mutant is proved."""

    def check(_: Path) -> None:
        policy = _mutant(stem, kind, what)
        assert proving.prove(policy, declared(policy)).verdict is Verdict.proved

    return check


def never_longer(*names: str) -> Check:
    """No schedule of a small machine waits longer than its bound."""

    def check(_: Path) -> None:
        for case in (*test_bounds.CASES, *test_bounds.LONG):
            if case.name in names:
                cls, found = _worst(case)
                assert found <= test_bounds.bound(case, cls), case.name

    return check


_SEARCHED: dict[str, tuple[str, int]] = {}


def _worst(case: test_bounds.Case) -> tuple[str, int]:
    """The model doesn't know of the prover's bugs: searched once."""
    if case.name not in _SEARCHED:
        cls, found = test_bounds.search(case)
        assert found.worst_ns is not None
        _SEARCHED[case.name] = cls, found.worst_ns
    return _SEARCHED[case.name]


def figures(stem: str, seconds: float) -> Check:
    """The longest wait, worked out by hand."""

    def check(_: Path) -> None:
        found = _proof(stem)
        assert found.worst_bound is not None
        waits = found.worst_bound.wait_ns(found.runnable) / 1e9
        assert abs(waits - seconds) < 0.005 * seconds, waits

    return check


def one_meaning(folder: Path) -> None:
    """Of a policy with every kind of expression, and of each operator."""
    from tests.emit.expressions import every_operator, some_inputs

    for name in ("latency", "operators"):
        (folder / name).mkdir(exist_ok=True)
    compare_policy(_path("latency"), 1, 100, folder / "latency")
    compare(every_operator(), some_inputs(2, 100), folder / "operators")


# --- bugs -----------------------------------------------------------------------------------------


def _none(*_: Any) -> tuple[()]:
    return ()


def _true(query: solve.Query) -> solve.Query:
    return replace(query, goal=z3.BoolVal(True))


def _claims(
    change: Callable[[solve.Query], solve.Query], module: Any, name: str
) -> Callable[[Patch], None]:
    """Every query that a function makes is changed."""
    real = getattr(module, name)

    def patch(monkeypatch: Patch) -> None:
        def changed(*given: Any, **named: Any) -> Any:
            found = real(*given, **named)
            return change(found) if isinstance(found, solve.Query) else tuple(map(change, found))

        monkeypatch.setattr(module, name, changed)

    return patch


def _put(owner: Any, name: str, value: Any) -> Callable[[Patch], None]:
    return lambda monkeypatch: monkeypatch.setattr(owner, name, value)


def _of_demand(change: Callable[[discipline.Demand], discipline.Demand]) -> Callable[[Patch], None]:
    """What a queue is said to demand is changed."""

    def patch(monkeypatch: Patch) -> None:
        from schedc.prove import compose

        def changed(*given: Any) -> Any:
            found = discipline.demand(*given)
            return change(found) if isinstance(found, discipline.Demand) else found

        monkeypatch.setattr(compose, "demand", changed)

    return patch


def _less_work(by: int) -> Callable[[discipline.Demand], discipline.Demand]:
    """N - 1 - by instead of N - 1."""

    def change(found: discipline.Demand) -> discipline.Demand:
        fewer = replace(found.work, a=found.work.a - by * found.stint_ns)
        return replace(found, work=fewer)

    return change


def _above_without(**changes: Any) -> Callable[[Patch], None]:
    """What stands above a line is changed."""

    def patch(monkeypatch: Patch) -> None:
        from schedc.prove import compose

        real = compose._above

        def changed(site: Any) -> Any:
            found = real(site)
            return found if isinstance(found, Failure) else replace(found, **changes)

        monkeypatch.setattr(compose, "_above", changed)

    return patch


def _rounds_up(self: terms.Terms, a: Any, b: Any) -> Any:
    return terms.number(a + b - 1) / terms.number(b)


def _goal_asserted(query: solve.Query) -> str:
    return solve._text([*query.hypotheses, terms.truth(query.goal)])


def _goal_alone(query: solve.Query) -> str:
    return solve._text([z3.Not(terms.truth(query.goal))])


def _turned(query: solve.Query) -> solve.Query:
    return replace(query, goal=z3.Not(terms.truth(query.goal)))


def _contradicted(query: solve.Query) -> solve.Query:
    return replace(query, hypotheses=(*query.hypotheses, z3.BoolVal(False)))


def _strict_is_fine(monkeypatch: Patch) -> None:
    """A line above that nothing limits is left out of what stands above."""
    from schedc.prove import compose

    real = compose._above

    def changed(site: Any) -> Any:
        found = real(site)
        return real(replace(site, above=())) if isinstance(found, Failure) else found

    monkeypatch.setattr(compose, "_above", changed)


def _half_delay(found: discipline.Demand) -> discipline.Demand:
    return replace(found, delay_ns=found.delay_ns // 2)


def _quarter(found: discipline.Demand) -> discipline.Demand:
    return replace(found, work=found.work.times(Fraction(1, 4)))


def _short_delay(found: discipline.Demand) -> discipline.Demand:
    return replace(found, delay_ns=found.delay_ns // 64)


def _unknown_is_proved(monkeypatch: Patch) -> None:
    """Z3 says nothing, and that is taken for yes."""
    real = solve._verdict

    def changed(query: Any, found: Any, *rest: Any) -> Any:
        return real(query, z3.unsat if found != z3.unsat else found, *rest)

    monkeypatch.setattr(solve, "_verdict", changed)


def _no_promise(monkeypatch: Patch) -> None:
    real = starvation_free.promised
    monkeypatch.setattr(starvation_free, "promised", lambda *given: 1000 * real(*given))


_MANY = refused("fifo", "assumption or promise", "`<= 64` → `<= 4096`")

BUGS: dict[str, tuple[Callable[[Patch], None], Check]] = {
    # Obligations and facts.
    "placed is not asked": (_put(proving, "placed", _none), proved("fifo")),
    "bounded is not asked": (_put(proving, "bounded", _none), proved("fifo")),
    "work-conserving is not asked": (
        _put(proving, "work_conserving", _none),
        refused("saved_lag", "dispatch line", "without line `steal ready`"),
    ),
    "a stint need not be charged": (
        _claims(_true, facts, "charged"), refused("fair", "charge", "`charge(ran)` → `0ms`"),
    ),
    "a vtime may fall": (
        _claims(_true, facts, "monotone"),
        refused("fair", "charge", "on wake { task.used = clock(all) }"),
    ),
    "a key may be early": (
        _claims(_true, facts, "led"), refused("fair", "key", "`key task.used` → `key clock(all)`"),
    ),
    "who waited is passed": (_claims(_turned, facts, "passed_drift"), proved("deadline")),
    "who waited is passed, in time": (_claims(_turned, facts, "passed_now"), proved("latency")),
    "the promise is not compared": (_no_promise, _MANY),
    "what takes all is let through": (
        _strict_is_fine, refused("budgeted", "dispatch line", "line `take reserved` at 2"),
    ),
    # Numbers.
    "RES is forgotten": (_put(Times, "residue", property(lambda _: 0)), figures("fifo", 1.56)),
    "tau is forgotten": (
        _put(Times, "stint", lambda _, queue: queue.slice_max_ns), figures("fifo", 1.56),
    ),
    "N - 2 for N - 1": (_of_demand(_less_work(1)), figures("fifo", 1.56)),
    "N - 3 for N - 1": (_of_demand(_less_work(2)), never_longer("fifo")),
    "half the drift": (_of_demand(_half_delay), figures("deadline", 15.64)),
    "no drift": (_of_demand(_short_delay), never_longer("drift")),
    "half the horizon": (_of_demand(_half_delay), never_longer("moment")),
    "keeps are one stint": (
        _put(Times, "turn", lambda self, queue: self.stint(queue)), figures("flash", 12.08),
    ),
    "the weights' lower end": (
        _put(discipline, "rate", lambda *_: Fraction(1, 10)),
        refused("fair", "assumption or promise", "`50..200` → `1..10000`"),
    ),
    "a lead is free": (_of_demand(_quarter), never_longer("lead")),
    "the lines above have no buckets": (_above_without(buckets=()), never_longer("bucket, lower")),
    "buckets are empty": (
        _put(service.Bucket, "burst_ns", property(lambda _: Fraction(0))), figures("bands", 13.57),
    ),
    "counts are free": (_above_without(counts=()), never_longer("count, lower", "counts")),
    "a placed task is free": (_above_without(direct_ns=0), figures("fifo", 1.56)),
    "a full bucket loses nothing": (
        _put(service.Paced, "rate", property(lambda self: self.share)),
        accepted("bands", "limit of a line", "`12% every 260ms` → `12% every 130ms`"),
    ),
    "a share takes no turns": (
        _put(service.Shared, "skew_ns", property(lambda _: Fraction(-(10**8)))),
        never_longer("share, less"),
    ),
    # Solver and terms.
    "unknown is proved": (_unknown_is_proved, _MANY),
    "goals are turned": (_put(solve, "smt2", _goal_asserted), proved("fifo")),
    "hypotheses contradict": (_claims(_contradicted, proving, "bounded"), proved("fifo")),
    "hypotheses are lost": (_put(solve, "smt2", _goal_alone), proved("fair")),
    "division rounds up": (_put(terms.Terms, "div", _rounds_up), one_meaning),
}  # fmt: skip

QUICK = (
    "placed is not asked", "bounded is not asked", "a stint need not be charged",
    "a vtime may fall", "who waited is passed", "the promise is not compared", "RES is forgotten",
    "N - 3 for N - 1", "no drift", "half the horizon", "the lines above have no buckets",
    "counts are free", "unknown is proved", "goals are turned", "hypotheses contradict",
)  # fmt: skip
"""Those that run with the suite; the rest with the campaign."""


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[] if one in QUICK else pytest.mark.slow) for one in BUGS]
)
def test_it_is_caught(name: str, monkeypatch: Patch, tmp_path: Path) -> None:
    patch, check = BUGS[name]
    for folder in ("good", "bad"):
        (tmp_path / folder).mkdir()
    check(tmp_path / "good")
    with monkeypatch.context() as changed:
        patch(changed)
        with pytest.raises(AssertionError):
            check(tmp_path / "bad")
