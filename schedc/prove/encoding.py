"""A proof as plain values (for JSON, the cache and certificates), and back.

Input: a `Proof`. Output: dicts, lists, strings and whole numbers in a fixed order; rational numbers
are strings such as `3/2`. Invariant: `decode(encode(proof)) == proof`; what isn't such a value
raises `ValueError`, whatever it is.
"""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from typing import Any

from schedc.prove.result import PROPERTIES, Assumption, Bound, Obligation, Proof, Verdict
from schedc.source import Span


def encode(proof: Proof) -> dict[str, Any]:
    """All of a proof, and what follows from it (verdict, waits), which `decode` leaves out."""
    return {
        "policy": proof.policy,
        "version": proof.version,
        "model": proof.model,
        "verdict": proof.verdict.value,
        "runnable": proof.runnable,
        "parameters": proof.parameters,
        "bounds": [encode_bound(one, proof.runnable) for one in proof.bounds],
        "assumptions": [
            {"code": one.code, "text": one.text, "value": one.value} for one in proof.assumptions
        ],
        "obligations": [_encode_obligation(one) for one in proof.obligations],
        "run": proof.run,
    }


def encode_bound(bound: Bound, runnable: int) -> dict[str, Any]:
    """W(N) = a + b N with its value at `runnable`, and the largest N that keeps the promise."""
    return {
        "class": bound.cls,
        "queue": bound.queue,
        "discipline": bound.discipline,
        "a_ns": str(bound.a_ns),
        "b_ns": str(bound.b_ns),
        "formula": bound.formula,
        "promise_ns": bound.promise_ns,
        "wait_ns": bound.wait_ns(runnable),
        "most_runnable": bound.most_runnable,
        "span": _encode_span(bound.span),
    }


def _encode_obligation(one: Obligation) -> dict[str, Any]:
    return {
        "name": one.name,
        "property": one.property,
        "statement": one.statement,
        "verdict": one.verdict.value,
        "reason": one.reason,
        "hint": one.hint,
        "span": _encode_span(one.span),
        "rlimit": one.rlimit,
        "ms": round(one.ms, 3),
        "smt2": one.smt2,
    }


def _encode_span(span: Span | None) -> list[Any] | None:
    return None if span is None else [span.start, span.end, span.file]


def decode(values: Any) -> Proof:
    """The proof that `encode` gave these values of."""
    try:
        return Proof(
            str(values["policy"]), str(values["version"]), str(values["model"]),
            int(values["runnable"]), dict(values["parameters"]),
            tuple(_decode_obligation(one) for one in values["obligations"]),
            tuple(
                Assumption(str(one["code"]), str(one["text"]), str(one["value"]))
                for one in values["assumptions"]
            ),
            tuple(_decode_bound(one) for one in values["bounds"]),
            values["run"],
        )
    except (KeyError, TypeError, AttributeError, ArithmeticError) as wrong:
        raise ValueError(f"not a proof: {wrong!r}") from wrong


def _decode_bound(values: Any) -> Bound:
    span = _decode_span(values["span"])
    if span is None:
        raise ValueError("a bound without a place")
    return Bound(
        values["class"], values["queue"], values["discipline"], Fraction(values["a_ns"]),
        Fraction(values["b_ns"]), values["formula"], int(values["promise_ns"]), span,
    )


def _decode_obligation(values: Any) -> Obligation:
    if values["property"] not in PROPERTIES:
        raise ValueError(f"no such property: {values['property']}")
    return Obligation(
        values["name"], values["property"], values["statement"], Verdict(values["verdict"]),
        _decode_span(values["span"]), values["smt2"], values["reason"], values["hint"],
        int(values["rlimit"]), float(values["ms"]),
    )


def _decode_span(values: Any) -> Span | None:
    if values is None:
        return None
    start, end, file = values
    return Span(int(start), int(end), str(file))


def canonical(values: Any) -> bytes:
    """The one text that stands for these values: what hashes are made of."""
    return json.dumps(
        values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode()


def digest(values: Any) -> str:
    """sha256 of the canonical text."""
    return hashlib.sha256(canonical(values)).hexdigest()
