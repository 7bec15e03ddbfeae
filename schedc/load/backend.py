"""Which way into the kernel there is: libbpf, or bpftool where libbpf is missing or too old.

Input: what is installed. Output: a `Chosen`. Invariant: nothing here is looked up through PATH.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schedc.load.errors import NO_LIBBPF, LoadError
from schedc.load.holder import Backend
from schedc.load.library import library
from schedc.load.places import Places
from schedc.records import dataclass

BPFTOOL = tuple(Path(folder) / "bpftool" for folder in
                ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/sbin", "/bin"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """`make`: a plan becomes a scheduler. `about`: for `status`."""

    make: Backend
    about: Mapping[str, Any]

    def count_runs(self) -> int:
        """See `libbpf.count_runs`; -1 without libbpf."""
        if self.about["backend"] != "libbpf":
            return -1
        from schedc.load.libbpf import count_runs

        return count_runs()


def choose(where: Places, *, bpftool: bool = False) -> Chosen:
    """libbpf, unless it can't be used or bpftool is asked for; E0834 if there is neither."""
    if not bpftool:
        try:
            return _libbpf()
        except LoadError as missing:
            if (program := find()) is None:
                raise
            return _bpftool(where, program, missing.message)
    program = find()
    if program is None:
        raise LoadError(NO_LIBBPF, "there is no bpftool", help="install bpftool, or libbpf1")
    return _bpftool(where, program, "asked for")


def _libbpf() -> Chosen:
    lib = library()

    def make(plan: Any, messages: int | None) -> Any:
        from schedc.load.scheduler import Scheduler

        return Scheduler(plan, messages)

    version = f"{lib.version[0]}.{lib.version[1]}"
    return Chosen(make, {"backend": "libbpf", "version": version})


def _bpftool(where: Places, program: Path, why: str) -> Chosen:
    from schedc.load.bpftool import Scheduler, clean

    clean(program)

    def make(plan: Any, messages: int | None) -> Any:
        return Scheduler(plan, program, where.run, messages)

    return Chosen(make, {"backend": "bpftool", "why": why})


def find() -> Path | None:
    """The system's bpftool."""
    return next((path for path in BPFTOOL if os.access(path, os.X_OK)), None)
