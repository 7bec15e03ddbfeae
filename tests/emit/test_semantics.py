"""The generated C computes what the reference semantics says: random expressions on both.

Expressions are printed as the generator prints them, compiled natively for this machine with the
runtime's own arithmetic, and run on inputs weighted to the edges of their ranges. An expression is
taken only if the checks of the language would take it: no intermediate leaves 64 bits, divisors
are at least 1.
"""

from __future__ import annotations

import ctypes
import random
import subprocess
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from schedc.emit.expression import Printer
from schedc.ir import nodes as ir
from schedc.ir.interval import S64, Interval, Ranges, intermediates, interval
from schedc.ir.nodes import Kind, Op
from schedc.ir.semantics import evaluate
from schedc.source import Span
from schedc.vm.errors import VmError
from schedc.vm.guest import available
from tests.emit.generated import ROOT, from_text

HERE = Span(0, 0)
COUNT, LAG, TIME, BOOL = (ir.Type(kind) for kind in (Kind.COUNT, Kind.LAG, Kind.TIME, Kind.BOOL))
YEAR = 366 * 24 * 3600 * 10**9
LEAVES = {
    "a": Interval(0, YEAR), "b": Interval(-YEAR, YEAR), "c": Interval(0, 1 << 40),
    "d": Interval(1, 10_000), "e": Interval(0, 100_000_000), "f": Interval(-(1 << 61), 1 << 61),
    "g": Interval(S64.low, S64.high), "h": Interval(0, 1),
}  # fmt: skip
"""Tunables that expressions read: ranges of times, lags, counts, weights, keys, everything."""

ENV = Ranges(dict(LEAVES), {}, Interval(1, 10_000), 24_000_000)
EXPRESSIONS = 250
BINARY = (Op.ADD, Op.SUB, Op.SUB_SAT, Op.MUL, Op.MIN, Op.MAX, Op.ABS_DIFF)
COMPARE = (Op.LT, Op.LE, Op.GT, Op.GE, Op.EQ, Op.NE)


def apply(op: Op, type_: ir.Type, *args: ir.Expr) -> ir.Expr:
    return ir.Apply(op, args, type_, HERE)


def const(value: int) -> ir.Expr:
    return ir.Const(value, TIME if value >= 0 else LAG, HERE)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes random expressions that the language would take."""

    random: random.Random

    def value(self, depth: int) -> ir.Expr:
        """An integer, all of whose intermediates fit."""
        while True:
            made = self._value(depth)
            if all(
                S64.low <= i.low and i.high <= S64.high
                for i in (interval(made, ENV), *intermediates(made, ENV))
            ):
                return made

    def _value(self, depth: int) -> ir.Expr:
        draw = self.random
        if depth == 0 or draw.random() < 0.15:
            if draw.random() < 0.3:
                return const(
                    draw.choice(
                        (
                            0,
                            1,
                            2,
                            3,
                            999,
                            1_000_000,
                            -1_000,
                            20_000_000,
                            1 << 31,
                            -(1 << 40),
                            1 << 62,
                        )
                    )
                )
            return ir.TuneRef(draw.choice("abcdefg"), LAG, HERE)
        match draw.randrange(8):
            case 0 | 1 | 2:
                return apply(draw.choice(BINARY), LAG, self.value(depth - 1), self.value(depth - 1))
            case 3:
                dividend, divisor = self.at_least(0, depth - 1), self.at_least(1, depth - 1)
                return apply(Op.DIV, COUNT, dividend, divisor)
            case 4:
                return apply(Op.SDIV, LAG, self.value(depth - 1), self.at_least(1, depth - 1))
            case 5:
                one = self.value(depth - 1)
                return (
                    apply(Op.NEG, LAG, one) if draw.random() < 0.5 else apply(Op.LOG2, COUNT, one)
                )
            case 6:
                return apply(
                    Op.SELECT,
                    LAG,
                    self.condition(depth - 1),
                    self.value(depth - 1),
                    self.value(depth - 1),
                )
            case _:
                return self._charge(depth) if draw.random() < 0.5 else self._ewma(depth)

    def _charge(self, depth: int) -> ir.Expr:
        stint = self.random.random() < 0.5
        return ir.Charge(
            self.at_least(0, depth - 1), self.at_least(1, depth - 1), stint, TIME, HERE
        )

    def _ewma(self, depth: int) -> ir.Expr:
        whole = self.random.choice((2, 3, 4, 8, 1024))
        part = self.random.randrange(1, whole)
        if self.random.random() < 0.5:
            return ir.Ewma(self.value(depth - 1), self.value(depth - 1), part, whole, LAG, HERE)
        return ir.Ewma(
            self.at_least(0, depth - 1), self.at_least(0, depth - 1), part, whole, TIME, HERE
        )

    def at_least(self, low: int, depth: int) -> ir.Expr:
        one = self.value(max(depth, 0))
        return one if interval(one, ENV).low >= low else apply(Op.MAX, COUNT, one, const(low))

    def condition(self, depth: int) -> ir.Expr:
        draw = self.random
        if depth <= 0 or draw.random() < 0.5:
            if draw.random() < 0.2:
                return ir.TuneRef("h", BOOL, HERE)
            return apply(
                draw.choice(COMPARE), BOOL, self.value(max(depth, 0)), self.value(max(depth, 0))
            )
        if draw.random() < 0.3:
            return apply(Op.NOT, BOOL, self.condition(depth - 1))
        return apply(
            draw.choice((Op.AND, Op.OR)), BOOL, self.condition(depth - 1), self.condition(depth - 1)
        )

    def inputs(self) -> dict[str, int]:
        """A value for each leaf: often an end, a power of two, or near another leaf's value."""
        draw = self.random
        chosen: dict[str, int] = {}
        for name, range_ in LEAVES.items():
            match draw.randrange(6):
                case 0:
                    value = draw.choice((range_.low, range_.high))
                case 1:
                    value = draw.choice((range_.low + 1, range_.high - 1, 0, 1, -1, 99, 100, 101))
                case 2:
                    value = draw.choice((1, -1)) * (1 << draw.randrange(64)) + draw.randrange(-1, 2)
                case 3:
                    value = draw.choice((0, *chosen.values())) + draw.randrange(-1, 2)
                case 4:
                    value = draw.choice((1, -1)) * draw.getrandbits(draw.randrange(1, 64))
                case _:
                    value = draw.randint(range_.low, range_.high)
            chosen[name] = min(max(value, range_.low), range_.high)
        return chosen


