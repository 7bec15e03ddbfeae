"""Near names for something that was mistyped."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or the list of what there is."""
    from difflib import get_close_matches

    known = sorted(known)
    near = get_close_matches(word, known, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"`{one}`" for one in near) + "?"
    return "there is " + ", ".join(f"`{one}`" for one in known)
