"""Failures of the machine that no test can wait for, with a stand-in for QEMU's process."""

import os
import platform
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schedc.vm import errors, guest, machine, qemu
from schedc.vm.errors import VmError
from schedc.vm.store import Store


class Silent:
    """A QEMU whose guest says nothing, or one thing."""

    console = "Linux version 7\nlast words\n"

    def __init__(self, line: bytes | None = None) -> None:
        self.line = line
        self.closed = False

    def read_line(self, deadline: float) -> bytes:
        if self.line is None:
            raise TimeoutError
        return self.line

    def send(self, data: bytes, deadline: float) -> None:
        raise TimeoutError

    def close(self) -> None:
        self.closed = True


def parts_of(process: Silent) -> Any:
    kernel = SimpleNamespace(release="7.0-test")
    shape, image = SimpleNamespace(kernel=kernel), SimpleNamespace(path=Path(os.devnull))
    return SimpleNamespace(start=lambda _memory: process, shape=shape, image=image)


@pytest.mark.parametrize(
    ("line", "message"), [(None, "did not come up within 1 s"), (b"PANIC", "instead of READY")]
)
def test_a_machine_that_does_not_boot(line: bytes | None, message: str) -> None:
    process = Silent(line)
    with pytest.raises(VmError, match=message) as caught:
        machine.booted(parts_of(process), "", timeout_s=1.0)
    assert caught.value.code == errors.BOOT_FAILED
    assert process.closed


def test_a_machine_that_hangs_says_its_last_words() -> None:
    with pytest.raises(VmError, match="it hangs") as caught:
        machine._converse(Silent(), machine.Job(files={}, script="true"), 1.0)  # type: ignore[arg-type]
    assert caught.value.code == errors.TIMED_OUT
    assert "last words" in caught.value.notes


def test_no_qemu_and_none_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(VmError) as caught:
        qemu.find(Store(tmp_path))
    assert caught.value.code == errors.NO_QEMU and caught.value.help


def test_no_compiler_for_the_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(VmError) as caught:
        guest.available.__wrapped__()
    assert caught.value.code == errors.NO_GUEST_COMPILER and caught.value.help
