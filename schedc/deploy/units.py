"""Units for systemd: the loader, and a one-shot that runs the policy of /etc/default/schedc.

Input: the templates in `backends/systemd`, this Python. Output: texts by the place they belong to.
Invariant: only the interpreter's path is put in, as one word of systemd's own spelling.
"""

from __future__ import annotations

import sys
from pathlib import Path

from schedc.data import read_data
from schedc.load.privileges import NEEDED
from schedc.records import dataclass

FOLDER = "backends/systemd"
PLACES = {
    "schedc-loader.service": "etc/systemd/system/schedc-loader.service",
    "schedc.service": "etc/systemd/system/schedc.service",
    "schedc.sysusers": "etc/sysusers.d/schedc.conf",
    "schedc.default": "etc/default/schedc",
}
"""Template -> where it belongs."""
KEPT = frozenset({"schedc.default"})
"""What a person edits: never written over."""


@dataclass(frozen=True, slots=True)
class Unit:
    """`place`: without the leading slash."""

    name: str
    place: str
    text: str


def units(python: str | None = None) -> tuple[Unit, ...]:
    """All files, for this Python or another."""
    python = python or sys.executable
    values = {
        "@PYTHON@": word(python),
        "@CAPABILITIES@": " ".join(sorted(one.label for one in NEEDED)),
        # Read-only is as far as it goes if schedc itself lies in somebody's home.
        "@PROTECT_HOME@": "read-only" if _in_home(python) else "yes",
    }
    found = []
    for name, place in PLACES.items():
        text = read_data(f"{FOLDER}/{name}")
        for key, value in values.items():
            text = text.replace(key, value)
        found.append(Unit(name, place, text))
    return tuple(found)


def word(path: str) -> str:
    """A path as one word of a unit's command line."""
    if any(ord(char) < 32 for char in path):
        raise ValueError(f"no path for a unit: {path!r}")
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(escaped) & set(" '\";\\") else escaped


def _in_home(python: str) -> bool:
    """The interpreter's own path and what it leads to; the package, too."""
    places = (Path(python).absolute(), Path(python).resolve(), Path(__file__).resolve())
    return any(place.is_relative_to(home) for place in places for home in ("/home", "/root"))
