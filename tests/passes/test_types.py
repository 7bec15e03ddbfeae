"""The table of dimensions: what each operator takes, and what comes out."""

import itertools

import pytest

from schedc.ir.nodes import Kind, Op, Type
from schedc.passes import types
from schedc.passes.types import BOOL, COUNT, LAG, MOMENT, RATE, RATIO, TIME, WEIGHT

V, U = Type(Kind.VTIME, "v"), Type(Kind.VTIME, "u")
ALL = [TIME, MOMENT, LAG, COUNT, RATIO, RATE, WEIGHT, BOOL, V, U]

NUMBERS = list(itertools.product((COUNT, RATE, WEIGHT), repeat=2))

SUMS = {
    (TIME, TIME): TIME, (TIME, LAG): LAG, (LAG, TIME): LAG, (LAG, LAG): LAG,
    (MOMENT, TIME): MOMENT, (MOMENT, LAG): MOMENT, (TIME, MOMENT): MOMENT, (LAG, MOMENT): MOMENT,
    (V, TIME): V, (V, LAG): V, (TIME, V): V, (LAG, V): V,
    (U, TIME): U, (U, LAG): U, (TIME, U): U, (LAG, U): U,
    (RATIO, RATIO): RATIO,
} | dict.fromkeys(itertools.product((COUNT, RATE, WEIGHT), repeat=2), COUNT)  # fmt: skip

DIFFERENCES = {
    (TIME, TIME): (Op.SUB_SAT, TIME), (TIME, LAG): (Op.SUB, LAG), (LAG, TIME): (Op.SUB, LAG),
    (LAG, LAG): (Op.SUB, LAG), (MOMENT, MOMENT): (Op.SUB, LAG), (V, V): (Op.SUB, LAG),
    (U, U): (Op.SUB, LAG), (MOMENT, TIME): (Op.SUB, MOMENT), (MOMENT, LAG): (Op.SUB, MOMENT),
    (V, TIME): (Op.SUB, V), (V, LAG): (Op.SUB, V), (U, TIME): (Op.SUB, U), (U, LAG): (Op.SUB, U),
    (RATIO, RATIO): (Op.SUB_SAT, RATIO),
} | dict.fromkeys(NUMBERS, (Op.SUB_SAT, COUNT))  # fmt: skip

PAIRS = list(itertools.product(ALL, repeat=2))


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_sums(left: Type, right: Type) -> None:
    found = types.add(left, right)
    assert (found[1] if found is not None else None) == SUMS.get((left, right))


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_differences(left: Type, right: Type) -> None:
    assert types.subtract(left, right) == DIFFERENCES.get((left, right))


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_products(left: Type, right: Type) -> None:
    numbers = {Kind.COUNT, Kind.RATE, Kind.WEIGHT}
    expected = None
    for one, other in ((left, right), (right, left)):
        if other.kind in numbers and one.kind in numbers:
            expected = COUNT
        elif other.kind in numbers and one in (TIME, LAG):
            expected = one
    found = types.multiply(left, right)
    assert (found[1] if found is not None else None) == expected


def test_quotients() -> None:
    found = {pair: result for pair in PAIRS if (result := types.divide(*pair)) is not None}
    expected = {(TIME, TIME): (Op.DIV, COUNT)}
    for number in (COUNT, RATE, WEIGHT):
        expected[(TIME, number)] = (Op.DIV, TIME)
        expected[(LAG, number)] = (Op.SDIV, LAG)
        for other in (COUNT, RATE, WEIGHT):
            expected[(other, number)] = (Op.DIV, COUNT)
    assert found == expected


def test_what_can_be_compared() -> None:
    ordered = {pair for pair in PAIRS if types.comparable(*pair, equality=False)}
    same = {(one, one) for one in ALL if one != BOOL}
    mixed = {(TIME, LAG), (COUNT, RATE), (COUNT, WEIGHT)}
    assert ordered == same | mixed | {(b, a) for a, b in mixed}
    assert types.comparable(BOOL, BOOL, equality=True)


def test_the_larger_of_a_time_and_a_lag_is_a_time() -> None:
    assert types.larger(LAG, TIME) == types.larger(TIME, LAG) == TIME
    assert types.unify(LAG, TIME) == LAG
    assert types.larger(LAG, LAG) == LAG
    assert types.larger(V, U) is None


def test_what_a_state_can_hold() -> None:
    held = {(target, value) for target, value in PAIRS if types.assignable(target, value)}
    same = {(one, one) for one in ALL}
    extra = {(LAG, TIME), (COUNT, RATE), (COUNT, WEIGHT), (RATE, COUNT), (WEIGHT, COUNT)}
    assert held == same | extra


def test_distances() -> None:
    found = {pair: result for pair in PAIRS if (result := types.distance(*pair)) is not None}
    times = {(TIME, TIME), (LAG, LAG), (TIME, LAG), (LAG, TIME), (MOMENT, MOMENT), (V, V), (U, U)}
    counts = {(a, b) for a in (COUNT, RATE, WEIGHT) for b in (COUNT, RATE, WEIGHT)}
    counts -= {(RATE, WEIGHT), (WEIGHT, RATE)}
    assert found == dict.fromkeys(times, TIME) | dict.fromkeys(counts, COUNT)


def test_every_kind_has_a_noun() -> None:
    assert {types.noun(Type(kind, "q")).split()[0] for kind in Kind} == {"a"}
