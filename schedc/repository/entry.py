"""One policy of a repository: its text, what its header says, what it means.

Input: a file, which anybody may have put there. Output: an `Entry`, or a `Damaged` one with the
reason. Invariant: nothing of a file is believed before it was read as a policy without an error,
and its name is that of the file; one bad file never hides another.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

from schedc.ir.nodes import Policy
from schedc.pipeline import analyze
from schedc.records import dataclass
from schedc.repository.meaning import meaning
from schedc.repository.place import SUFFIX, read_regular
from schedc.source import Source

Origin = Literal["stdlib", "mine"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A policy that can be used. `sha256` is that of the text, `meaning` that of the canonical
    form."""

    origin: Origin
    name: str
    version: str
    description: str
    goals: tuple[str, ...]
    text: bytes
    sha256: str
    meaning: str

    @property
    def title(self) -> str:
        """How a person names it."""
        return f"{self.origin}/{self.name} {self.version}"

    @property
    def source(self) -> Source:
        source, _ = Source.from_bytes(f"{self.name}{SUFFIX}", self.text)
        return source

    @property
    def comments(self) -> str:
        """What the author wrote above the policy, for a search."""
        lines = self.text.decode(errors="replace").splitlines()
        return "\n".join(line.lstrip("# ") for line in lines if line.startswith("#"))


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file of a repository that is no usable policy."""

    name: str
    reason: str


def read_folder(folder: Path, origin: Origin) -> tuple[tuple[Entry, ...], tuple[Damaged, ...]]:
    """All policies of a folder by name, and the files that are none."""
    good: list[Entry] = []
    bad: list[Damaged] = []
    try:
        names = sorted(one.name for one in os.scandir(folder) if one.name.endswith(SUFFIX))
    except OSError:
        return (), ()
    for name in names:
        found = read_file(folder / name, origin)
        if isinstance(found, Entry):
            good.append(found)
        else:
            bad.append(found)
    return tuple(good), tuple(bad)


def read_file(path: Path, origin: Origin) -> Entry | Damaged:
    """The policy in a file."""
    name = path.name.removesuffix(SUFFIX)
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in name)[:60]
    try:
        data = read_regular(path)
    except OSError as failure:
        return Damaged(shown, failure.strerror or str(failure))
    found = entry(data, origin)
    if isinstance(found, str):
        return Damaged(shown, found)
    if found.name != name:
        return Damaged(shown, f"the policy in it is called `{found.name}`")
    return found


def entry(data: bytes, origin: Origin) -> Entry | str:
    """The policy that a text is, or in a line why it is none."""
    source, wrong = Source.from_bytes("policy.sched", data)
    if wrong:
        return wrong[0].message
    analysis = analyze(source)
    if analysis.policy is None:
        first = next(found for found in analysis.diagnostics if found.is_error)
        return f"{first.code}: {first.message}"
    return described(analysis.policy, data, origin)


def described(policy: Policy, data: bytes, origin: Origin) -> Entry:
    """The entry of a typed policy and its text."""
    return Entry(
        origin, policy.name, policy.version, policy.description, policy.goals, data,
        hashlib.sha256(data).hexdigest(), meaning(policy),
    )  # fmt: skip


def version_key(version: str) -> tuple[int, ...]:
    """Versions in their order: 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in version.split("."))
