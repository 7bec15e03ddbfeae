"""A record behaves as a standard frozen, slotted dataclass does."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from typing import Any

import pytest

from schedc import records


def make(decorator: Callable[..., Any]) -> tuple[type, type, type]:
    @decorator(frozen=True, slots=True)
    class Plain:
        a: int
        b: str = "x"
        c: dict[str, int] = field(default_factory=dict, compare=False)
        d: int = field(default=7, repr=False)

    @decorator(frozen=True, slots=True)
    class Derived:
        """With what is set afterwards."""

        text: str
        length: int = field(init=False, repr=False, compare=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "length", len(self.text))

    @decorator(frozen=True, slots=True)
    class Empty:
        def __repr__(self) -> str:
            return "own"

    return Plain, Derived, Empty


STANDARD, RECORDS = make(dataclasses.dataclass), make(records.dataclass)
both = pytest.mark.parametrize(("Plain", "Derived", "Empty"), [STANDARD, RECORDS])

CALLS = [((1,), {}), ((1, "y"), {}), ((), {"a": 3, "c": {"k": 1}}), ((1, "y", {}, 9), {})]


@pytest.mark.parametrize(("positional", "named"), CALLS)
def test_the_same_as_the_standard_one(positional: Any, named: Any) -> None:
    one, two = (made[0](*positional, **named) for made in (STANDARD, RECORDS))
    assert repr(one).rpartition(".")[2] == repr(two).rpartition(".")[2]
    assert dataclasses.asdict(one) == dataclasses.asdict(two)
    assert hash(one) == hash(two)
    assert [f.name for f in dataclasses.fields(one)] == [f.name for f in dataclasses.fields(two)]


@both
def test_behaviour(Plain: Any, Derived: Any, Empty: Any) -> None:
    one = Plain(1)
    assert one == Plain(1, "x", {"compared": 0}) and one != Plain(2) and one != "other"
    assert {one, Plain(1)} == {one}
    assert one.c is not Plain(1).c
    assert dataclasses.replace(one, b="z") == Plain(1, "z")
    match one:
        case Plain(a, "x"):
            assert a == 1
        case _:
            pytest.fail("no match")
    assert Derived("four").length == 4
    assert dataclasses.replace(Derived("four"), text="to").length == 2
    assert Empty() == Empty() and hash(Empty()) == hash(()) and repr(Empty()) == "own"
    assert copy.copy(one) == one and copy.deepcopy(one) == one


@both
def test_refusals(Plain: Any, Derived: Any, Empty: Any) -> None:
    for call in (lambda: Plain(), lambda: Plain(1, 2, 3, 4, 5), lambda: Plain(1, e=2),
                 lambda: Derived("x", length=3), lambda: Plain(1, a=2)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(FrozenInstanceError):
        Plain(1).a = 2
    with pytest.raises(FrozenInstanceError):
        del Plain(1).a
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        Plain(1).new = 2


@records.dataclass(frozen=True, slots=True)
class Pickled:
    a: int
    b: tuple[int, ...] = ()


def test_pickling() -> None:
    assert pickle.loads(pickle.dumps(Pickled(1, (2,)))) == Pickled(1, (2,))


def test_other_options_get_the_standard_decorator() -> None:
    @records.dataclass(frozen=True, slots=True, order=True)
    class Ordered:
        a: int

    @records.dataclass
    class Mutable:
        a: int

    assert Ordered(1) < Ordered(2)
    one = Mutable(1)
    one.a = 2
    assert one == Mutable(2)
