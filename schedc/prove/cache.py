"""Proofs that were made before, in the user's cache.

Input: the bytes of a policy and its bases, and `Parameters`. Output: the `Proof` that this very
prover made of them, or None. Invariant: an entry is found by the hash of all that it depends on,
the prover's own source included, and is taken only if it is whole; so a stale, broken or forged
name is never an answer. The cache can fail in any way (full, read-only, not there): then the proof
is made again, and nothing is said.

Nothing here imports a solver: that is what makes the second `check` of a file quick.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from schedc.data import data_path
from schedc.prove.encoding import decode, digest, encode
from schedc.prove.parameters import Parameters
from schedc.prove.result import Proof

KEEP = 1000
"""Entries that are kept; the ones that were not used for longest go first."""

_PACKAGE = Path(__file__).resolve().parents[1]
_PARTS = ("syntax", "passes", "ir", "prove", "model", "refute")
_FILES = ("pipeline.py", "records.py", "source.py")


def folder() -> Path:
    """Where entries are; a relative XDG_CACHE_HOME is to be ignored, says its specification."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    home = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return home / "schedc" / "proofs"


def key(sources: Mapping[str, bytes], parameters: Parameters) -> str:
    """The name of an entry."""
    hashed = {name: hashlib.sha256(text).hexdigest() for name, text in sources.items()}
    return digest([hashed, parameters.as_json(), prover_version()])


@cache
def prover_version() -> str:
    """A hash of the solver's version and of all source between a policy's text and its proof."""
    found = hashlib.sha256(_solver_version().encode())
    files = [str(_PACKAGE / name) for name in _FILES]
    for part in _PARTS:
        files += sorted(_python_files(_PACKAGE / part))
    for path in files:
        found.update(path[len(str(_PACKAGE)) :].encode() + b"\0")
        with open(path, "rb") as file:
            found.update(file.read())
    found.update(data_path("grammar/policy.lark").read_bytes())
    return found.hexdigest()


def _python_files(folder: Path) -> list[str]:
    """All `.py` below a folder; `Path.rglob` takes three times as long."""
    found: list[str] = []
    for entry in os.scandir(folder):
        if entry.is_dir():
            found += _python_files(Path(entry.path)) if entry.name != "__pycache__" else []
        elif entry.name.endswith(".py"):
            found.append(entry.path)
    return found


def _solver_version() -> str:
    """The version of the installed z3, without importing it (150 ms)."""
    from importlib.util import find_spec

    spec = find_spec("z3")
    if spec is None or spec.origin is None:
        return ""
    for entry in os.scandir(Path(spec.origin).parents[1]):
        if entry.name.startswith("z3_solver-") and entry.name.endswith(".dist-info"):
            return entry.name
    return spec.origin


def load(name: str) -> Proof | None:
    """The proof of an entry, None if there is none or it isn't whole."""
    path = folder() / f"{name}.json"
    try:
        check, _, text = path.read_bytes().partition(b"\n")
        if hashlib.sha256(name.encode() + text).hexdigest().encode() != check:
            return None
        proof = decode(json.loads(text))
    except (OSError, RuntimeError, ValueError, RecursionError):
        return None
    with suppress(OSError):
        os.utime(path)
    return proof


def save(name: str, proof: Proof) -> None:
    """Keep a proof; whatever goes wrong is no error."""
    with suppress(OSError, RuntimeError):
        _write(folder() / f"{name}.json", name, json.dumps(encode(proof)).encode())
        _prune(folder())


def _write(path: Path, name: str, text: bytes) -> None:
    """Beside its place, then renamed: two at once write the same, and the last one stays."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    check = hashlib.sha256(name.encode() + text).hexdigest().encode()
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(check + b"\n" + text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _prune(folder: Path) -> None:
    """Keep the `KEEP` entries that were used last, and what others may be writing just now."""
    entries = [(entry.stat().st_mtime, entry.path) for entry in os.scandir(folder)]
    for _, path in sorted(entries)[: max(len(entries) - KEEP, 0)]:
        with suppress(OSError):
            Path(path).unlink()
