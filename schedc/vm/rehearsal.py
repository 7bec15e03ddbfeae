"""The scheduler that a loader rehearses with while it waits (see guest/loader/rehearse.c).

Input: a policy of the library, and this machine's compiler for BPF. Output: an object.
Invariant: only an optimisation. Without a compiler there is none, and nothing is rehearsed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from schedc.data import data_path

POLICY = "fair"
"""Has what most have: a clock, task storage, counters."""


def digest() -> str:
    """Changes with the policy."""
    return hashlib.sha256(_path().read_bytes()).hexdigest()


def compiled() -> bytes | None:
    """The object; None if this machine has no compiler for it."""
    from schedc.diagnostics.model import Diagnostic
    from schedc.pipeline import analyze, generate
    from schedc.source import Source
    from schedc.toolchain import compile_c, find_compiler

    compiler = find_compiler()
    if isinstance(compiler, Diagnostic):
        return None
    source = Source.from_text(f"{POLICY}.sched", _path().read_text())
    analysis = analyze(source)
    if analysis.policy is None:
        return None
    text = generate(analysis.policy, source, sources=analysis.sources)
    return compile_c(text, compiler, source=source).object


def _path() -> Path:
    return data_path("stdlib_policies") / f"{POLICY}.sched"
