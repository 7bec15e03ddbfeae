"""What a restored machine does until there is a job, and what finding its parts costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from schedc.cli import meanwhile
from schedc.vm import guest, qemu, rehearsal
from schedc.vm.check import check_in, check_machine
from schedc.vm.errors import VmError
from schedc.vm.job import Job
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store
from tests.vm.objects import fixture_object

FAKE_QEMU = """#!/bin/sh
echo asked >>{log}
echo 'QEMU emulator version {version} (a fake)'
"""


def fake_qemu(path: Path, version: str) -> None:
    path.write_text(FAKE_QEMU.format(log=path.with_suffix(".log"), version=version))
    path.chmod(0o755)


def ask(program: Path, store: Store) -> tuple[int, ...] | None:
    """As another process would: nothing is known but what the store holds."""
    qemu._probed.cache_clear()
    found = qemu._probed((str(program),), "a test", store=store)
    return found.version if found else None


def test_a_qemu_is_asked_for_its_version_once(tmp_path: Path) -> None:
    program, store = tmp_path / "qemu", Store(tmp_path / "store")
    fake_qemu(program, "9.1.0")
    assert [ask(program, store) for _ in range(3)] == [(9, 1, 0)] * 3
    assert program.with_suffix(".log").read_text() == "asked\n"


def test_a_qemu_that_was_replaced_is_asked_anew(tmp_path: Path) -> None:
    program, store = tmp_path / "qemu", Store(tmp_path / "store")
    fake_qemu(program, "9.1.0")
    assert ask(program, store) == (9, 1, 0)
    fake_qemu(program, "10.0.11")
    assert ask(program, store) == (10, 0, 11)
    fake_qemu(program, "7.2.0")
    assert ask(program, store) is None, "too old, and that is remembered as well"
    assert ask(program, store) is None


def test_a_qemu_that_does_not_start_is_asked_again(tmp_path: Path) -> None:
    program, store = tmp_path / "qemu", Store(tmp_path / "store")
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    assert ask(program, store) is None
    assert not list((tmp_path / "store").glob("probes/*"))


def test_another_compiler_makes_other_programs(tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("one")
    before = guest._identity(compiler)
    assert before == guest._identity(compiler)
    compiler.write_text("another")
    assert guest._identity(compiler) != before


def loading_of(monkeypatch: pytest.MonkeyPatch, analysed: Callable[[], object]) -> None:
    monkeypatch.setattr(meanwhile, "_analysed", lambda *_: analysed)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_policy_is_compiled_once_and_when_it_is_said(
    monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    made: list[str] = []
    loading_of(monkeypatch, lambda: made.append(threading.current_thread().name))
    with click.Context(click.Command("check")):
        policy = meanwhile.loading("fifo", (), None, at_once=at_once)
        if at_once:
            assert not made, "the machine goes first"
        policy.begin()
        policy.begin()
        policy.result()
    assert len(made) == 1 and made[0] != threading.current_thread().name


# --- in a machine


@pytest.mark.vm
@pytest.mark.timeout(600)
@pytest.mark.parametrize("spec", ["6.16", "6.18", "7"])
def test_a_rehearsal_leaves_no_trace(spec: str) -> None:
    """However long it had, the kernel has had no scheduler before the job's, and says the same."""
    if rehearsal.compiled() is None:
        pytest.skip("no compiler for BPF, so nothing is rehearsed")
    verdicts = []
    for pause_s in (0.0, 0.3, 2.5):
        with machine_of(spec) as machine:
            time.sleep(pause_s)
            verdicts.append(check_in(machine, fixture_object("fifo")))
            assert verdicts[-1].good, verdicts[-1]
    insns = [{p.name: p.insns for p in v.programs} for v in verdicts]
    assert insns[0] == insns[1] == insns[2]
    assert not any(v.libbpf_messages or v.restarts for v in verdicts)
    script = "cat /sys/kernel/sched_ext/enable_seq /sys/kernel/sched_ext/state >out/said"
    with machine_of(spec) as machine:
        time.sleep(2.5)
        result = machine.run(Job({}, script), 60.0)
    assert result.out["said"].split() == [b"0", b"disabled"]


def machine_of(spec: str) -> Machine:
    try:
        return check_machine(Kernels(Store.default()).resolve(spec))
    except VmError as failure:
        pytest.skip(f"no virtual machine: {failure.message}")
