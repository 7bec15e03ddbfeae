"""schedc and its loader inside a guest: machines with Python and this working tree's schedc.

Input: a shell script. Output: what the job left. `fixture` makes the fixture of a test module:

    guest = inside.fixture()

    def test_it(guest: Machine) -> None:
        done = guest.run(Job({"x.o": data}, "schedc status --json >out/status"), inside.PATIENCE_S)

The guest has no solver and no compiler: objects and certificates are made here and go in as files.
busybox's shell prefers its own setpriv, unshare, chrt…: write /usr/bin/setpriv for the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from schedc.vm.errors import VmError
from schedc.vm.job import ImageKind, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine, prepare
from schedc.vm.store import Store
from tests.vm.live import live

KERNEL = "6.18"
# Seconds of the guest's time. The first start of Python takes seconds in emulation, and the host
# may be busy; what hangs is killed by the guest.
PATIENCE_S = 180.0


def shape(image: ImageKind = "python", kernel: str = KERNEL, **more: Any) -> Shape:
    """A shape whose parts are all there; else the test is skipped, with the reason."""
    memory = {"bcc": 1536, "systemd": 768}.get(image, 640)
    try:
        found = Shape(
            Kernels(Store.default()).resolve(kernel), image=image,
            **{"memory_mib": memory, **more},
        )  # fmt: skip
        prepare(found, Store.default())
    except VmError as failure:
        pytest.skip(f"no virtual machine with {image}: {failure.message}")
    return found


def fixture(
    image: ImageKind = "python", kernel: str = KERNEL, **more: Any
) -> Callable[[], Iterator[Machine]]:
    """A fixture: one machine for a module, made anew where a test ends it."""

    @pytest.fixture(scope="module")
    def guest() -> Iterator[Machine]:
        wanted = shape(image, kernel, **more)
        with live(lambda: Machine.boot(wanted)) as machine:
            yield machine

    return guest
