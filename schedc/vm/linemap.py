"""Which line of a policy a line of generated C stands for.

Input: C text with `#line` directives, and a place as an object's line information gives it. Output:
the policy's line, or None.
Invariant: pure. Needed because clang up to 17 writes a *function's* file beside every line of it:
the number follows `#line`, the name does not (later versions, and zig's, write both). So a place
`policy.bpf.c:42` may be line 42 of the C text or of the policy; the text says which of the two can
be, and a function that is known to have failed decides where both can.
"""

from __future__ import annotations

import re
from functools import cached_property

from schedc.records import dataclass

_DIRECTIVE = re.compile(r'^#line (\d+) "([^"]*)"')


@dataclass(frozen=True)
class LineMap:
    """The lines of one C text. `presumed[i]` is what line i + 1 is said to be: file and number;
    the file is "" before any directive."""

    c_text: str

    @cached_property
    def presumed(self) -> tuple[tuple[str, int], ...]:
        found: list[tuple[str, int]] = []
        file, shift = "", 0
        for physical, text in enumerate(self.c_text.split("\n"), 1):
            if match := _DIRECTIVE.match(text):
                file, shift = match[2], int(match[1]) - (physical + 1)
                found.append(("#", 0))
            else:
                found.append((file, physical + shift))
        return tuple(found)

    @cached_property
    def c_names(self) -> frozenset[str]:
        """Names for the C text itself: those under which a line keeps its own number."""
        back = {file for i, (file, n) in enumerate(self.presumed, 1) if file and n == i}
        return frozenset({"", *(name for name in back if name.endswith((".c", ".h")))})

    @cached_property
    def policy_names(self) -> frozenset[str]:
        return frozenset({file for file, _ in self.presumed} - self.c_names - {"#"})

    def policy_line(self, file: str, line: int, function: str = "") -> int | None:
        """The policy's line for a place, None if it is the C text's own."""
        names = {name.rsplit("/", 1)[-1] for name in self.policy_names}
        if file.rsplit("/", 1)[-1] in names:
            return line
        candidates = [
            (physical, name in self.policy_names)
            for physical, (name, number) in enumerate(self.presumed, 1)
            if number == line and name != "#"
        ]
        # Declarations carry no instructions, so only bodies of functions can be meant.
        bodies = [(at, of_policy) for at, of_policy in candidates if at in self._bodies]
        first, last = self._extent(function)
        inside = [of_policy for at, of_policy in bodies if first <= at <= last]
        answers = set(inside or [of_policy for _, of_policy in bodies])
        return line if answers == {True} else None

    def first_line(self, function: str) -> int | None:
        """The policy's line that a function's code comes from first, in itself or in those that it
        calls; None if it has none."""
        return self._first_line(function, set())

    def _first_line(self, function: str, seen: set[str]) -> int | None:
        seen.add(function)
        first, last = self._extent(function)
        for file, number in self.presumed[first - 1 : last]:
            if file in self.policy_names:
                return number
        text = "\n".join(self.c_text.split("\n")[first - 1 : last])
        for called in re.findall(r"(\w+)\(", text):
            if called in self._functions and called not in seen:
                found = self._first_line(called, seen)
                if found is not None:
                    return found
        return None

    @cached_property
    def _functions(self) -> frozenset[str]:
        """Names of the functions that the text defines itself."""
        found = re.findall(r"^static [^;{}=]*?\b(\w+)\([^;{}]*\)\n\{", self.c_text, re.MULTILINE)
        return frozenset(found)

    @cached_property
    def _bodies(self) -> frozenset[int]:
        """The physical lines of all function bodies, in a text laid out as the kernel's."""
        found: set[int] = set()
        within = False
        for physical, text in enumerate(self.c_text.split("\n"), 1):
            if text.startswith("}"):
                within = False
            elif text == "{" or re.match(r"\S.*\).*\{$", text):
                within = True
            elif within:
                found.add(physical)
        return frozenset(found)

    def _extent(self, function: str) -> tuple[int, int]:
        """The physical lines of a function's definition; (1, 0) if it isn't found."""
        lines = self.c_text.split("\n")
        for start, text in enumerate(lines, 1):
            named = function and re.search(rf"\b{re.escape(function)}\b", text)
            if named and not text.endswith(";"):
                rest = (end for end, line in enumerate(lines[start:], start + 1) if line == "}")
                return start, next(rest, len(lines))
        return 1, 0
