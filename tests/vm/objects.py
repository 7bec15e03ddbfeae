"""The fixtures' C as objects, compiled once a session."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from schedc.diagnostics.model import Diagnostic
from schedc.toolchain import find_compiler
from schedc.toolchain.target import load_target

FIXTURES = Path(__file__).parent / "fixtures"


@cache
def fixture_object(name: str = "fifo", *macros: str, cc: str | None = None) -> bytes:
    """An object of `fixtures/NAME.bpf.c` with some macros defined; skips without a compiler."""
    compiler = find_compiler(cc)
    if isinstance(compiler, Diagnostic):
        pytest.skip(compiler.message)
    target = load_target()
    head = [*compiler.command]
    head += ["cc", "-target", target.zig_triple] if compiler.kind == "zig" else [
        "-target", target.clang_triple]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "x.o"
        subprocess.run(
            [*head, "-mcpu=v3", "-O2", "-g", *(f"-D{m}" for m in macros), "-c",
             f"{name}.bpf.c", "-o", str(out)],
            check=True, cwd=FIXTURES, capture_output=True,
        )  # fmt: skip
        return out.read_bytes()
