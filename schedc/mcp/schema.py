"""JSON Schema of arguments and results, as a model reads it best.

Input: a class of `arguments` or `results`. Output: its schema. Invariant: it accepts exactly what
the class accepts; what only repeats a name is left out.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel


@cache
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema; `title`s of fields, which only repeat their names, are left out."""
    made = model.model_json_schema()
    found: dict[str, Any] = _plain(made)
    found.pop("description", None)  # a docstring, meant for those who read the source
    found.setdefault("properties", {})
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: {name: _plain(one) for name, one in inner.items()} if key in _NAMED else _plain(inner)
        for key, inner in value.items()
        if key != "title" or isinstance(inner, dict)
    }


_NAMED = ("properties", "$defs")
"""Below these, keys are names of the model's own."""
