"""What goes to stdout and stderr, in the format that was asked for.

Results go to stdout and diagnostics to stderr. One exception: a JSON or SARIF document of `check`
*is* its result, and goes to stdout so that `schedc check --format sarif a.sched >a.sarif` works.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import click

from schedc.diagnostics.render import Findings, Format, render_all

_FORMAT = "schedc.format"
_COLOR = "schedc.color"


@dataclass(frozen=True, slots=True)
class Console:
    """How to show things; made from the options of the command that is running."""

    format: Format = Format.full
    color_mode: str = "auto"

    @staticmethod
    def current() -> Console:
        """The console of the running command; a plain one outside of any."""
        context = click.get_current_context(silent=True)
        if context is None:
            return Console()
        meta = context.meta
        return Console(meta.get(_FORMAT, Format.full), meta.get(_COLOR, "auto"))

    def use_color(self, stream: TextIO) -> bool:
        """`always`, `never`, or only on a terminal that isn't dumb, and not with NO_COLOR."""
        if self.color_mode != "auto":
            return self.color_mode == "always"
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return stream.isatty()

    def report(
        self, findings: Sequence[Findings], *, as_result: bool = False,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Show diagnostics of one or several files; `more` are further keys of a JSON document."""
        stream = sys.stdout if as_result and self.format.is_document else sys.stderr
        text = render_all(
            findings, self.format, color=self.use_color(stream), width=_width(stream), more=more
        )
        stream.write(text)
        stream.flush()

    def status(self, text: str) -> None:
        """A line about what was done, for people: only in the full format, on stderr."""
        if self.format is Format.full and text:
            print(text, file=sys.stderr)


def remember_format(context: click.Context, format: Format) -> None:
    """Called by the `--format` option."""
    context.meta[_FORMAT] = format


def remember_color(context: click.Context, mode: str) -> None:
    """Called by the `--color` option."""
    context.meta[_COLOR] = mode


def _width(stream: TextIO) -> int:
    """Lines are cut for the terminal's width; a file or pipe gets 100 columns, always."""
    if not stream.isatty():
        return 100
    return max(40, min(shutil.get_terminal_size((100, 24)).columns, 160))
