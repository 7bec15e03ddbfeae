"""One call of one tool, in a process of its own.

Input: a tool's name, checked arguments, the server's setup. Output: on a pipe, one JSON value:
the result, or the diagnostics that it was refused with. Invariant: whatever happens here, the
server lives; the process ends with the server, with its call, or with its limit, and takes with it
what it started.

Importing this module imports the pipeline: the fork server does it once, so that a call begins
within milliseconds.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from schedc.diagnostics.render.visible import visible
from schedc.mcp.refusal import Refused
from schedc.mcp.setup import Setup
from schedc.mcp.tools import TOOLS
from schedc.vm.children import PR_SET_PDEATHSIG

_MOST_MEMORY = 8 << 30
"""Address space of a call whose work is a solver's; compilers and machines reserve more."""


class _Ended(BaseException):
    """The server wants this call to end: whatever was started is ended on the way out."""


def main(pipe: Connection, tool: str, arguments: dict[str, Any], setup: Setup) -> None:
    """The process's whole life."""
    _settle(tool)
    try:
        answer = call(tool, arguments, setup)
    except _Ended:
        os._exit(1)
    pipe.send_bytes(json.dumps(answer).encode())
    pipe.close()
    _leave()


def call(tool: str, arguments: dict[str, Any], setup: Setup) -> dict[str, Any]:
    """`{"result": …}`, `{"refused": …}` or `{"bug": …}`."""
    found = TOOLS[tool]
    try:
        result = found.work(found.arguments.model_validate(arguments), setup)
        return {"result": result.model_dump(mode="json")}
    except Refused as refused:
        return {"refused": {"text": refused.text, "diagnostics": refused.rows}}
    except Exception as bug:
        traceback.print_exc()
        return {"bug": visible(f"{type(bug).__name__}: {bug}")[:200]}


def _settle(tool: str) -> None:
    """Standard streams that can't reach the protocol, limits, and an end with the server."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    os.setsid()  # Ctrl-C goes to the server, which ends its calls
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if TOOLS[tool].solves:
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


def _end(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Ended


def _leave() -> None:
    """End without the interpreter's farewell: nothing is left that needs it."""
    sys.stderr.flush()
    os._exit(0)


def warm() -> None:
    """Make what every call needs: the parser's tables, the modules of the prover."""
    import schedc.prove.prove
    import schedc.refute
    import schedc.sim.run  # noqa: F401
    from schedc.pipeline import analyze
    from schedc.source import Source

    analyze(Source.from_text("warm.sched", "policy warm 1.0.0\n"))
