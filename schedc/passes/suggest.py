"""Near names: `did you mean …?`.

Input: what was written and what there is. Output: the text of a help line. Invariant: the answer
depends on the sets of names only, never on their order.
"""

from __future__ import annotations

from collections.abc import Iterable

_NEAR = 0.6
_SHOWN = 8


def near(word: str, known: Iterable[str]) -> str | None:
    """The one name that is close enough to what was written, if there is one."""
    from difflib import get_close_matches

    found = get_close_matches(word, sorted(known), n=1, cutoff=_NEAR)
    return found[0] if found else None


def listing(known: Iterable[str]) -> str | None:
    """The names that there are, for a help line; None if there are none."""
    names = sorted(known)
    if not names:
        return None
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN])
    return shown + (", …" if len(names) > _SHOWN else "")
