"""Certificates made by hand, for objects that nobody proved.

A certificate is bound by hashes and not signed: whoever can make hashes can make one (SECURITY.md
says so). The tests need it to load schedulers that misbehave.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

from schedc.prove.certificate import identity, part_hashes, text
from schedc.prove.encoding import digest

OBLIGATIONS = ("bounded", "placed", "work-conserving", "starvation-free.everyone")


def claim(name: str, source: str) -> dict[str, Any]:
    """The parts of a proof that was never made: one class, W(N) = 1 s + 0.25 s N, N = 64."""
    runnable, a, b = 64, 1_000_000_000, 250_000_000
    return {
        "schedc": {"certificate": 1, "version": "0.1.0"},
        "model": "1",
        "policy": {"name": name, "version": "1.0.0",
                   "sources": {"": hashlib.sha256(source.encode()).hexdigest()}},
        "verdict": "proved",
        "runnable": runnable,
        "parameters": {"runnable": runnable, "tunes": {"slice": [1_000_000, 20_000_000]}},
        "assumptions": [],
        "bounds": [{"class": "everyone", "queue": "all", "discipline": "fifo", "a_ns": str(a),
                    "b_ns": str(b), "formula": "", "promise_ns": 30_000_000_000,
                    "wait_ns": a + b * runnable, "most_runnable": 116}],
        "obligations": [
            {"name": one, "property": one.partition(".")[0], "statement": one,
             "verdict": "proved", "reason": "", "hint": "", "smt2": "(check-sat)"}
            for one in OBLIGATIONS
        ],
    }  # fmt: skip


def sealed(body: dict[str, Any]) -> str:
    """A certificate whose hashes are those of its contents."""
    body = {key: value for key, value in body.items() if key not in ("hashes", "sha256")}
    body["identity"] = identity(body)
    body["hashes"] = part_hashes(body)
    body["sha256"] = digest(body)
    return text(body)


def forge(name: str, made: Callable[[str], bytes], source: str = "") -> tuple[bytes, str]:
    """An object, and a certificate that binds it. `made`: the object with this mark."""
    body = claim(name, source or name)
    data = made(f"proof {identity(body)}")
    body["build"] = {
        "c": "0" * 64, "object": hashlib.sha256(data).hexdigest(),
        "names": {"classes": ["everyone"], "queues": ["all"], "cgroups": [], "exes": []},
    }  # fmt: skip
    return data, sealed(body)


def reseal(certificate: str, **changed: Any) -> str:
    """The certificate with other parts, and hashes to match."""
    return sealed({**json.loads(certificate), **changed})


def marked_elf(mark: str, filling: bytes = b"") -> bytes:
    """The smallest 64-bit ELF with a section `schedc`; no kernel would take it."""
    names = b"\0schedc\0.shstrtab\0"
    contents = [mark.encode() + b"\0", names, filling]
    start, offsets = 64, []
    for one in contents:
        offsets.append(start)
        start += len(one)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 1, 247, 1, 0, 0, start, 0,
                         64, 0, 0, 64, 3, 2)  # fmt: skip
    sections = [(0, 0, 0, 0), (1, 1, offsets[0], len(contents[0])),
                (8, 3, offsets[1], len(names))]  # fmt: skip
    table = b"".join(struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, at, size, 0, 0, 1, 0)
                     for name, kind, at, size in sections)  # fmt: skip
    return header + b"".join(contents) + table
