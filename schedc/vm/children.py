"""Programs that we start must not outlive us.

Input: nothing. Output: what to put in front of a command, and what to run between fork and exec.
Invariant: a program started so is killed when the thread that started it is gone, even by SIGKILL:
the kernel does that (parent-death signal).
"""

from __future__ import annotations

import ctypes
import shutil
import signal
from collections.abc import Callable
from functools import cache

PR_SET_PDEATHSIG = 1


@cache
def bound() -> tuple[list[str], Callable[[], object] | None]:
    """(words before the command, preexec_fn).

    `setpriv` asks the kernel between fork and exec without running Python there; where it is
    missing a function does, which is safe as it makes one system call and nothing else.
    """
    if setpriv := shutil.which("setpriv"):
        return [setpriv, "--pdeathsig", "KILL", "--"], None
    libc = ctypes.CDLL(None)
    return [], lambda: libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
