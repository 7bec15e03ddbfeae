"""A certificate held together, and held against the files that it is about; without a solver.

Input: a certificate's bytes; the policy, the C and the object if they are to be compared. Output:
the certificate's contents, or `Refused` with what differs. Invariant: nothing is run and nothing
but the standard library is needed, so that the loader can use it, too. Whether the obligations
hold is the business of `recheck`, which asks a solver.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from schedc.prove.certificate import FORMAT, identity, part_hashes, text
from schedc.prove.encoding import digest
from schedc.records import dataclass

_NUMBER = re.compile(r"-?[0-9]{1,60}(/[1-9][0-9]{0,59})?")

PROPERTIES = ("bounded", "placed", "work-conserving", "starvation-free", "served")


class Refused(Exception):
    """`what` differs, in words that end a sentence; `notes` say more."""

    def __init__(self, what: str, *notes: str) -> None:
        super().__init__(what)
        self.what = what
        self.notes = notes


@dataclass(frozen=True, slots=True)
class Files:
    """What a certificate is held against; None is not compared. `bases`: by the name that the
    policy extends them by."""

    policy: bytes | None = None
    bases: Mapping[str, bytes] | None = None
    c: bytes | None = None
    object: bytes | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate whose parts belong together. `body`: its contents. `waits`: W(N) in ns, made
    again for each class. `compared`: what was held against it, in words."""

    body: Mapping[str, Any]
    waits: tuple[int, ...]
    compared: tuple[str, ...]


def hold(data: bytes, files: Files) -> Held:
    """Check a certificate's text, claims, numbers and files; raises `Refused`."""
    body = _whole(data)
    try:
        _claims_a_proof(body)
        compared = tuple(_compare(body, files))
        waits = tuple(_bound(one, body["runnable"]) for one in body["bounds"])
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as wrong:
        raise Refused("the file is not a certificate of schedc", _why(wrong)) from wrong
    return Held(body, waits, compared)


# --- the text


def _whole(data: bytes) -> dict[str, Any]:
    """The certificate, if no byte of it was changed; else says which part was."""
    try:
        body = json.loads(data)
        if body["schedc"]["certificate"] != FORMAT:
            raise Refused(f"the certificate's format is not {FORMAT}")
        changed = _changed_parts(body)
        if changed:
            raise Refused(f"changed in the certificate: {', '.join(changed)}")
        rest = {name: value for name, value in body.items() if name != "sha256"}
        if digest(rest) != body["sha256"]:
            raise Refused("changed in the certificate: its hashes")
        if body["identity"] != identity(body):
            raise Refused("the certificate's identity is not that of its parts")
        if text(body).encode() != data:
            raise Refused("changed in the certificate: its spelling, though not its contents")
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as wrong:
        raise Refused("the file is not a certificate of schedc", _why(wrong)) from wrong
    return dict(body)


def _why(wrong: Exception) -> str:
    """What is wrong with a file's form, without quoting its bytes at length."""
    match wrong:
        case UnicodeDecodeError():
            return f"byte {wrong.start} is not text"
        case ValueError():
            return f"it is not JSON: {wrong}"[:120]
        case KeyError():
            return f"it has no part {wrong}"[:120]
        case _:
            return "its parts are not of the form that a certificate has"


def _changed_parts(body: Mapping[str, Any]) -> list[str]:
    now, then = part_hashes(body), body["hashes"]
    return [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]


def _claims_a_proof(body: Mapping[str, Any]) -> None:
    """The verdicts, bounds and queries are those of a proof."""
    if body["verdict"] != "proved":
        raise Refused(f"the certificate claims no proof: its verdict is `{body['verdict']}`")
    obligations = body["obligations"]
    names = [one["name"] for one in obligations]
    if len(set(names)) != len(names):
        raise Refused("two obligations of the certificate have one name")
    for one in obligations:
        if one["verdict"] not in ("proved", "waived"):
            raise Refused(f"the obligation `{one['name']}` is `{one['verdict']}`")
        if one["verdict"] == "proved" and not one["smt2"]:
            raise Refused(f"the obligation `{one['name']}` has no query")
    unbound = {one["class"] for one in body["bounds"]} ^ {
        name.partition(".")[2] for name in names if name.startswith("starvation-free.")
    }
    if unbound:
        raise Refused(f"bounds and obligations differ in classes: {', '.join(sorted(unbound))}")
    missing = set(PROPERTIES[:4]) - {one["property"] for one in obligations}
    if missing:
        raise Refused(f"the certificate has no obligation of: {', '.join(sorted(missing))}")
    if not body["bounds"]:
        raise Refused("the certificate has no bound")
    if body["parameters"]["runnable"] != body["runnable"]:
        raise Refused("the certificate's numbers of contenders differ")


# --- the files that it is about


def _compare(body: Mapping[str, Any], files: Files) -> Iterator[str]:
    sources = body["policy"]["sources"]
    if files.policy is not None:
        _same("the policy", files.policy, sources[""])
        yield "policy"
    for name, expected in sources.items():
        base = (files.bases or {}).get(name)
        if name and base is not None:
            _same(f"the policy `{name}` that it extends", base, expected)
            yield name
    if files.c is not None:
        _same("the C", files.c, body["build"]["c"])
        yield "C"
    if files.object is not None:
        _same("the object", files.object, body["build"]["object"])
        if files.mark != f"proof {body['identity']}":
            raise Refused("the object doesn't carry this proof's mark")
        yield "object"


def _same(what: str, data: bytes, expected: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise Refused(
            f"{what} is not the one that was proved", f"its sha256 is {found}",
            f"the certificate says {expected}",
        )  # fmt: skip


# --- the numbers


def _bound(one: Mapping[str, Any], runnable: int) -> int:
    """W(N) of a class, made again of a and b; it must keep its promise."""
    name = one["class"]
    # Such as `1e999999999` is a number, too, and takes for ever.
    if not all(_NUMBER.fullmatch(str(one[part])) for part in ("a_ns", "b_ns")):
        raise Refused(f"the bound of `{str(name)[:60]}` is not made of numbers")
    a, b = Fraction(one["a_ns"]), Fraction(one["b_ns"])
    if a < 0 or b < 0:
        raise Refused(f"the bound of `{name}` is negative")
    wait = -((-(a + b * runnable)) // 1)
    if wait != one["wait_ns"]:
        raise Refused(
            f"the bound of `{name}` is {wait} ns at {runnable} tasks, "
            f"not the {one['wait_ns']} ns of the certificate"
        )
    if wait > one["promise_ns"]:
        raise Refused(f"the bound of `{name}` passes its promise")
    if not _most(a, b, one["promise_ns"], one["most_runnable"]):
        raise Refused(f"the most tasks at which `{name}` keeps its promise are others")
    return int(wait)


def _most(a: Fraction, b: Fraction, promise: int, most: int) -> bool:
    """Whether `most` tasks keep the promise, and one more wouldn't (without a b, any number)."""
    return a + b * most <= promise and (b == 0 or a + b * (most + 1) > promise)
