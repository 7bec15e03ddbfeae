"""Checking a certificate again, with another solver and none of the code that made it.

Input: a certificate's bytes; the policy, the C and the object if they are to be compared. Output:
`Rechecked`, or `Refused` with what differs. Invariant: nothing here imports z3, the generator of
obligations, the compiler or the C generator; what decides is cvc5 on the certificate's own texts,
and whole-number arithmetic on its bounds.

What this trusts is said in `docs/certificates.md`: cvc5, this file, and that the obligations are
the right ones for the policy, which only making them again shows (`schedc prove`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from schedc.prove.whole import Files, Refused, hold
from schedc.records import dataclass

RLIMIT = "20000000"
"""Steps of cvc5 for one obligation; ordinary ones take some thousands."""

_ALLOWED = frozenset({
    "set-info", "set-logic", "declare-const", "declare-fun", "declare-sort", "define-fun",
    "define-sort", "assert", "check-sat",
})  # fmt: skip
"""Nothing that prints: an `echo` could say `unsat`."""


class NoSolver(Exception):
    """cvc5 can't be imported."""


@dataclass(frozen=True, slots=True)
class Rechecked:
    """A certificate that holds. `compared`: what was held against it, in words."""

    policy: str
    version: str
    obligations: int
    waived: int
    wait_ns: int
    runnable: int
    compared: tuple[str, ...]
    seconds: float


def recheck(data: bytes, files: Files) -> Rechecked:
    """Check a certificate and what it is about; raises `Refused` or `NoSolver`."""
    began = time.perf_counter()
    held = hold(data, files)
    body = held.body
    waived = _solve(body["obligations"])
    policy = body["policy"]
    return Rechecked(
        policy["name"], policy["version"], len(body["obligations"]), waived, max(held.waits),
        body["runnable"], held.compared, time.perf_counter() - began,
    )  # fmt: skip


# --- the queries


def _solve(obligations: list[Mapping[str, Any]]) -> int:
    """Each query must be unsatisfiable; the number of those that are waived."""
    try:
        import cvc5
    except ImportError as missing:
        raise NoSolver(str(missing)) from missing
    waived = 0
    for one in obligations:
        if one["verdict"] == "waived":
            waived += 1
            continue
        answer = _answer(cvc5, one["name"], one["smt2"])
        if answer != "unsat":
            raise Refused(f"cvc5 doesn't confirm the obligation `{one['name']}`: {answer}",
                          one["statement"])  # fmt: skip
    return waived


def _answer(cvc5: Any, name: str, query: str) -> str:
    """What cvc5 says to the one `check-sat` at the end of a query."""
    terms = cvc5.TermManager()
    solver = cvc5.Solver(terms)
    solver.setOption("rlimit-per", RLIMIT)
    solver.setOption("seed", "0")
    symbols = cvc5.SymbolManager(terms)
    parser = cvc5.InputParser(solver, symbols)
    answer = ""
    try:
        parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, query, name)
        while not (command := parser.nextCommand()).isNull():
            said = command.getCommandName()
            if answer:
                return "it goes on after its question"
            if said not in _ALLOWED:
                return f"`{said}` has no place in an obligation"
            shown = str(command.invoke(solver, symbols)).strip()
            if said == "check-sat":
                answer = shown or "no answer"
            elif shown:
                return shown
    except RuntimeError as wrong:
        return f"it can't be read: {wrong}"
    return answer or "it asks nothing"
