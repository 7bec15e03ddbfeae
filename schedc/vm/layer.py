"""schedc itself, as a guest with Python has it: the package of the working tree and its data.

Input: a store and the unpacked tree of `packages.PYTHON`. Output: a cpio archive that holds
usr/lib/python3/dist-packages/schedc, as an installed wheel would put it, and usr/bin/schedc.
Invariant: named after the files' contents. It is no part of an image and of no saved machine: those
are made of packages, which stay, while these files change with every edit. A machine gets the
layer when it has been restored.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from schedc.data import data_path
from schedc.vm import cpio, interpreter, packages
from schedc.vm.store import Progress, Store, prune, silent

PLACE = "usr/lib/python3/dist-packages"
# As pyproject.toml packages them into schedc/_data.
DATA = ("grammar", "backends", "stdlib_policies", "docs/errors", "docs/language")
SCRIPT = b"#!/usr/bin/python3\nimport sys\n\nfrom schedc.cli import main\n\nsys.exit(main())\n"
KEPT = 3
FORMAT = 1


def layer(store: Store, python: Path, progress: Progress = silent) -> Path:
    """The archive for the sources as they are now; `python` is the unpacked tree."""
    files = sources()
    digest = hashlib.sha256(f"{FORMAT} {packages.PYTHON.key}".encode())
    for name, data in sorted(files.items()):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)

    def build(into: Path) -> None:
        progress("packing schedc for the guest", None)
        root = into / "root"
        for name, data in files.items():
            path = root / PLACE / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        _compile(store, python, root)
        entries = cpio.folders(root, ("usr",))
        entries["usr/bin/schedc"] = cpio.file(SCRIPT, executable=True)
        (into / "layer").write_bytes(cpio.archive(entries))

    folder = store.entry("layers", digest.hexdigest()[:24], build, progress)
    prune(store.root / "layers", KEPT, 300.0)
    return folder / "layer"


def sources() -> dict[str, bytes]:
    """Path below dist-packages -> content."""
    package = Path(__file__).parents[1]
    found = {f"schedc/{p.relative_to(package)}": p for p in package.rglob("*.py")}
    for name in DATA:
        top = data_path(name)
        found |= {f"schedc/_data/{name}/{p.relative_to(top)}": p for p in top.rglob("*")}
    # A file may go while we look: an editor replaces it by another.
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if path.is_file() and "__pycache__" not in path.parts
    }


def _compile(store: Store, python: Path, root: Path) -> None:
    """Bytecode for all sources: taken from the layer before this one where a file is the same."""
    before = _newest(store)
    todo: list[Path] = []
    for path in root.rglob("*.py"):
        old = before and before / path.relative_to(root)
        cached = old and next(old.parent.glob(f"__pycache__/{path.stem}.*.pyc"), None)
        if old and cached and old.read_bytes() == path.read_bytes():
            target = path.parent / "__pycache__" / cached.name
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(cached, target)
        else:
            todo.append(path)
    interpreter.compile_below(python, root, todo)


def _newest(store: Store) -> Path | None:
    parent = store.root / "layers"
    entries = [p for p in parent.iterdir() if not p.name.startswith(".")]
    return max(entries, key=lambda p: p.stat().st_mtime) / "root" if entries else None
