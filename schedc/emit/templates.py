"""Templates that were turned into Python code before, in the user's cache.

Input: Jinja's buckets. Output: the same, filled. Invariant: only saves time (0.1 s a start): an
entry of another text or another Python is not taken, and a cache that can't be used is not there.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket


def folder() -> Path:
    """Where entries are; a relative XDG_CACHE_HOME is to be ignored, says its specification."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    home = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return home / "schedc" / "templates"


class Cache(jinja2.BytecodeCache):
    """A file for each template; Jinja checks that it was made of the same text."""

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, RuntimeError), open(folder() / bucket.key, "rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, RuntimeError):
            folder().mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=folder())
            try:
                with open(handle, "wb") as file:
                    bucket.write_bytecode(file)
                Path(name).replace(folder() / bucket.key)
            except OSError:
                Path(name).unlink()