PRELUDE = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32; typedef long long s64; typedef _Bool bool;
#define __always_inline inline __attribute__((always_inline))
#define NSEC_PER_USEC 1000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_SEC 1000000000LL
"""

ARITHMETIC = (
    "min",
    "max",
    "clamp",
    "sub_sat",
    "abs_diff",
    "div",
    "sdiv",
    "floor_log2",
    "log2",
    "charge",
)


def arithmetic() -> str:
    """The runtime's functions, as they stand in its headers."""
    import re

    text = "\n".join(
        p.read_text()
        for p in sorted((ROOT / "backends/bpf/include").glob("*.h"))
        if p.name != "scx.h"
    )
    found = []
    for name in ARITHMETIC:
        whole = re.search(
            rf"^(?:static|__attribute__)[^\n;{{]*\b{name}\([^)]*\)\n\{{\n.*?^\}}\n",
            text,
            re.M | re.S,
        )
        assert whole, name
        found.append(whole[0])
    return "\n".join(found)


def native(text: str, folder: Path) -> ctypes.CDLL:
    """C for this machine as a shared library, with the first compiler that manages."""
    source, library = folder / "x.c", folder / "x.so"
    source.write_text(text)
    said = ""
    try:
        compilers = available()
    except VmError:
        pytest.skip("no C compiler for this machine")
    for compiler in compilers:
        # Wrapping, as the BPF machine does: an intermediate that left 64 bits would show.
        command = [
            *compiler.command,
            "-O2",
            "-shared",
            "-fPIC",
            "-fwrapv",
            "-w",
            str(source),
            "-o",
            str(library),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return ctypes.CDLL(str(library))
        said = done.stderr
    raise AssertionError(said)


@dataclass(frozen=True, slots=True)
class Both:
    """Expressions and their native twins."""

    expressions: tuple[ir.Expr, ...]
    library: ctypes.CDLL

    def computed(self, inputs: list[dict[str, int]]) -> array[int]:
        """What the C gives: for each input, a value for each expression."""
        flat = array("q", [one[name] for one in inputs for name in LEAVES])
        out = array("q", bytes(8 * len(inputs) * len(self.expressions)))
        pointer = ctypes.POINTER(ctypes.c_longlong)
        self.library.run(ctypes.cast(flat.buffer_info()[0], pointer), ctypes.c_long(len(inputs)),
                         ctypes.cast(out.buffer_info()[0], pointer))  # fmt: skip
        return out


def random_expressions(seed: int) -> tuple[ir.Expr, ...]:
    maker = Maker(random.Random(seed))
    return tuple(maker.value(4) for _ in range(EXPRESSIONS))


def build(expressions: tuple[ir.Expr, ...], folder: Path) -> Both:
    policy, _ = from_text(
        "policy p 1.0.0\nqueue all fifo\nclass a\nenqueue a to all\ndispatch { take all }\n"
    )
    # Of the policy, expressions need no more than how long a stint is charged for.
    printer = Printer(policy)
    stint = policy.stint_max_ns
    assert stint == ENV.stint_max_ns, "the plain policy's slice is 20 ms, and a tick"
    tunes = "\n".join(f"static s64 tune_{name};" for name in LEAVES)
    bodies = "\n".join(
        f"static s64 f{i}(void) {{ return {printer.text(e)}; }}" for i, e in enumerate(expressions)
    )
    sets = "\n".join(
        f"\t\ttune_{name} = in[i * {len(LEAVES)} + {at}];" for at, name in enumerate(LEAVES)
    )
    calls = "\n".join(
        f"\t\tout[i * {len(expressions)} + {i}] = f{i}();" for i in range(len(expressions))
    )
    loop = f"\tfor (long i = 0; i < n; i++) {{\n{sets}\n{calls}\n\t}}\n"
    run = f"void run(s64 *in, long n, s64 *out)\n{{\n{loop}}}\n"
    return Both(expressions, native("\n".join((PRELUDE, arithmetic(), tunes, bodies, run)), folder))


def compare(both: Both, inputs: list[dict[str, int]]) -> int:
    """How many values were compared; any difference fails."""
    out = both.computed(inputs)
    for row, one in enumerate(inputs):
        for column, expr in enumerate(both.expressions):
            expected = int(evaluate(expr, lambda leaf, at=one: at[leaf.name], ENV.stint_max_ns))  # type: ignore[union-attr,misc]
            got = out[row * len(both.expressions) + column]
            assert got == expected, (one, expr)
    return len(inputs) * len(both.expressions)


def campaign(seed: int, total: int, folder: Path) -> Iterator[int]:
    """Compares at least `total` values, with new expressions every 12,500."""
    done = 0
    while done < total:
        (here := folder / str(seed)).mkdir()
        both, maker = build(random_expressions(seed), here), Maker(random.Random(~seed))
        done += compare(both, [maker.inputs() for _ in range(50)])
        seed += 1
        yield done


def test_generated_c_means_what_the_semantics_says(tmp_path: Path) -> None:
    both, maker = build(random_expressions(1), tmp_path), Maker(random.Random(2))
    assert compare(both, [maker.inputs() for _ in range(120)]) == 30_000


def test_each_operator_on_the_edges(tmp_path: Path) -> None:
    a, b, d, e = (ir.TuneRef(name, LAG, HERE) for name in "abde")
    binary = [apply(op, LAG, a, b) for op in (*BINARY, *COMPARE) if op is not Op.MUL]
    tests = [apply(Op.LT, BOOL, a, b), ir.TuneRef("h", BOOL, HERE)]
    expressions = (
        *binary, apply(Op.MUL, LAG, e, d), apply(Op.DIV, COUNT, a, d), apply(Op.SDIV, LAG, b, d),
        apply(Op.NEG, LAG, b), apply(Op.LOG2, COUNT, e), apply(Op.SELECT, LAG, tests[0], a, b),
        apply(Op.AND, BOOL, *tests), apply(Op.OR, BOOL, *tests), apply(Op.NOT, BOOL, tests[1]),
        *(ir.Charge(x, d, stint, TIME, HERE) for x in (a, e) for stint in (True, False)),
        *(ir.Ewma(x, y, 1, 4, t, HERE) for x, y, t in ((a, e, TIME), (b, e, LAG), (e, b, LAG))),
    )  # fmt: skip
    assert {one.op for one in expressions if isinstance(one, ir.Apply)} == set(Op)
    maker = Maker(random.Random(3))
    assert compare(build(expressions, tmp_path), [maker.inputs() for _ in range(2700)]) > 70_000


def test_every_operator_takes_part(tmp_path: Path) -> None:
    seen: set[object] = set()
    todo = list(random_expressions(1))
    while todo:
        one = todo.pop()
        seen.add(one.op if isinstance(one, ir.Apply) else type(one))
        if isinstance(one, ir.Apply):
            todo += one.args
        elif isinstance(one, ir.Charge):
            todo += (one.value, one.weight)
        elif isinstance(one, ir.Ewma):
            todo += (one.average, one.sample)
    assert seen >= {*Op, ir.Charge, ir.Ewma, ir.Const, ir.TuneRef}


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_ten_million_values(tmp_path: Path) -> None:
    assert max(campaign(1000, 10_000_000, tmp_path)) >= 10_000_000
