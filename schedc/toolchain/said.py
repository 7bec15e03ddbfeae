"""What a compiler said of itself, in the user's cache.

Input: a command that asks a compiler (its version, its targets). Output: what it prints.
Invariant: only saves time (clang takes 0.08 s to say both): an answer holds for the very file that
gave it, and a cache that can't be used is not there. A wrapper, whose own file stays while the
compiler behind it changes, is asked each time.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

_TIMEOUT_S = 20.0


def answer(*command: str) -> str:
    """What the command prints; empty if it fails."""
    path = _entry(command)
    if path is not None:
        with suppress(OSError, ValueError):
            return path.read_text(encoding="utf-8")
    text = _asked(command)
    if path is not None and text:
        with suppress(OSError):
            _keep(path, text)
    return text


def folder() -> Path:
    """Where entries are; a relative XDG_CACHE_HOME is to be ignored, says its specification."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    home = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return home / "schedc" / "compilers"


def _entry(command: tuple[str, ...]) -> Path | None:
    """The place of an answer; None if it may change while the file stays."""
    try:
        program = Path(command[0]).resolve(strict=True)
        facts = program.stat()
        with program.open("rb") as file:
            is_program = file.read(4) == b"\x7fELF"
        if not is_program or not program.name.startswith(("clang", "zig")):
            return None
        key = (str(program), facts.st_size, facts.st_mtime_ns, *command)
        return folder() / hashlib.sha256(repr(key).encode()).hexdigest()[:32]
    except (OSError, RuntimeError):
        return None


def _asked(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False,
            timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink()
        raise
