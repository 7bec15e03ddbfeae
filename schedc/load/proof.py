"""The proof of an object: its certificate, read and held against it.

Input: an object and a certificate, both hostile. Output: what the certificate claims, of a form
that was checked, or a refusal. Invariant: a claim comes out only if it binds this very object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schedc.load.errors import BAD_CERTIFICATE, UNPROVEN, LoadError
from schedc.load.form import Form, Malformed
from schedc.prove.whole import Files, Held, Refused, hold
from schedc.toolchain.mark import UNPROVEN as UNPROVEN_MARK, read_mark


def held_by(data: bytes, certificate: str) -> Held:
    """What the certificate holds of the object; raises E0836 or E0837."""
    mark = read_mark(data)
    if mark == UNPROVEN_MARK:
        raise unproven("the object is marked `unproven`")
    try:
        held = hold(certificate.encode("utf-8", "replace"), Files(object=data, mark=mark))
        _check_form(held.body)
        return held
    except Malformed as wrong:
        raise LoadError(BAD_CERTIFICATE, f"the certificate can't be read: {wrong}") from wrong
    except Refused as wrong:
        if "claims no proof" in wrong.what:
            raise unproven(wrong.what) from wrong
        raise LoadError(
            BAD_CERTIFICATE, wrong.what[:300], notes=tuple(n[:300] for n in wrong.notes),
            help="compile the policy again: `schedc compile --emit obj,cert`",
        ) from wrong  # fmt: skip


def _check_form(body: Mapping[str, Any]) -> None:
    """What is taken from a certificate is of its form: hashes in order can be made by anybody."""
    form = Form(body, "the certificate")
    form.number("runnable", 1, 1 << 31)
    policy, names = form.part("policy"), form.part("build").value("names")
    policy.line("name", 128)
    policy.line("version", 64)
    sources = Form(policy.value("sources"), "`sources`")
    for name in policy.value("sources"):
        sources.hash(name)
    tunes = form.part("parameters").value("tunes")
    if not isinstance(tunes, dict) or not all(_is_range(one) for one in tunes.values()):
        raise Malformed("its ranges of tunables are none")
    for bound in form.parts("bounds", 64):
        bound.line("class", 128)
        bound.number("promise_ns", 0, 1 << 62)
    if names is not None:
        for kind in ("classes", "queues", "cgroups", "exes"):
            Form(names, "`names`").names(kind)


def _is_range(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 2 and all(type(n) is int for n in one)


def unproven(why: str) -> LoadError:
    return LoadError(
        UNPROVEN, "the policy is not proved, so it is not loaded", notes=(why,),
        help="`schedc prove` says what is missing; `schedc vm` tries it without one",
    )  # fmt: skip
