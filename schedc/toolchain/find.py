"""Which C compiler for BPF this machine has.

Input: what the user asked for (`clang`, `zig`, a path, or nothing). Output: a `Compiler`, or the
diagnostic E0701, which names the command to run. Order: clang of the system if it is new enough
and knows BPF, then the newest `clang-NN`, then zig from PyPI, then zig on PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from schedc.diagnostics.model import Diagnostic, error
from schedc.records import dataclass
from schedc.toolchain.said import answer
from schedc.toolchain.target import Target, load_target, version

NEWEST_CLANG = 30


@dataclass(frozen=True, slots=True)
class Compiler:
    """A compiler that was asked for its version and has the BPF target."""

    kind: Literal["clang", "zig"]
    command: tuple[str, ...]
    version: str

    def describe(self) -> str:
        """One line for people."""
        return f"{self.kind} {self.version} ({self.command[0]})"


def find_compiler(spec: str | None = None, target: Target | None = None) -> Compiler | Diagnostic:
    """The compiler that `spec` names, or the best there is."""
    target = target or load_target()
    rejected: list[str] = []
    for command, wanted in _candidates(spec, target):
        found = _probe(command, wanted, target)
        if isinstance(found, Compiler):
            return found
        rejected.append(found)
    return _none_found(spec, rejected, target)


def _candidates(spec: str | None, target: Target) -> Iterator[tuple[tuple[str, ...], str]]:
    """Commands to try, each with the kind that it should be (empty: either)."""
    if spec in (None, "clang"):
        for number in ("", *range(NEWEST_CLANG, target.clang_oldest[0] - 1, -1)):
            path = shutil.which(f"clang-{number}" if number else "clang")
            if path is not None:
                yield (path,), "clang"
    if spec in (None, "zig"):
        packaged = packaged_zig()
        if packaged is not None:
            yield (packaged,), "zig"
        path = shutil.which("zig")
        if path is not None:
            yield (path,), "zig"
    if spec not in (None, "clang", "zig"):
        path = shutil.which(Path(spec).expanduser())
        yield (path or spec,), ""


def packaged_zig() -> str | None:
    """The zig of the PyPI package, called directly: its Python wrapper only costs time."""
    spec = find_spec("ziglang")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "zig"
        if os.access(path, os.X_OK):
            return str(path)
    return None


def _probe(command: tuple[str, ...], wanted: str, target: Target) -> Compiler | str:
    """A usable compiler, or why this one isn't."""
    name = command[0]
    if wanted != "zig":
        said = answer(*command, "--version")
        match = re.search(r"clang version (\d+[\w.+~-]*)", said)
        if match is not None:
            return _probe_clang(command, match[1], target)
    if wanted != "clang":
        said = answer(*command, "version").strip()
        if re.fullmatch(r"\d+\.\d+\.\d+\S*", said):
            if version(said) < target.zig_oldest:
                oldest = ".".join(map(str, target.zig_oldest))
                return f"{name} is zig {said}; {oldest} or newer is needed"
            return Compiler("zig", command, said)
    return f"{name} is neither clang nor zig, or does not run"


def _probe_clang(command: tuple[str, ...], found: str, target: Target) -> Compiler | str:
    if version(found) < target.clang_oldest:
        return f"{command[0]} is clang {found}; {target.clang_oldest[0]} or newer is needed"
    if not re.search(r"^\s*bpf\b", answer(*command, "--print-targets"), re.MULTILINE):
        return f"{command[0]} has no BPF target"
    return Compiler("clang", command, found)


def _none_found(spec: str | None, rejected: list[str], target: Target) -> Diagnostic:
    what = f"`{spec}` can't compile BPF" if spec else "no C compiler for BPF found"
    oldest = target.clang_oldest[0]
    return error(
        "E0701",
        what,
        None,
        notes=rejected or [f"looked for clang >= {oldest} on PATH, and for zig from PyPI"],
        help=f"{Path(sys.executable).name} -m pip install ziglang  "
        f"(or: sudo apt-get install clang-{oldest})",
    )
