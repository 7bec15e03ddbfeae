"""`dataclass(frozen=True, slots=True)`, whose methods are made when they are first used.

The compiler has some 150 classes of nodes. The standard decorator writes, compiles and runs the
text of six methods for each at import, 0.7 ms a class, which alone took half of the 200 ms within
which `schedc check` is to start; most classes are never compared or printed. Here a class takes
0.06 ms, and each method is made at its first call, then replaces itself.

Invariant: a class behaves as the standard one does (fields, defaults, `__post_init__`, `replace`,
`match`, equality, hash, repr, immutability, pickling); `tests/test_records.py` compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass as _standard, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls: type | None = None, /, **options: bool) -> Any:
        """The decorator; other options than `frozen` and `slots` get the standard one."""
        if cls is not None or options != {"frozen": True, "slots": True}:
            return _standard(cls, **options) if cls is not None else _standard(**options)
        return _record


def _record(cls: type) -> type:
    cls = _standard(init=False, repr=False, eq=False, slots=True)(cls)
    for name, method in _METHODS.items():
        if name not in cls.__dict__:
            setattr(cls, name, method)
    return cls


def _compiled(cls: type, name: str, source: str, names: dict[str, Any]) -> Callable[..., Any]:
    """A method made of its text, put into the class for every later call."""
    exec(source, names)
    method: Callable[..., Any] = names[name]
    method.__qualname__ = f"{cls.__qualname__}.{name}"
    setattr(cls, name, method)
    return method


def _init(self: Any, *arguments: Any, **named: Any) -> None:
    cls = type(self)
    names: dict[str, Any] = {"_set": object.__setattr__, "_missing": MISSING}
    parameters, body = [], []
    for field in fields(cls):
        parameters += _parameter(field, names)
        body += _assignment(field)
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    text = f"def __init__(self, {', '.join(parameters)}):\n " + "\n ".join(body or ["pass"])
    _compiled(cls, "__init__", text, names)(self, *arguments, **named)


def _parameter(field: Field[Any], names: dict[str, Any]) -> list[str]:
    if not field.init:
        return []
    if field.default is not MISSING:
        names[f"_default_{field.name}"] = field.default
        return [f"{field.name}=_default_{field.name}"]
    if field.default_factory is not MISSING:
        names[f"_make_{field.name}"] = field.default_factory
        return [f"{field.name}=_missing"]
    return [field.name]


def _assignment(field: Field[Any]) -> list[str]:
    name = field.name
    if not field.init:
        return []  # `__post_init__` sets it
    if field.default_factory is not MISSING:
        return [
            f"_set(self, {name!r}, _make_{name}() if {name} is _missing else {name})"
        ]
    return [f"_set(self, {name!r}, {name})"]


def _eq(self: Any, other: object) -> Any:
    cls = type(self)
    compared = [field.name for field in fields(cls) if field.compare]
    test = " and ".join(f"self.{name} == other.{name}" for name in compared) or "True"
    text = (
        "def __eq__(self, other):\n"
        " if other.__class__ is not self.__class__: return NotImplemented\n"
        f" return {test}"
    )
    return _compiled(cls, "__eq__", text, {})(self, other)


def _hash(self: Any) -> int:
    cls = type(self)
    hashed = [
        field.name for field in fields(cls) if (field.compare if field.hash is None else field.hash)
    ]
    values = "".join(f"self.{name}, " for name in hashed)
    text = f"def __hash__(self): return hash(({values}))"
    result: int = _compiled(cls, "__hash__", text, {})(self)
    return result


def _repr(self: Any) -> str:
    shown = [field.name for field in fields(self) if field.repr]
    inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{type(self).__qualname__}({inside})"


def _no_change(self: Any, name: str, *_value: Any) -> None:
    raise FrozenInstanceError(f"cannot change field {name!r}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


_METHODS: dict[str, Callable[..., Any]] = {
    "__init__": _init,
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _no_change,
    "__delattr__": _no_change,
    "__getstate__": _get_state,
    "__setstate__": _set_state,
}
