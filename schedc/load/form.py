"""Reading values of JSON that somebody else wrote: typed, bounded, nothing besides.

Input: what `json.loads` gave. Output: strings, whole numbers and lists of the sizes that were asked
for. Invariant: every other shape is `Malformed`, whose message quotes at most a name of ours.
"""

from __future__ import annotations

import math
import re
from typing import Any

_HASH = re.compile(r"[0-9a-f]{64}")
MAX_NAMES = 64


class Malformed(ValueError):
    """A value of another form than agreed; the words say which."""


class Form:
    """An object of JSON, whose fields are taken one by one."""

    def __init__(self, values: Any, what: str) -> None:
        if not isinstance(values, dict):
            raise Malformed(f"{what} is not an object")
        self._values = values
        self._what = what
        self._taken: set[str] = set()

    def _take(self, name: str, *types: type) -> Any:
        self._taken.add(name)
        if name not in self._values:
            raise Malformed(f"{self._what} has no `{name}`")
        value = self._values[name]
        # In Python true is a number; in JSON it isn't.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise Malformed(f"`{name}` of {self._what} is of another type")
        return value

    def value(self, name: str) -> Any:
        """A part that somebody else reads."""
        self._taken.add(name)
        return self._values.get(name)

    def has(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, longest: int) -> str:
        value: str = self._take(name, str)
        if len(value) > longest or "\0" in value:
            raise Malformed(f"`{name}` of {self._what} is too long, or holds a zero")
        return value

    def line(self, name: str, longest: int) -> str:
        """A text without control characters: it goes into logs and onto terminals."""
        value = self.text(name, longest)
        if not value.isprintable():
            raise Malformed(f"`{name}` of {self._what} holds characters that can't be shown")
        return value

    def number(self, name: str, low: int, high: int) -> int:
        value: int = self._take(name, int)
        if not low <= value <= high:
            raise Malformed(f"`{name}` of {self._what} is out of range")
        return value

    def real(self, name: str) -> float:
        value = self._take(name, int, float)
        if not 0 <= value < 1e15 or not math.isfinite(value):
            raise Malformed(f"`{name}` of {self._what} is out of range")
        return float(value)

    def real_or_none(self, name: str) -> float | None:
        if self._values.get(name) is None:
            self._taken.add(name)
            return None
        return self.real(name)

    def hash(self, name: str) -> str:
        value: str = self._take(name, str)
        if not _HASH.fullmatch(value):
            raise Malformed(f"`{name}` of {self._what} is not a sha256")
        return value

    def hash_or_none(self, name: str) -> str | None:
        if name in self._values and self._values[name] is None:
            self._taken.add(name)
            return None
        return self.hash(name)

    def names(self, name: str) -> tuple[str, ...]:
        values: list[Any] = self._take(name, list)
        if len(values) > MAX_NAMES:
            raise Malformed(f"`{name}` of {self._what} has too many entries")
        for value in values:
            if not isinstance(value, str) or len(value) > 128 or not value.isprintable():
                raise Malformed(f"`{name}` of {self._what} holds what is no name")
        return tuple(values)

    def part(self, name: str) -> Form:
        return Form(self._take(name, dict), f"`{name}`")

    def parts(self, name: str, most: int) -> tuple[Form, ...]:
        values: list[Any] = self._take(name, list)
        if len(values) > most:
            raise Malformed(f"`{name}` of {self._what} has too many entries")
        return tuple(Form(value, f"an entry of `{name}`") for value in values)

    def nothing_else(self) -> None:
        """Call after all fields are taken."""
        unknown = set(self._values) - self._taken
        if unknown:
            first = min(unknown, key=repr)[:32]
            shown = first if first.isprintable() else "…"
            raise Malformed(f"{self._what} has a field that nobody knows: `{shown}`")
