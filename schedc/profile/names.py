"""Names that others gave: of tasks, of control groups.

Input: whatever a task called itself. Output: a name of at most 15 bytes of letters, digits and
`_.:-`, or an opaque one. Invariant: nothing else of a name leaves the collectors.
"""

from __future__ import annotations

import re

MAX_NAME = 15
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,15}", re.ASCII)
_DIGITS = re.compile(rb"[0-9]+")
_BEFORE_DIGIT = re.compile(rb"[^0-9]*")


def is_plain(name: str) -> bool:
    """Whether a name may be shown, stored and quoted to a model as it is."""
    return _PLAIN.fullmatch(name) is not None


def stem(comm: bytes) -> bytes:
    """A task's name without its digits: the threads of a pool differ in nothing else."""
    return _DIGITS.sub(b"", comm)


def common(comm: bytes, several: bool) -> str:
    """What the tasks of a group are called, or what their names begin with if they have several;
    empty if that isn't plain."""
    if several:
        found = _BEFORE_DIGIT.match(comm)
        comm = found.group().rstrip(b"-_:/. ") if found else b""
    name = comm.decode("latin-1")
    return name if is_plain(name) else ""


class Namer:
    """Gives each group a name of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, comm: str, nice: int) -> str:
        """The tasks' name, with the nice value or a number if it is taken."""
        base = comm or f"group{len(self._taken)}"
        found = base
        for ending in (f".n{nice}" if nice else "", *(f".{n}" for n in range(2, 10_000))):
            found = base[: MAX_NAME - len(ending)] + ending
            if found not in self._taken and (not nice or ending or comm == ""):
                break
        self._taken.add(found)
        return found
