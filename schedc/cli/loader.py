"""What the commands share that speak with the loader: its errors, who asks, times, guards.

Importing this loads nothing of the compiler: most of these commands need none of it.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from schedc.cli.failure import Failure
from schedc.diagnostics.codes import CODES
from schedc.diagnostics.model import Diagnostic, error
from schedc.diagnostics.render.visible import visible

if TYPE_CHECKING:
    from schedc.deploy.guard import Guard
    from schedc.load.errors import LoadError

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|min|m|h|d)", re.ASCII)


@contextmanager
def stop_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP mean the same as Ctrl-C: a canary is taken back, a screen restored."""
    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def loader_errors() -> Iterator[None]:
    """What the loader refuses, or that there is none, ends the command with its diagnostic."""
    from schedc.load.errors import LoadError

    try:
        yield
    except LoadError as failure:
        raise Failure(diagnostic_of(failure)) from failure


def diagnostic_of(failure: LoadError) -> Diagnostic:
    """The same failure as a diagnostic; a code that nobody knows is the loader's own failure."""
    from schedc.load.errors import LOADER_FAILED

    code = failure.code if failure.code in CODES else LOADER_FAILED
    return error(code, visible(failure.message), None, notes=map(visible, failure.notes),
                 help=visible(failure.help) if failure.help else None)  # fmt: skip


def who() -> str:
    """Who asks: the user behind `sudo`, if there is one."""
    name = os.environ.get("SUDO_USER", "") if os.geteuid() == 0 else ""
    if not name:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = f"uid {os.getuid()}"
    return visible(name)[:64]


def seconds(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> float | None:
    """The callback of options for times such as `60s`, `5min`, `1h`."""
    if value is None:
        return None
    found = _SPAN.fullmatch(value.strip())
    if found is None or float(found[1]) <= 0:
        raise click.BadParameter(
            f"{visible(value)} is no time; write one such as 60s, 5min, 1h", ctx, param
        )
    return float(found[1]) * _UNITS[found[2]]


def guards_of(texts: Iterable[str]) -> tuple[Guard, ...]:
    """The guards as written; the first mistake ends the command, with a caret below it."""
    from schedc.deploy.guard import BadGuard, parse_guard
    from schedc.source import Source

    found = []
    for text in texts:
        try:
            found.append(parse_guard(text))
        except BadGuard as wrong:
            raise Failure(
                wrong.diagnostic, source=Source.from_text("--guard", text)
            ) from wrong
    return tuple(found)
