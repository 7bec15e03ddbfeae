"""Which C compiler makes programs for this very machine.

Input: what the user asked for (`clang`, `gcc`, `zig`, a path, or nothing). Output: a `Native`
compiler; raises a `SimError` that names the command to run if there is none. Order: clang of the
system if it is new enough, the newest `clang-NN`, the system's cc or gcc, zig from PyPI, zig on
PATH. zig comes last: its first build makes the C library's start-up files too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from schedc.records import dataclass
from schedc.sim.errors import NO_COMPILER, SimError
from schedc.toolchain.find import NEWEST_CLANG, packaged_zig
from schedc.toolchain.target import Version, version

_PROBE_TIMEOUT_S = 20.0

Kind = Literal["clang", "gcc", "zig"]


@dataclass(frozen=True, slots=True)
class Native:
    """A compiler that told its version."""

    kind: Kind
    command: tuple[str, ...]
    version: str

    def describe(self) -> str:
        """One line for people."""
        return f"{self.kind} {self.version} ({self.command[0]})"

    @property
    def words(self) -> list[str]:
        """What a command line begins with."""
        return [*self.command, "cc"] if self.kind == "zig" else list(self.command)


def find_native(
    spec: str | None = None,
    *,
    clang_oldest: Version = (16,),
    zig_oldest: Version = (0, 14),
    sanitizers: bool = False,
) -> Native:
    """The compiler that `spec` names, or the best there is; with `sanitizers`, one that has their
    run-time libraries (zig has none)."""
    rejected: list[str] = []
    for command in _candidates(spec, clang_oldest, sanitizers):
        found = _probe(command, clang_oldest, zig_oldest)
        if isinstance(found, Native):
            if sanitizers and (why := _lacks_sanitizers(found)):
                rejected.append(why)
                continue
            return found
        rejected.append(found)
    what = f"`{spec}` can't build it" if spec else "no C compiler for the simulator found"
    raise SimError(
        NO_COMPILER,
        what,
        notes=tuple(rejected)
        or (f"looked for clang >= {clang_oldest[0]} and gcc on PATH, and for zig from PyPI",),
        help="sudo apt-get install gcc libc6-dev" if sanitizers
        else f"{Path(sys.executable).name} -m pip install ziglang  (or: sudo apt-get install gcc)",
    )


def _candidates(
    spec: str | None, clang_oldest: Version, sanitizers: bool
) -> Iterator[tuple[str, ...]]:
    names: list[str] = []
    if spec in (None, "clang"):
        names.append("clang")
        names += [f"clang-{number}" for number in range(NEWEST_CLANG, clang_oldest[0] - 1, -1)]
    if spec in (None, "gcc"):
        names += ["cc", "gcc"]
    for name in names:
        if (path := shutil.which(name)) is not None:
            yield (path,)
    if spec in (None, "zig") and not sanitizers:
        if (packaged := packaged_zig()) is not None:
            yield (packaged,)
        if (path := shutil.which("zig")) is not None:
            yield (path,)
    if spec not in (None, "clang", "gcc", "zig"):
        path = shutil.which(Path(spec).expanduser())
        yield (path or spec,)


def _probe(command: tuple[str, ...], clang_oldest: Version, zig_oldest: Version) -> Native | str:
    """A usable compiler, or why this one isn't."""
    name = command[0]
    if "zig" in Path(name).name:
        said = _output(*command, "version").strip()
        if not re.fullmatch(r"\d+\.\d+\.\d+\S*", said):
            return f"{name} does not run"
        if version(said) < zig_oldest:
            return f"{name} is zig {said}; {'.'.join(map(str, zig_oldest))} or newer is needed"
        return Native("zig", command, said)
    said = _output(*command, "--version")
    if match := re.search(r"clang version (\d+[\w.+~-]*)", said):
        if version(match[1]) < clang_oldest:
            return f"{name} is clang {match[1]}; {clang_oldest[0]} or newer is needed"
        return Native("clang", command, match[1])
    if "Free Software Foundation" in said and (match := re.search(r"\b(\d+\.\d+\.\d+)\b", said)):
        return Native("gcc", command, match[1])
    return f"{name} is neither clang, gcc nor zig, or does not run"


def _lacks_sanitizers(found: Native) -> str:
    """Why a compiler can't build with AddressSanitizer; empty if it can."""
    name = "libasan.so" if found.kind == "gcc" else "libclang_rt.asan-x86_64.a"
    said = _output(*found.command, f"-print-file-name={name}").strip()
    if found.kind == "clang" and not Path(said).is_file():
        # Newer ones keep them by triple, without the machine's name.
        said = _output(*found.command, "-print-file-name=libclang_rt.asan.a").strip()
    return "" if Path(said).is_file() else f"{found.command[0]} has no AddressSanitizer library"


def _output(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False,
            timeout=_PROBE_TIMEOUT_S, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
