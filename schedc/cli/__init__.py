"""The command line: the outermost frame, which nothing gets past.

Input: arguments. Output: an exit code, results on stdout, diagnostics on stderr. Invariant: no
raw traceback is ever shown; what wasn't foreseen ends in exit code 101 and a saved report.

This module imports almost nothing, so that `schedc --help` starts quickly; see `root.py` for the
commands.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main() -> None:
    """The entry point of the `schedc` program."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; never raises."""
    _be_able_to_print()
    try:
        from schedc.cli.frame import invoke
        from schedc.cli.root import cli

        code = invoke(cli, list(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return _pipe_closed()
    except KeyboardInterrupt:
        print("schedc: interrupted", file=sys.stderr)
        return 130
    except OSError as failure:
        # Only the last flush gets here: `frame.invoke` handles every other one.
        _discard_stdout()
        print(f"schedc: can't write the output: {failure.strerror}", file=sys.stderr)
        return 2
    except Exception as bug:
        from schedc.cli.crash import report_crash

        return report_crash(bug, arguments)


def _be_able_to_print() -> None:
    """A terminal that can't show a character gets an escape for it, not an exception."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _pipe_closed() -> int:
    """The reader went away (`schedc … | head`): end quietly, as a signal would."""
    _discard_stdout()
    return 128 + 13


def _discard_stdout() -> None:
    """Send what is still buffered nowhere, or Python complains when it exits."""
    import os

    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, sys.stdout.fileno())
    except (OSError, ValueError):
        return
    finally:
        os.close(devnull)
