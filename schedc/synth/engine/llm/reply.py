"""A model's reply to the text of a policy.

Input: any text. Output: the policy's text, or why there is none. Invariant: what comes out goes to
the compiler and nowhere else; nothing in a reply is followed, and no file, command or address in it
means anything.
"""

from __future__ import annotations

import re

from schedc.source import MAX_BYTES

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[a-zA-Z0-9_-]*[ \t]*\n(.*?)^[ \t]*(?:```|~~~)[ \t]*$",
                    re.MULTILINE | re.DOTALL)
_BEGIN = re.compile(r"^[ \t]*policy[ \t]+[a-z]", re.MULTILINE)


class NoPolicy(ValueError):
    """A reply without a policy; the text says why, for the model."""


def policy_of(reply: str) -> str:
    """The policy in a reply: the last fenced block that begins with one, else the reply itself from
    the line that begins with `policy`."""
    if len(reply.encode("utf-8", "replace")) > 4 * MAX_BYTES:
        raise NoPolicy("the reply is far too long: give the policy alone")
    blocks = [block for block in _FENCE.findall(reply) if _BEGIN.search(block)]
    text = blocks[-1] if blocks else reply
    begin = _BEGIN.search(text)
    if begin is None:
        raise NoPolicy("there is no policy in the reply: give the whole policy in one fenced "
                       "block; its first statement is `policy NAME 1.0.0`")
    found = text[_comments_before(text, begin.start()) :]
    if len(found.encode("utf-8", "replace")) > MAX_BYTES:
        raise NoPolicy(f"the policy is longer than {MAX_BYTES} bytes")
    return found.encode("utf-8", "replace").decode().rstrip() + "\n"


def _comments_before(text: str, at: int) -> int:
    """Where the comment lines directly above the policy begin."""
    lines = text[:at].split("\n")
    while len(lines) > 1 and lines[-2].lstrip().startswith("#"):
        at -= len(lines[-2]) + 1
        lines.pop()
    return at
