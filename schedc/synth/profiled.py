"""The workload of a run that works on a profile.

Input: a `Profiled` message. Output: its workload with its settings, and what the run calls it.
Invariant: the message is all that is needed, so a run goes on, and is repeated, without the
profile's file; two runs have the same name for a workload only if they know the same of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Source
from schedc.synth.messages import Profiled, encode
from schedc.workload import registry
from schedc.workload.model import Setting, Workload
from schedc.workload.read import read_workload

PREFIX = "profile:"
"""Before the hash, where a run says on which workload it works."""


class ThinProfile(Exception):
    """A profile that no search can begin with; `diagnostic` says what it lacks."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.diagnostic: Diagnostic = error("E1107", message, None, help=help)


def label(message: Profiled) -> str:
    """What a run calls the workload: the same for the same profile."""
    text = json.dumps(encode(message), sort_keys=True)
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()[:16]


def work_of(message: Profiled) -> tuple[Workload, Mapping[str, Setting]]:
    """The workload of a profile, and its settings. Raises `ThinProfile` if its text is none."""
    workload, found = read_workload(Source.from_text("profile.toml", message.text))
    if workload is None:
        raise ThinProfile(
            f"no workload can be made of the profile: {found[0].message}",
            "profile again, with the schedc that is to use it",
        )
    return workload, registry.settings(workload, ())[0]
