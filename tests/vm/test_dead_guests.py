"""Guests that die: what is told of it, and what is begun again and what isn't.

The console of `fixtures/int3.console` is of a guest that QEMU's emulation killed: ADR 26.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schedc.cli.frame import invoke
from schedc.cli.root import cli
from schedc.vm import oops
from schedc.vm.errors import EMULATION_FAILED, GUEST_DIED, VmError
from schedc.vm.job import Job, Shape, pack
from schedc.vm.kernels import Kernels
from schedc.vm.loadable import Policy
from schedc.vm.machine import Machine
from schedc.vm.measure import FIRST_SEED, Outcome, Slot
from schedc.vm.run import Options, _Bench
from schedc.vm.show import failure_diagnostic
from schedc.vm.store import Store
from schedc.workload import registry
from tests.vm.live import live
from tests.vm.test_verdict import report

CONSOLE = (Path(__file__).parent / "fixtures/int3.console").read_text()
WILD_JUMP = CONSOLE.replace("00 00 00 00 00 00 e9 <f6>", "cc cc cc cc cc cc cc <cc>")
NULL = """\
[    3.100000] BUG: kernel NULL pointer dereference, address: 0000000000000010
[    3.100001] #PF: supervisor read access in kernel mode
[    3.100002] Oops: Oops: 0000 [#1] SMP NOPTI
[    3.100003] RIP: 0010:scx_dispatch+0x1/0x20
[    3.100004] Code: 48 89 f7 66 <90> 48 8d 7b 48
[    3.100005] RAX: 0000000000000000 RBX: 0000000000000001 RCX: 0000000000000000
[    3.200000] Oops: int3: 0000 [#2] SMP NOPTI
[    3.200001] Code: 48 89 f7 66 <90> 48 8d 7b 48
[    3.300000] Kernel panic - not syncing: Fatal exception
"""


# --- what is told


def test_the_beginning_of_an_oops_is_told_not_its_end() -> None:
    told = oops.beginning("[    1.0] Linux version 7\n" + CONSOLE)
    assert told[0] == "Oops: int3: 0000 [#1] SMP NOPTI"
    assert "RIP: 0010:__schedule+0x1c5/0xcf0" in told
    assert " preempt_schedule+0x32/0x50" in told
    assert told[-1] == "Kernel panic - not syncing: Fatal exception in interrupt"
    assert not [line for line in told if line.startswith(("R1", "RAX", "RSP", "CR2", "FS", "Code"))]
    assert len(told) <= oops.SHOWN + 1


def test_of_two_oopses_the_first_counts() -> None:
    told = oops.beginning(NULL)
    assert told[0] == "BUG: kernel NULL pointer dereference, address: 0000000000000010"
    assert "RIP: 0010:scx_dispatch+0x1/0x20" in told
    assert not oops.emulation_failed(NULL)


@pytest.mark.parametrize(
    ("console", "failed"),
    [
        (CONSOLE, True),
        (CONSOLE.replace("Oops: int3", "int3"), True),
        # It jumped into padding, or ran into a BUG: the breakpoint is there in memory.
        (WILD_JUMP, False),
        (CONSOLE.replace("Oops: int3: 0000", "Oops: general protection fault: 0000"), False),
        (CONSOLE.replace("Code:", "Cod:"), False),
        ("[    5.0] Kernel panic - not syncing: sysrq triggered crash\n", False),
        ("", False),
    ],
    ids=["int3", "older kernels", "padding", "another", "no code", "panic", "nothing"],
)
def test_the_emulator_is_blamed_only_for_what_is_not_in_memory(console: str, failed: bool) -> None:
    assert oops.emulation_failed(console) is failed


def test_any_text_is_taken() -> None:
    for console in ("Code: <", "[x] Oops: \n\0\n", "Oops: int3: 0000\nCode: zz <90>", "\n" * 1000):
        assert not oops.emulation_failed(console)
        assert len(oops.beginning(console)) < 20


# --- what is begun again: with a stand-in for QEMU's process


RESULT = pack(Job({"out/load.json": json.dumps(report()).encode()}))


class Guest:
    """A QEMU whose guest answers a job with a good report, or dies of it."""

    def __init__(self, console: str | None) -> None:
        self.dies = console is not None
        self.console = console or ""
        self.closed = False

    def send(self, data: bytes, deadline: float) -> None:
        pass

    def read_line(self, deadline: float) -> bytes:
        if self.dies:
            raise VmError(GUEST_DIED, "the guest's kernel panicked", notes=("the notes",))
        return f"DONE 0 0 1000 disabled {len(RESULT)}".encode()

    def read_bytes(self, size: int, deadline: float) -> bytes:
        return RESULT

    def close(self) -> None:
        self.closed = True


def machine_of(consoles: Sequence[str | None], *, kvm: bool = False) -> tuple[Machine, list[str]]:
    """A machine whose first guest dies with the first console, and so on."""
    guests: Iterator[Any] = map(Guest, consoles)
    shape = SimpleNamespace(clock="wall", kernel=SimpleNamespace(release="6.18"))
    parts: Any = SimpleNamespace(kvm=kvm, shape=shape, image=SimpleNamespace(layer=None))
    said: list[str] = []
    begin = lambda: next(guests)  # noqa: E731
    return Machine(parts, begin, lambda what, _fraction: said.append(what), begin()), said


JOB = Job({}, "true")


def test_a_job_that_the_emulator_killed_is_begun_again() -> None:
    machine, said = machine_of([CONSOLE, None])
    assert machine.run(JOB, 1.0).status == 0
    assert machine.faults == 1
    assert said == ["the emulator failed: beginning again in a fresh machine"]
    assert not machine.closed


def test_twice_in_a_row_is_an_error() -> None:
    machine, _ = machine_of([CONSOLE, CONSOLE])
    with pytest.raises(VmError) as caught:
        machine.run(JOB, 1.0)
    assert caught.value.code == EMULATION_FAILED
    assert machine.closed
    shown = failure_diagnostic(caught.value)
    assert (shown.code, list(shown.notes)) == (EMULATION_FAILED, ["the notes"])


def test_another_death_in_the_second_machine_is_told_as_it_is() -> None:
    machine, _ = machine_of([CONSOLE, NULL])
    with pytest.raises(VmError, match="the guest's kernel panicked"):
        machine.run(JOB, 1.0)


@pytest.mark.parametrize(
    ("console", "kvm"), [(NULL, False), (WILD_JUMP, False), (CONSOLE, True), ("", False)],
    ids=["null", "padding", "kvm", "no console"],
)  # fmt: skip
def test_any_other_death_is_reported_at_once(console: str, kvm: bool) -> None:
    machine, said = machine_of([console, None], kvm=kvm)
    with pytest.raises(VmError, match="the guest's kernel panicked"):
        machine.run(JOB, 1.0)
    assert (machine.faults, said, machine.closed) == (0, [], True)


def checked(
    consoles: Sequence[str | None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> int:
    """`schedc vm check` of some object, with guests as told."""

    def fake(_kernel: object, *, progress: Any, meanwhile: Any, **_: object) -> Machine:
        meanwhile()
        machine, _ = machine_of(consoles)
        machine._progress = progress
        return machine

    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    kernel = folder / "schedc/vm/kernels/6.18.9+deb13-cloud-amd64"
    kernel.mkdir(parents=True)
    (kernel / "vmlinuz").write_bytes(b"")
    (kernel / "kernel.json").write_text(json.dumps({"release": kernel.name, "sha256": "x"}))
    (folder / "x.o").write_bytes(b"\x7fELF")
    monkeypatch.setattr("schedc.vm.check.check_machine", fake)
    return invoke(cli, ["vm", "check", str(folder / "x.o"), "--json", "--format", "concise"])


def test_vm_check_says_that_it_began_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked([CONSOLE, None], tmp_path, monkeypatch) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["emulator_faults"] == 1
    assert shown.err == "schedc: the emulator failed: beginning again in a fresh machine\n"


def test_vm_check_gives_up_after_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked([CONSOLE, CONSOLE], tmp_path, monkeypatch) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "E0824" in shown.err and "executed code that is not in its memory" in shown.err


def test_what_runs_first_in_a_fresh_machine_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """`vm run`: after a fault each arm is warmed up anew, and the report says so."""
    arms = {"mine": Policy("mine", b"", "", ()), "eevdf": None}
    workload, store, nothing = registry.find("wakeup")[0], Store(Path("/")), SimpleNamespace()
    kernel = SimpleNamespace(release="7")
    bench = _Bench(arms, workload, {}, Options(), store, kernel, nothing)  # type: ignore[arg-type]
    bench._machine = SimpleNamespace(faults=0)  # type: ignore[assignment]
    ran: list[str] = []

    def once(slot: Slot) -> Outcome:
        ran.append(f"{slot.arm}{slot.pair}")
        if len(ran) == 2:
            bench._machine.faults = 1  # type: ignore[union-attr]
        return Outcome(None, None, None, float(len(ran)))

    monkeypatch.setattr(bench, "_once", once)
    pairs = [(arm, pair) for pair in range(2) for arm in ("eevdf", "mine")]
    kept = [bench.run(Slot(arm, pair, FIRST_SEED + pair, False)).seconds for arm, pair in pairs]
    assert ran == ["eevdf0", "mine0", "mine0", "eevdf1", "eevdf1", "mine1"]
    assert kept == [1.0, 3.0, 5.0, 6.0]
    assert bench.faults == 1
    assert [note for note in bench.notes if "begun again" in note] == [
        "QEMU's emulation failed under mine: it was begun again in a fresh machine"
    ]


# --- real machines


def boot() -> Machine:
    try:
        return Machine.boot(Shape(Kernels(Store.default()).resolve("6.18"), memory_mib=256))
    except VmError as failure:
        pytest.skip(f"no virtual machine: {failure.message}")


def kill_soon(machine: Machine) -> None:
    """End QEMU as a test of ours can't ask it to, once its job has begun."""
    pid = machine.pid
    assert pid is not None

    def kill() -> None:
        time.sleep(1.0)
        os.kill(pid, signal.SIGKILL)

    threading.Thread(target=kill).start()


@pytest.mark.vm
@pytest.mark.timeout(300)
def test_tests_after_a_death_have_a_machine() -> None:
    with live(boot) as machine:
        kill_soon(machine)
        with pytest.raises(VmError, match="QEMU was killed") as caught:
            machine.run(Job({}, "sleep 100"), 120.0)
        assert caught.value.code == GUEST_DIED
        assert machine.faults == 0
        assert machine.run(Job({}, "echo alive"), 120.0).console == "alive\n"


@pytest.mark.vm
@pytest.mark.timeout(300)
def test_the_second_machine_is_a_fresh_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed QEMU taken for a fault of the emulator's: the whole job is done again."""
    monkeypatch.setattr(oops, "emulation_failed", lambda console: True)
    with boot() as machine:
        assert machine.run(Job({}, "echo left >/run/left; cat /run/left"), 120.0).status == 0
        kill_soon(machine)
        again = machine.run(Job({"x": b"1"}, "sleep 5; cat /run/left; cat x >out/x"), 120.0)
        assert (again.out, machine.faults) == ({"x": b"1"}, 1)
        assert "left" not in again.console.replace("/run/left", "")


@pytest.mark.vm
@pytest.mark.timeout(300)
def test_a_panic_of_the_guest_s_own_is_reported_not_retried() -> None:
    with boot() as machine:
        with pytest.raises(VmError, match="sysrq triggered crash") as caught:
            machine.run(Job({}, "echo c >/proc/sysrq-trigger; sleep 100"), 120.0)
        assert machine.faults == 0
    assert any("sysrq triggered crash" in note for note in caught.value.notes)
