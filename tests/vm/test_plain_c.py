"""The scheduler written by hand that the simulator runs (examples/plain_c) loads on a kernel too.

For a kernel its `scx/common.bpf.h` is a short one over schedc's own header, in its place.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from schedc.data import data_path
from schedc.toolchain import Compiler, compile_c, find_compiler
from schedc.vm.check import check_in
from schedc.vm.verdict import Outcome
from tests.vm.trials import machine

INCLUDE = "#include <scx/common.bpf.h>"
HEADER = Path(__file__).with_name("fixtures") / "common.bpf.h"


@cache
def compiled() -> bytes:
    text = (data_path("examples") / "plain_c" / "window.bpf.c").read_text()
    assert text.count(INCLUDE) == 1
    compiler = find_compiler()
    assert isinstance(compiler, Compiler)
    done = compile_c(text.replace(INCLUDE, HEADER.read_text()), compiler)
    assert done.object is not None, done.log
    return done.object


def test_it_compiles_for_bpf() -> None:
    assert compiled()[:4] == b"\x7fELF"


@pytest.mark.vm
@pytest.mark.timeout(300)
def test_it_loads_attaches_and_stays() -> None:
    with machine() as booted:
        verdict = check_in(booted, compiled())
    assert verdict.outcome is Outcome.fine
