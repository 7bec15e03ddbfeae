"""An exception that nobody foresaw: a bug in schedc, told in two lines, with a saved report.

Output: exit code 101, and a file with what a developer needs. The file holds the arguments and
the traceback, never the policy's text or the environment.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from schedc import __version__
from schedc.diagnostics.render.visible import visible

CODE = 101


def report_crash(bug: BaseException, arguments: Sequence[str]) -> int:
    """Save the traceback and say where; returns the exit code."""
    what = visible(f"{type(bug).__name__}: {bug}")[:200]
    print(f"schedc: internal error: {what}", file=sys.stderr)
    print("this is a bug in schedc, not in your policy: please report it", file=sys.stderr)
    saved = _save(_text(bug, arguments))
    if saved is not None:
        print(f"attach this file to the report: {visible(str(saved))}", file=sys.stderr)
    return CODE


def _text(bug: BaseException, arguments: Sequence[str]) -> str:
    trace = "".join(traceback.format_exception(bug, limit=-60))
    return (
        f"schedc {__version__}\npython {platform.python_version()}\n"
        f"platform {platform.platform()}\narguments {list(arguments)!r}\n\n{trace}"
    )


def _save(text: str) -> Path | None:
    """Write the report to the first folder that takes it."""
    for folder in _folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(".txt", "schedc-crash-", folder)
            with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return Path(name)
        except OSError:
            continue
    return None


def _folders() -> tuple[Path, Path]:
    """The state directory of the user, or else where temporary files go."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "schedc", Path(tempfile.gettempdir())
