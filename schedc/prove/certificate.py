"""The certificate: a proof that others can check, bound to the very bytes that it is about.

Input: a proved `Proof`, the policy's bytes and, once there is an object, what was built of it.
Output: one JSON text; `docs/certificates.md` lists its parts. Invariant: the text is a function of
its inputs alone, and the only one with its contents, so that any changed byte shows; times and
places on disk are in none of it.

The hashes are made in this order, so that none contains itself: `identity` over policy,
parameters, assumptions, bounds and obligations; that is the object's mark; `hashes` over each part,
the C and the object; `sha256` over everything else in the certificate.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from schedc.prove.encoding import digest, encode
from schedc.prove.result import Proof

FORMAT = 1
"""Of the JSON text; readers refuse another one."""

CLAIM = ("model", "policy", "parameters", "assumptions", "bounds", "obligations")
"""The parts that `identity` is made over: what is claimed, of what."""


def claim(proof: Proof, sources: Mapping[str, bytes]) -> dict[str, Any]:
    """What is proved, of which bytes. `sources`: the policy by the empty name, and its bases."""
    parts = encode(proof)
    for one in parts["obligations"]:
        del one["ms"], one["rlimit"], one["span"]
    for one in parts["bounds"]:
        del one["span"]
    return {
        "model": proof.model,
        "policy": {
            "name": proof.policy,
            "version": proof.version,
            "sources": {name: _sha256(text) for name, text in sources.items()},
        },
        "verdict": proof.verdict.value,
        "runnable": proof.runnable,
        "parameters": {**parts["parameters"], "runnable": proof.runnable},
        "assumptions": parts["assumptions"],
        "bounds": parts["bounds"],
        "obligations": parts["obligations"],
    }


def identity(claimed: Mapping[str, Any]) -> str:
    """The sha256 that an object carries in its mark."""
    return digest({part: claimed[part] for part in CLAIM})


def certify(proof: Proof, sources: Mapping[str, bytes], build: Mapping[str, Any]) -> str:
    """The certificate's text. `build`: what the policy became, as `schedc.toolchain.built` says:
    the hashes of C, object and headers, the compiler's identity and flags."""
    from schedc import __version__

    claimed = claim(proof, sources)
    body = {
        "schedc": {"certificate": FORMAT, "version": __version__},
        **claimed,
        "build": dict(build),
        "identity": identity(claimed),
    }
    body["hashes"] = part_hashes(body)
    body["sha256"] = digest(body)
    return text(body)


def part_hashes(body: Mapping[str, Any]) -> dict[str, str]:
    """A hash of each part, so that a changed one can be named; one for each obligation."""
    named = {f"obligation {one['name']}": one for one in body["obligations"]}
    parts = {
        part: body[part]
        for part in (
            "schedc", "model", "policy", "verdict", "runnable", "parameters", "assumptions",
            "bounds", "build", "identity",
        )
    }  # fmt: skip
    return {name: digest(value) for name, value in {**parts, **named}.items()}


def text(body: Mapping[str, Any]) -> str:
    """The one spelling of a certificate."""
    return json.dumps(body, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def smt2_files(proof: Proof) -> dict[str, str]:
    """Each obligation that has a query, as a file of its own."""
    return {f"{one.name}.smt2": one.smt2 for one in proof.obligations if one.smt2}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
