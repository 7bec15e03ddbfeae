"""The profiler's own object.

Input: `backends/profile/profile.bpf.c` and a compiler for BPF. Output: the object's bytes.
Invariant: it is compiled with the flags of every policy, and the same compiler gives the same
bytes.
"""

from __future__ import annotations

from pathlib import Path

from schedc.profile.errors import COLLECTOR_FAILED, DAMAGED, ProfileError

SOURCE = "backends/profile/profile.bpf.c"
MAX_OBJECT = 4 << 20


def source_text() -> str:
    """The C text."""
    from schedc.data import read_data

    return read_data(SOURCE)


def make_object(compiler: str | None = None) -> bytes:
    """Compile it; E1225 if there is no compiler for BPF."""
    from dataclasses import replace

    from schedc.data import data_path
    from schedc.diagnostics.model import Diagnostic
    from schedc.toolchain.compile import compile_c
    from schedc.toolchain.find import find_compiler
    from schedc.toolchain.target import load_target

    found = find_compiler(compiler)
    if isinstance(found, Diagnostic):
        raise ProfileError(
            COLLECTOR_FAILED, "there is no C compiler for BPF to make the collector with",
            help="install clang 16 or `pip install ziglang`; or make its object elsewhere "
            "(`schedc profile object -o profile.o`) and give it: --object profile.o",
        )  # fmt: skip
    target = replace(load_target(), include=data_path("backends/profile/include"))
    done = compile_c(source_text(), found, target=target)
    if done.object is None:
        notes = tuple(one.message for one in done.diagnostics[:3])
        raise ProfileError(COLLECTOR_FAILED, "the collector's C was refused", notes=notes)
    return done.object


def read_object(path: Path) -> bytes:
    """One that was made elsewhere."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_OBJECT + 1)
    except OSError as failure:
        raise ProfileError(
            DAMAGED, f"the object {path} can't be read: {failure.strerror}"
        ) from failure
    if not data.startswith(b"\x7fELF") or len(data) > MAX_OBJECT:
        raise ProfileError(
            DAMAGED, f"{path} is no object of the profiler",
            help="make one with `schedc profile object -o profile.o`",
        )  # fmt: skip
    return data
