"""Queries, and what the solver says of them.

Input: `Query`s. Output: an `Obligation` for each, in order. Invariant: the verdict is a function of
the query's SMT-LIB text alone, which is part of the obligation: that text is what is solved, with a
fixed seed and a limit in steps (not seconds), so that every machine gives the same verdict and
another solver can check it again.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable
from typing import Any

import z3

from schedc.ir.nodes import Type
from schedc.ir.print import value as show
from schedc.prove.result import Obligation, Property, Verdict
from schedc.prove.terms import truth
from schedc.records import dataclass
from schedc.source import Span

RLIMIT = 20_000_000
"""Steps for one query: some ten seconds. Ordinary ones take some thousands."""

VACUOUS = "contradictory hypotheses"
LIMIT = "the solver's limit was reached"


@dataclass(frozen=True, slots=True)
class Query:
    """Hypotheses that imply a goal. `hint`: what would make it provable. `reason`: said when it
    fails. `refutes`: a model is a real counterexample; `shown` are the names to tell of it."""

    name: str
    property: Property
    statement: str
    span: Span | None
    hypotheses: tuple[z3.BoolRef, ...]
    goal: z3.BoolRef
    hint: str = ""
    reason: str = ""
    refutes: bool = False
    shown: tuple[tuple[str, Type], ...] = ()


def decide(items: Iterable[Query | Obligation]) -> tuple[Obligation, ...]:
    """Obligations in the same order, with the queries among them solved."""
    items = list(items)
    names = [item.name for item in items]
    assert len(set(names)) == len(names), "names of obligations are unique"
    solved = iter(solve(item for item in items if isinstance(item, Query)))
    return tuple(next(solved) if isinstance(item, Query) else item for item in items)


_PRINTING = z3.Context()

_MOST_KNOWN = 50_000
_known: dict[bytes, int] | None = None
"""Queries that this process has proved, by the hash of their text and limit, with the steps that it
took; None: they aren't kept."""


def remember() -> None:
    """From now on solve a query that is proved only once: for those that prove many policies, which
    have many queries in common."""
    global _known
    _known = {} if _known is None else _known


def solve(queries: Iterable[Query]) -> tuple[Obligation, ...]:
    """The obligation of each query."""
    context = z3.Context()
    return tuple(_solve(query, context) for query in queries)


def smt2(query: Query) -> str:
    """SMT-LIB 2 text that is unsatisfiable exactly if the query's goal follows."""
    return _text([*query.hypotheses, z3.Not(truth(query.goal))])


def _text(assertions: list[Any]) -> str:
    # In a context of its own: what else is alive in one decides which terms are named as shared.
    terms = [truth(one).translate(_PRINTING) for one in assertions]
    hypotheses = (z3.Ast * (len(terms) - 1))(*[term.as_ast() for term in terms[:-1]])
    # No solver prints it: those simplify what they are given, or drop it.
    printed = z3.Z3_benchmark_to_smtlib_string(
        _PRINTING.ref(), "", "", "unknown", "", len(hypotheses), hypotheses, terms[-1].as_ast()
    )
    # The first lines are a comment and `set-info`; names of shared terms hold their addresses in
    # the solver's table.
    text = _renamed("\n".join(printed.strip().splitlines()[2:]))
    return f"(set-logic {_logic(text)})\n{text}\n"


def _renamed(text: str) -> str:
    seen: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        return seen.setdefault(found[0], f"?{len(seen)}")

    return re.sub(r"[?$]x\d+", name, text)


def _logic(text: str) -> str:
    """The least logic that all of the text is in."""
    if "(forall" in text or "(exists" in text or "(declare-datatypes" in text:
        return "ALL"
    bits, integers = "(_ BitVec" in text, " Int" in text
    functions = re.search(r"\(declare-fun \S+ \([^)]", text) or "(declare-sort" in text
    if bits:
        return "ALL" if integers else ("QF_UFBV" if functions else "QF_BV")
    return "QF_UFLIA" if functions else "QF_LIA"


def _solve(query: Query, context: z3.Context) -> Obligation:
    began = time.perf_counter()
    text = smt2(query)
    key = hashlib.sha256(f"{RLIMIT} {text}".encode()).digest()
    if _known is not None and key in _known:
        return Obligation(
            query.name, query.property, query.statement, Verdict.proved, query.span, text,
            rlimit=_known[key], ms=_ms(began),
        )  # fmt: skip
    solver = z3.SimpleSolver(ctx=context)
    solver.set("random_seed", 0)
    solver.set("rlimit", RLIMIT)
    parsed = z3.parse_smt2_string(text, ctx=context)
    before = _steps(solver)
    solver.add(*parsed[: len(parsed) - 1])
    vacuous = bool(query.hypotheses) and solver.check() == z3.unsat
    solver.add(parsed[len(parsed) - 1])
    found = z3.unsat if vacuous else solver.check()
    verdict, reason = _verdict(query, found, solver, vacuous)
    steps = _steps(solver) - before
    if _known is not None and verdict is Verdict.proved and len(_known) < _MOST_KNOWN:
        _known[key] = steps
    return Obligation(
        query.name, query.property, query.statement, verdict, query.span, text,
        reason, query.hint if verdict is not Verdict.proved else "", steps, _ms(began),
    )  # fmt: skip


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


def _verdict(
    query: Query, found: z3.CheckSatResult, solver: z3.Solver, vacuous: bool
) -> tuple[Verdict, str]:
    if vacuous:
        return Verdict.unproven, VACUOUS
    if found == z3.unsat:
        return Verdict.proved, ""
    if found == z3.unknown:
        return Verdict.unproven, LIMIT
    if not query.refutes:
        return Verdict.unproven, query.reason or "a step may fail, which may be unreachable"
    told = _model(query, solver.model())
    reason = query.reason or "it fails"
    return Verdict.refuted, f"{reason}, {told}" if told else reason


def _model(query: Query, model: z3.ModelRef) -> str:
    """`with tune.slice = 8ms and ran = 3ms`: the values that a model gives to names of a policy."""
    values = {str(found.name()): model[found] for found in model.decls() if found.arity() == 0}
    parts = []
    for name, type in query.shown:
        if name not in values:
            continue
        value = values[name]
        number = int(z3.is_true(value)) if z3.is_bool(value) else value.as_long()
        parts.append(f"{name} = {show(number, type)}")
    if not parts:
        return ""
    return "with " + (parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1])


def _steps(solver: z3.Solver) -> int:
    return next((int(value) for name, value in solver.statistics() if name == "rlimit count"), 0)
