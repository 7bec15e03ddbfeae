"""The guest's own programs: C of backends/vm/guest, compiled on this machine.

Input: the C sources and a compiler: the system's, else zig from PyPI. Output: program name -> ELF.
Invariant: cached by a hash of sources, flags and compiler, so it is compiled once. The programs are
linked against the guest's own libraries (see `packages.BASE`), never this machine's, and run in the
guest only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from schedc.data import data_path
from schedc.records import dataclass
from schedc.vm.errors import NO_GUEST_COMPILER, VmError
from schedc.vm.store import Progress, Store, prune, silent

FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra")
KEPT = 6


@dataclass(frozen=True, slots=True)
class Program:
    """One program: its sources, and what it is linked with beyond libc."""

    name: str
    sources: tuple[Path, ...]
    flags: tuple[str, ...] = ()
    with_libbpf: bool = False


@dataclass(frozen=True, slots=True)
class Compiler:
    """A command that compiles C for x86-64 Linux with glibc, and what changes with it."""

    command: tuple[str, ...]
    identity: str


def small_programs() -> tuple[Program, ...]:
    """What every guest has: the first process and the loader."""
    guest = data_path("backends/vm/guest")
    init = tuple(sorted((guest / "init").glob("*.c")))
    loader = tuple(sorted((guest / "loader").glob("*.c")))
    return (Program("init", init), Program("schedc-load", loader, with_libbpf=True))


def workload_programs() -> tuple[Program, ...]:
    """`wl-phases`, which runs plans, and each C file of workloads/: wakeup.c -> wl-wakeup.

    Those are loads of the machine's own tests and benchmarks (`tests/vm`, `bench/`), set by options
    on a command line: there several stand side by side in a script, some are killed in the middle,
    and forkstorm's children exec. No workload uses them any more; `wl-calibrate` serves all.
    """
    folder = data_path("backends/vm/guest/workloads")
    flags = ("-pthread", f"-I{folder}", "-lm")
    single = tuple(Program(f"wl-{p.stem}", (p,), flags) for p in sorted(folder.glob("*.c")))
    # The reader of plans, the draws and the measures are those of the simulator.
    sources = (
        *sorted(data_path("backends/vm/guest/phases").glob("*.c")),
        *sorted(data_path("backends/phases").glob("*.c")),
    )
    return (*single, Program("wl-phases", sources, flags))


def compiled(
    store: Store, programs: Sequence[Program], base: Path, progress: Progress = silent
) -> dict[str, Path]:
    """The programs, compiled; `base` is the unpacked tree of `packages.BASE`."""
    key = hashlib.sha256(source_digest(programs).encode())
    compilers = available()
    for compiler in compilers:
        key.update(compiler.identity.encode())
    name = key.hexdigest()[:16]

    def build(into: Path) -> None:
        for number, program in enumerate(programs):
            progress("compiling guest programs", number / len(programs))
            _compile(compilers, program, base, into)

    folder = store.entry("programs", name, build, progress)
    prune(store.root / "programs", KEPT)
    return {program.name: folder / program.name for program in programs}


def source_digest(programs: Iterable[Program]) -> str:
    """A hash of everything that decides what the programs are, but for the compiler."""
    hasher = hashlib.sha256(" ".join(FLAGS).encode())
    for program in programs:
        folders = {data_path("backends/phases"), *(path.parent for path in program.sources)}
        headers = {path for folder in folders for path in folder.glob("*.h")}
        for path in sorted({*program.sources, *headers}):
            hasher.update(f"{program.name}/{path.parent.name}/{path.name}\0".encode())
            hasher.update(hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


@cache
def available() -> tuple[Compiler, ...]:
    """Compilers of this machine, the preferred one first."""
    found: list[Compiler] = []
    for name in ("cc", "gcc", "clang", *(f"clang-{n}" for n in range(22, 15, -1))):
        if path := shutil.which(name):
            found.append(Compiler((path,), _identity(Path(path))))
            break
    if (spec := importlib.util.find_spec("ziglang")) and spec.origin:
        # An old glibc as target: the programs then run with any newer one, as the guest's is.
        zig = (sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.36")
        found.append(Compiler(zig, _identity(Path(spec.origin).with_name("zig"))))
    if not found:
        raise VmError(
            NO_GUEST_COMPILER,
            "no C compiler to build the guest's programs with",
            help="pip install ziglang, or install gcc or clang",
        )
    return tuple(found)


def _compile(compilers: Sequence[Compiler], program: Program, base: Path, into: Path) -> None:
    """Compile with the first compiler that manages: one without libc headers doesn't."""
    complaints: list[str] = []
    for compiler in compilers:
        command = [*compiler.command, *FLAGS, *map(str, program.sources), "-s"]
        if program.with_libbpf:
            library = base / "usr/lib/x86_64-linux-gnu/libbpf.so.1"
            # What libbpf itself needs (libelf, a newer glibc) is the guest's and found there.
            command += [f"-I{base}/usr/include", str(library), "-Wl,--allow-shlib-undefined"]
        command += [*program.flags, "-o", str(into / program.name)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode == 0:
            return
        errors = [line for line in done.stderr.splitlines() if "error" in line]
        complaints += [f"{compiler.command[0]}: {line}" for line in errors[:3]]
    raise VmError(
        NO_GUEST_COMPILER,
        f"the guest's program {program.name} does not compile",
        notes=tuple(complaints[:6]),
        help="install a C compiler with its headers (gcc and libc6-dev), or pip install ziglang",
    )


def _identity(program: Path) -> str:
    """Changes with the program. Not its own words: to start it costs more than all else here."""
    try:
        facts = program.resolve().stat()
    except OSError:
        return str(program)
    return f"{program} {facts.st_size} {facts.st_mtime_ns}"
