"""The values that scx.h gives to the kernel's names are those of every supported kernel.

A wrong one is silent: a task lands in queue 0, a flag means another. The running kernel tells the
truth in its BTF.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedc.vm.errors import VmError
from schedc.vm.job import Job, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]

SCX = (Path(__file__).parents[2] / "backends/bpf/include/scx.h").read_text()
KIND_SIZES = {1: 4, 3: 12, 14: 4, 17: 4}
"""Bytes after a type's three words, for kinds of fixed size."""

ENUM, ENUM64 = 6, 19
PER_MEMBER = {4: 12, 5: 12, ENUM: 8, 13: 8, 15: 12, ENUM64: 12}


def enumerators(btf: bytes) -> dict[str, int]:
    """Every enumerator of a kernel's BTF (include/uapi/linux/btf.h) with its value."""
    magic, _, _, header, type_at, type_size, names_at, _ = struct.unpack_from("<HBBIIIII", btf)
    assert magic == 0xEB9F
    at, end, names = header + type_at, header + type_at + type_size, header + names_at
    found: dict[str, int] = {}
    while at < end:
        _, info, _ = struct.unpack_from("<III", btf, at)
        at += 12
        kind, members, signed = info >> 24 & 0x1F, info & 0xFFFF, info >> 31
        for i in range(members if kind in (ENUM, ENUM64) else 0):
            if kind == ENUM:
                offset, value = struct.unpack_from("<Ii" if signed else "<II", btf, at + 8 * i)
            else:
                offset, low, high = struct.unpack_from("<III", btf, at + 12 * i)
                value = high << 32 | low
            name = btf[names + offset : btf.index(b"\0", names + offset)]
            found.setdefault(name.decode(), value)
        at += KIND_SIZES.get(kind, PER_MEMBER.get(kind, 0) * members)
    return found


def written() -> dict[str, int]:
    """The constants of scx.h, but for those that are asked of the kernel when a scheduler loads."""
    asked = {"SCX_ENQ_CPU_SELECTED"}
    found = {}
    for name, text in re.findall(r"^#define ((?:SCX|BPF_MAP_TYPE|BPF_F|BPF)_\w+) (.+)$", SCX, re.M):
        if re.fullmatch(r"[()~0-9ULx<| ]+", text):
            value = eval(re.sub(r"(?<=\d)U?L*\b", "", text))  # digits, shifts and ors only
            found[name] = value & (1 << 64) - 1
    for name, text in re.findall(r"^\t(SCX_(?:ENQ|EXIT)_\w+)(?: = ([^,]+))?,$", SCX, re.M):
        if text:
            found[name] = eval(re.sub(r"(?<=\d)U?L*\b", "", text))
    return {name: value for name, value in found.items() if name not in asked}


@pytest.fixture(params=["6.16", "6.18", "7"])
def kernel_says(request: pytest.FixtureRequest) -> Iterator[dict[str, int]]:
    try:
        machine = Machine.boot(
            Shape(Kernels(Store.default()).resolve(request.param), memory_mib=256)
        )
    except VmError as failure:
        pytest.skip(f"no virtual machine: {failure.message}")
    with machine:
        result = machine.run(Job({}, "cat /sys/kernel/btf/vmlinux > out/btf"), 60)
    yield enumerators(result.out["btf"])


def test_scx_h_tells_the_truth(kernel_says: dict[str, int]) -> None:
    ours = written()
    assert len(ours) > 20
    known = {name: kernel_says[name] for name in ours if name in kernel_says}
    # All of sched_ext's own are in its BTF; BPF's few numbers mostly, too.
    assert [name for name in ours if name.startswith("SCX_") and name not in known] == []
    assert {name: ours[name] for name in known} == {n: v & (1 << 64) - 1 for n, v in known.items()}


def test_the_flag_that_moved_is_there_under_its_name(kernel_says: dict[str, int]) -> None:
    assert kernel_says["SCX_ENQ_CPU_SELECTED"] > 0
