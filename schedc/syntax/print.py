"""The syntax tree as text, for `--emit tree` and the goldens of that stage.

Input: a tree and its source. Output: one line a node, indented below its parent: the field that it
stands in, its kind, its plain values, and where it lies. Invariant: the same tree gives the same
text, and two trees that differ in anything give different texts.

    items[3]: Tune @6:1-6:40
      name: Name text='short' @6:6-6:11
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from schedc.source import Source, Span
from schedc.syntax.tree import PolicyTree


def print_tree(tree: PolicyTree, source: Source) -> str:
    """The whole tree, with a newline at the end."""
    return "\n".join(_node(tree, "", "", source)) + "\n"


def _node(node: Any, field: str, indent: str, source: Source) -> Iterator[str]:
    plain, nested = [], []
    for one in fields(node):
        value = getattr(node, one.name)
        if one.name == "span":
            continue
        if _holds_nodes(value):
            nested.append((one.name, value))
        else:
            plain.append(f"{one.name}={value!r}")
    head = f"{field}: " if field else ""
    where = [f"@{_place(node.span, source)}"] if hasattr(node, "span") else []
    words = [type(node).__name__, *plain, *where]
    yield f"{indent}{head}{' '.join(words)}"
    for name, value in nested:
        children = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        for number, child in children:
            label = name if number is None else f"{name}[{number}]"
            if is_dataclass(child):
                yield from _node(child, label, indent + "  ", source)
            else:
                yield f"{indent}  {label}: {child!r}"


def _holds_nodes(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(is_dataclass(one) for one in value)
    return is_dataclass(value)


def _place(span: Span, source: Source) -> str:
    first, last = source.position(span.start), source.position(span.end)
    return f"{first[0]}:{first[1]}-{last[0]}:{last[1]}"
