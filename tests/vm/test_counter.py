"""The clock of an emulated guest goes as fast as the host's."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from schedc.vm import counter
from schedc.vm.errors import VmError
from schedc.vm.job import Job, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine, prepare
from schedc.vm.store import Store


def test_the_answer_is_kept_for_as_long_as_the_host_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = counter.counter_mhz(Store(tmp_path))
    if first is None:
        pytest.skip("no time stamp counter here")
    assert first % 5 == 0 and 100 < first < 20_000
    monkeypatch.setattr(counter, "_measured", lambda: 1)
    assert counter.counter_mhz(Store(tmp_path)) == first
    assert counter.counter_mhz(Store(tmp_path / "another")) == 1


def test_where_it_cannot_be_read_the_guest_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert counter.counter_mhz(Store(tmp_path)) is None


@pytest.mark.vm
@pytest.mark.timeout(300)
def test_a_guest_s_second_is_a_second() -> None:
    store = Store.default()
    try:
        shape = Shape(Kernels(store).resolve("6.18"), memory_mib=256)
        parts = prepare(shape, store)
        machine = Machine.boot(shape)
    except VmError as failure:
        pytest.skip(f"no virtual machine: {failure.message}")
    with machine:
        begin = time.monotonic()
        result = machine.run(Job({}, "sleep 2; dmesg | grep 'tsc:'"), 120.0)
        took = time.monotonic() - begin
    # What the guest took for two seconds can't be longer than the whole job was here.
    assert 2.0 <= result.seconds <= 1.05 * took
    if parts.counter_mhz is None:
        pytest.skip("the guest finds its clock's rate by itself here")
    # One line for both, or where the kernel managed to measure the processor's, one for each.
    detected = re.findall(r"tsc: Detected ([\d.]+) MHz (?:processor|TSC)", result.console)
    assert detected and detected[-1] == f"{parts.counter_mhz}.000", result.console
