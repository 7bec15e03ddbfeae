"""The guest's Python, run on this machine to compile what the guest will import.

Input: an unpacked tree with Debian's python3, and Python files. Output: their bytecode beside them.
Invariant: only an optimisation. The bytecode doesn't look at its source's time or hash (in an
archive both are as fixed as the code), so the guest neither compiles nor checks. Where the
interpreter doesn't run (another architecture), there is none, and the guest compiles for itself.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

LIBRARIES = "usr/lib/x86_64-linux-gnu"
TIMEOUT_S = 300.0


def compile_below(tree: Path, folder: Path, files: Iterable[Path] | None = None) -> bool:
    """Compile the files (all below the folder, if none are named) with the Python of a tree.

    `folder` is the guest's root as it lies here: tracebacks name paths as the guest has them.
    False if that failed for one or all of them: those have no bytecode then.
    """
    wanted = sorted(files if files is not None else folder.rglob("*.py"))
    # The tree may be moved while this is read: absolute paths, and none of this machine's Python.
    root = tree.absolute()
    command = [
        str(root / LIBRARIES / "ld-linux-x86-64.so.2"), "--library-path", str(root / LIBRARIES),
        str(root / "usr/bin/python3"), "-B", "-S", "-m", "compileall", "-qq",
        "--invalidation-mode", "unchecked-hash", "-s", str(folder.absolute()), "-p", "/", "-i", "-",
    ]  # fmt: skip
    env = {"PYTHONHOME": str(root / "usr"), "LC_ALL": "C.UTF-8", "PATH": os.defpath}
    try:
        done = subprocess.run(
            command, input="".join(f"{path.absolute()}\n" for path in wanted), text=True,
            env=env, capture_output=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
