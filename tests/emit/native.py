"""C of the generator's kind, compiled for this machine: what it computes, as numbers.

Input: variables, and items: statements and the expressions that are their results. Output: for each
row of values of the variables, the results of every item. The runtime's arithmetic is the runtime's
own text.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from schedc.emit.expression import Printer
from schedc.ir.nodes import Expr, Policy
from schedc.vm.errors import VmError
from schedc.vm.guest import available
from tests.emit.expressions import ENV, LEAVES
from tests.emit.generated import ROOT, from_text

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
class Item:
    """Statements, and expressions that are evaluated after them."""

    statements: str
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Native:
    """`width`: results in a row, over all items."""

    library: ctypes.CDLL
    variables: tuple[str, ...]
    width: int

    def computed(self, rows: Sequence[Mapping[str, int]]) -> array[int]:
        """What the C gives, row by row; a row gives each variable's value."""
        # Values pass as the 64 bits that they are in C.
        flat = array("Q", [row[name] & (1 << 64) - 1 for row in rows for name in self.variables])
        out = array("q", bytes(8 * len(rows) * self.width))
        pointer = ctypes.POINTER(ctypes.c_longlong)
        self.library.run(ctypes.cast(flat.buffer_info()[0], pointer), ctypes.c_long(len(rows)),
                         ctypes.cast(out.buffer_info()[0], pointer))  # fmt: skip
        return out


def compiled(
    variables: Mapping[str, str], items: Sequence[Item], folder: Path, above: str = ""
) -> Native:
    """A library that runs the items. `variables`: name -> type. Each item starts from the row.
    `above`: C that stands before them."""
    declared = "\n".join(f"static {kind} {name};" for name, kind in variables.items())
    bodies, calls, width = [], [], 0
    for at, item in enumerate(items):
        results = " ".join(f"out[{i}] = {text};" for i, text in enumerate(item.results))
        head = f"static __attribute__((noinline)) void f{at}(s64 *out)"
        bodies.append(f"{head}\n{{\n{item.statements}\n{results}\n}}")
        calls.append(f"\t\tset(in); f{at}(out); out += {len(item.results)};")
        width += len(item.results)
    sets = "\n".join(f"\t{name} = in[{at}];" for at, name in enumerate(variables))
    set_ = f"static void set(s64 *in)\n{{\n{sets}\n}}"
    loop = "\n".join((f"\tfor (; n; n--, in += {len(variables)}) {{", *calls, "\t}"))
    run = f"void run(s64 *in, long n, s64 *out)\n{{\n{loop}\n}}\n"
    text = "\n".join((PRELUDE, arithmetic(), declared, above, *bodies, set_, run))
    return Native(native(text, folder), tuple(variables), width)


def plain() -> Policy:
    """A policy without anything: of a policy, expressions need no more than the longest stint."""
    policy, _ = from_text(
        "policy p 1.0.0\nqueue all fifo\nclass a\nenqueue a to all\ndispatch { take all }\n"
    )
    assert policy.stint_max_ns == ENV.stint_max_ns, "its slice is 20 ms, and a tick"
    return policy


def twins(expressions: Sequence[Expr], folder: Path) -> Native:
    """Expressions over `LEAVES` as the generator prints them."""
    printer = Printer(plain())
    items = [Item("", (printer.text(expr),)) for expr in expressions]
    named = "\n".join(f"#define tune_{name} {name}" for name in LEAVES)
    return compiled(dict.fromkeys(LEAVES, "s64"), items, folder, named)
