"""Failures that a client is told of.

Input: a diagnostic, or an exception of one of schedc's parts. Output: a `Refused`, which is what a
tool ends with that didn't do its work. Invariant: whatever a part of schedc refuses is told with
its own code and help; anything else that gets out of a tool is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from schedc.diagnostics.codes import CODES
from schedc.diagnostics.model import Diagnostic, error
from schedc.diagnostics.render import Format, render_all
from schedc.diagnostics.render.json import diagnostic_object
from schedc.diagnostics.render.located import Sources
from schedc.diagnostics.render.visible import visible
from schedc.mcp import quote

CANT_START = "E1240"
BAD_ARGUMENTS = "E1241"
ENDED = "E1242"
BUSY = "E1243"
NO_PROFILE = "E1244"
NOT_APPLIED = "E1245"
UNKNOWN = "E0849"

_MOST_SAID = 20_000


class Refused(Exception):
    """A tool's work was refused. `sources`: the text that the diagnostics are about. `more`: what
    else there is to tell, such as the run that refutes a policy."""

    def __init__(
        self, *diagnostics: Diagnostic, sources: Sources | None = None, more: str = ""
    ) -> None:
        super().__init__("; ".join(one.message for one in diagnostics))
        self.diagnostics = diagnostics
        self.sources = sources
        self.more = more

    @property
    def text(self) -> str:
        """All of it, as the command line shows it."""
        said = rendered(self.diagnostics, self.sources)
        return f"{said}\n\n{self.more.rstrip()}" if self.more else said

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The diagnostics as values."""
        return listed(self.diagnostics, self.sources)


def refuse(code: str, message: str, *notes: str, help: str | None = None) -> Refused:
    """One diagnostic without a place. A code that another process sent and nobody knows is told as
    the loader's failure."""
    known = code if code in CODES else UNKNOWN
    return Refused(error(known, message, None, notes=list(notes), help=help))


def rendered(diagnostics: Iterable[Diagnostic], sources: Sources | None) -> str:
    """As the command line shows them."""
    return render_all([(diagnostics, sources)], Format.full)[:_MOST_SAID].rstrip("\n")


def listed(diagnostics: Iterable[Diagnostic], sources: Sources | None) -> list[dict[str, Any]]:
    """The same as values: code, severity, message, place, help."""
    rows = [diagnostic_object(one, sources or Sources(None)) for one in diagnostics]
    return [
        {
            "code": row["code"], "severity": row["severity"], "message": visible(row["message"]),
            "line": row["span"]["start"]["line"] if row["span"] else None,
            "column": row["span"]["start"]["column"] if row["span"] else None,
            "label": visible(row["label"]),
            "notes": [quote.block(note, _MOST_SAID) for note in row["notes"]],
            "help": quote.block(row["help"], _MOST_SAID) if row["help"] else None,
            "page": f"schedc://errors/{row['code']}",
        }
        for row in rows
    ]  # fmt: skip


@contextmanager
def told() -> Iterator[None]:
    """What the parts of schedc raise becomes a `Refused`."""
    from schedc.load.errors import LoadError
    from schedc.profile.errors import ProfileError
    from schedc.repository.place import RepositoryError
    from schedc.sim.errors import SimError
    from schedc.vm.errors import VmError

    try:
        yield
    except RepositoryError as failure:
        raise Refused(failure.diagnostic) from failure
    except (SimError, VmError, LoadError, ProfileError) as failure:
        raise refuse(failure.code, failure.message, *failure.notes, help=failure.help) from failure
