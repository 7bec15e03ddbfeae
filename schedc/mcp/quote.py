"""What others wrote, as data.

Input: names of tasks, groups, files; descriptions; any text. Output: text that can't be taken for
anything but a datum. Invariant: a name comes out unchanged and plain, or as an opaque id that is
always the same for the same name; other text has no control, format or bidirectional character, one
line, and an end.
"""

from __future__ import annotations

import hashlib
import re

from schedc.diagnostics.render.visible import ELLIPSIS, visible

MAX_NAME = 64
MAX_TEXT = 300

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,63}", re.ASCII)


def name(text: str) -> str:
    """The name itself if it is plain, else `name-` and eight digits of its hash."""
    if _PLAIN.fullmatch(text):
        return text
    return opaque(text)


def opaque(text: str) -> str:
    """An id that says nothing but that it is this name."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"name-{digest[:8]}"


def line(text: str, most: int = MAX_TEXT) -> str:
    """A description or a reason: one line with everything unprintable made visible."""
    shown = visible(" ".join(text[: 4 * most].split()))
    return shown if len(shown) <= most else shown[: most - 1] + ELLIPSIS


def block(text: str, most: int) -> str:
    """Several lines, such as a policy's text: the same, but for tabs and the ends of lines."""
    lines = [visible(one.expandtabs(4)) for one in text.split("\n")]
    shown = "\n".join(lines)
    return shown if len(shown) <= most else shown[: most - 1] + ELLIPSIS
