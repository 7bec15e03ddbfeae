"""A new policy made of one that there is: other values of tunables, and statements on top.

Input: a base, the values as written, fragments of policy text. Output: the text of a policy that
`extends` the base. Invariant: the base's own text is never copied but for the tunables that get
another value; what the composition means is decided by the compiler, from the text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from schedc.pipeline import analyze
from schedc.repository.entry import Entry
from schedc.repository.place import refuse
from schedc.source import Source
from schedc.syntax import tree

_LITERAL = re.compile(r"-?[0-9]{1,12}(?:ns|us|ms|s|%)?|true|false", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)


def compose(
    name: str,
    base: Entry,
    values: Mapping[str, str] | None = None,
    fragments: Iterable[str] = (),
    *,
    version: str = "1.0.0",
    description: str = "",
) -> str:
    """The text; raises `RepositoryError` for a name or value that is none.

    `values`: tunable -> literal, such as `{"slice": "5ms"}`. `fragments`: statements.
    """
    if not _NAME.fullmatch(name):
        raise refuse("E1005", "that is no name of a policy",
                     help="lower-case letters, digits and `_`, at most 32, a letter first")
    made_of = description or f"{base.name} with {_summary(values or {})}"
    major = base.version.partition(".")[0]
    lines = [
        f"policy {name} {version}", f'"{_plain(made_of)}"',
        f"extends {base.origin}/{base.name}@{major}", "",
    ]  # fmt: skip
    lines += [_tune(base, tune, value) for tune, value in (values or {}).items()]
    return "\n".join([*lines, *(text.rstrip() for text in fragments)]) + "\n"


def _summary(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "changes"


def _plain(text: str) -> str:
    """What a string of the language can hold, at most a line."""
    kept = (char for char in " ".join(text.split()) if char.isprintable() and char not in '"\\')
    return "".join(kept).encode("ascii", "ignore").decode()[:100]


def _tune(base: Entry, name: str, value: str) -> str:
    """The base's declaration of a tunable, word for word, with another value."""
    found = _declaration(base, name)
    if found is None:
        raise refuse("E1002", f"`{base.title}` has no tunable `{_plain(name)[:40]}`",
                     help=f"schedc policy show {base.name}")
    if not _LITERAL.fullmatch(value):
        raise refuse("E1005", f"that is no value for `{name}`", help="write one such as 5ms or 30%")
    source, item = found
    start, end = item.value.span.start, item.value.span.end
    return source.text[item.span.start : start] + value + source.text[end : item.span.end]


def _declaration(base: Entry, name: str) -> tuple[Source, tree.Tune] | None:
    """Where a tunable is declared: in the policy itself, or in what it extends."""
    source = base.source
    analysis = analyze(source)
    for text, items in (
        (source, analysis.tree.items),
        *((other, analyze(other).tree.items) for other in analysis.sources.values()),
    ):
        for item in items:
            if isinstance(item, tree.Tune) and item.name.text == name:
                return text, item
    return None
