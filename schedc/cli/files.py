"""Reading policies and writing outputs.

Invariant: an output file is either the old one or the whole new one, whatever happens in between
(a full disk, a signal, a crash): it is written beside its place and renamed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from schedc.atomic import write_atomically
from schedc.cli.failure import Failure, cannot_read, cannot_write
from schedc.diagnostics.model import Diagnostic, error
from schedc.source import MAX_BYTES, Source


def read_source(name: str, stdin_name: str = "<stdin>") -> tuple[Source, tuple[Diagnostic, ...]]:
    """Read a policy; `-` is stdin. No more than the limit is read, so `/dev/zero` is harmless."""
    try:
        if name == "-":
            return Source.from_bytes(stdin_name, sys.stdin.buffer.read(MAX_BYTES + 1))
        with open(name, "rb") as file:
            return Source.from_bytes(name, file.read(MAX_BYTES + 1))
    except OSError as failure:
        raise cannot_read(stdin_name if name == "-" else name, failure) from failure


def expand(names: Iterable[str]) -> list[str]:
    """Folders become the `.sched` files below them, sorted; files and `-` stay as they are."""
    found: list[str] = []
    for name in names:
        path = Path(name)
        if name != "-" and path.is_dir():
            inside = sorted(str(one) for one in path.rglob("*.sched") if one.is_file())
            if not inside:
                raise Failure(error("E0111", f"no `.sched` file in the folder `{name}`", None))
            found += inside
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def write_output(name: str, data: bytes, mode: int | None = None) -> None:
    """Write a result to a file, atomically, or to stdout if the name is `-`."""
    if name == "-":
        _write_stdout(data)
        return
    try:
        write_atomically(Path(name), data, mode)
    except OSError as failure:
        raise cannot_write(name, failure) from failure


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as failure:
        raise cannot_write("<stdout>", failure) from failure
