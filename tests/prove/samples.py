"""A small proof to show, keep and certify, made by hand: no solver made it, cvc5 confirms it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from schedc.prove.result import Assumption, Bound, Obligation, Proof, Property, Verdict
from schedc.source import Span

SOURCES = {"": b"policy sample 1.0.0\n", "stdlib/fifo": b"policy fifo 1.0.0\n"}

HOLDS = """\
(set-logic QF_LIA)
(declare-fun slice () Int)
(assert (and (>= slice 1) (<= slice 20)))
(assert (not (<= (+ slice 4) 24)))
(check-sat)
"""
FAILS = HOLDS.replace("24", "23")


def obligation(
    name: str, property: Property, verdict: Verdict = Verdict.proved, **more: str
) -> Obligation:
    text = HOLDS if verdict is Verdict.proved else ""
    return Obligation(
        name, property, f"what {name} says", verdict, Span(3, 9), text, rlimit=7, ms=1.5, **more
    )


def proof() -> Proof:
    """Proved: 24 ms + 24 ms N for one class, 1/3 ms N for another."""
    bounds = (
        Bound("all", "q", "fifo", Fraction(24_000_000), Fraction(24_000_000), "RES + N r",
              30_000_000_000, Span(0, 6)),
        Bound("few", "p", "moment", Fraction(0), Fraction(1_000_000, 3), "N r", 1_000_000_000,
              Span(7, 9)),
    )  # fmt: skip
    return Proof(
        "sample", "1.0.0", "1", 64, {"runnable": 64, "weight": [1, 10000], "tunes": {}},
        (
            obligation("bounded.slice", "bounded"),
            obligation("placed.all", "placed"),
            obligation("work-conserving.all", "work-conserving", Verdict.waived,
                       reason="the policy has `pack`"),
            obligation("starvation-free.all", "starvation-free"),
            obligation("starvation-free.few", "starvation-free"),
        ),
        (Assumption("E1", "at most N tasks contend for one cpu", "N = 64"),),
        bounds,
    )  # fmt: skip


def failed(verdict: Verdict, *, at: int = 3, reason: str = "", hint: str = "") -> Proof:
    """The sample with one obligation that isn't proved."""
    good = proof()
    broken = replace(good.obligations[at], verdict=verdict, reason=reason, hint=hint)
    obligations = (*good.obligations[:at], broken, *good.obligations[at + 1 :])
    return replace(good, obligations=obligations)
