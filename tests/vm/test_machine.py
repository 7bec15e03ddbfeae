"""The machine itself: jobs, time limits, panics, two at once, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedc.vm.errors import GUEST_DIED, VmError
from schedc.vm.job import Job, JobResult, Shape
from schedc.vm.kernels import Kernel, Kernels
from schedc.vm.machine import Machine, prepare
from schedc.vm.store import Store
from tests.vm.live import live
from tests.vm.objects import fixture_object

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
# A guest on a loaded machine of two cores is slow; what must be is tested, not how soon.
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    store = Store.default()
    try:
        kernel = Kernels(store).resolve("6.18")
        prepare(Shape(kernel, memory_mib=256), store)
    except VmError as failure:
        pytest.skip(f"no virtual machine: {failure.message}")
    return kernel


@pytest.fixture(scope="module")
def machine(kernel: Kernel) -> Iterator[Machine]:
    with live(lambda: Machine.boot(Shape(kernel, memory_mib=256))) as machine:
        yield machine


def run(machine: Machine, script: str, **files: bytes) -> JobResult:
    return machine.run(Job(files, script), PATIENCE_S)


def test_a_job_has_its_files_its_output_and_its_status(machine: Machine) -> None:
    result = run(machine, "cat greeting; mkdir out/deep; tr a-z A-Z <greeting >out/deep/x; exit 7",
                 greeting=b"hello\n")  # fmt: skip
    assert result.status == 7
    assert result.console == "hello\n"
    assert result.out == {"deep/x": b"HELLO\n"}
    assert result.state == "disabled"
    assert not result.timed_out


def test_nothing_of_a_job_is_left_for_the_next(machine: Machine) -> None:
    run(machine, "echo x >out/x; echo y >/tmp/y; setsid sleep 1000 & sleep 0.1")
    result = run(machine, "ls out; ls /tmp; pidof sleep; ls /job")
    assert result.out == {}
    assert result.console.split() == ["console", "out", "run.sh"]


def test_a_command_needs_no_shell(machine: Machine) -> None:
    result = machine.run(Job({}, command=("printf", "%s", "a b")), PATIENCE_S)
    assert result.console == "a b"


def test_megabytes_come_through(machine: Machine) -> None:
    data = bytes(range(256)) * 12_000
    result = run(machine, "cat data >out/copy", data=data)
    assert result.out["copy"] == data


def test_what_leads_out_is_not_taken(machine: Machine) -> None:
    script = "ln -s /etc/passwd out/link; mknod out/fifo p; mknod out/null c 1 3; echo 1 >out/a"
    assert run(machine, script).out == {"a": b"1\n"}


def test_the_kernel_is_the_one_that_was_asked_for(machine: Machine, kernel: Kernel) -> None:
    assert run(machine, "uname -r").console.strip() == kernel.release


def test_a_hung_job_is_ended_and_what_it_left_comes_back(machine: Machine) -> None:
    result = machine.run(Job({}, "echo half >out/x; sleep 1000"), 1.5)
    assert result.timed_out
    assert result.status == 124
    assert result.out == {"x": b"half\n"}
    assert run(machine, "pidof sleep; true").console == ""


def test_a_job_that_takes_all_memory_ends_and_the_machine_lives(machine: Machine) -> None:
    result = run(machine, "tail /dev/zero; echo status $?")
    assert "status 137" in result.console
    assert run(machine, "echo alive").console == "alive\n"


def test_a_panic_is_told_from_the_console(kernel: Kernel) -> None:
    with Machine.boot(Shape(kernel, memory_mib=256)) as machine:
        with pytest.raises(VmError) as caught:
            run(machine, "echo c >/proc/sysrq-trigger; sleep 100")
        assert caught.value.code == GUEST_DIED
        assert "panicked" in caught.value.message
        assert machine.pid is None


def test_a_guest_that_powers_off_is_an_error_and_not_a_wait(kernel: Kernel) -> None:
    with Machine.boot(Shape(kernel, memory_mib=256)) as machine, pytest.raises(VmError) as caught:
        run(machine, "poweroff -f; sleep 100")
    assert caught.value.code == GUEST_DIED


def test_two_at_once_do_not_disturb_each_other(kernel: Kernel) -> None:
    results: dict[int, str] = {}

    def one(number: int) -> None:
        with Machine.boot(Shape(kernel, memory_mib=256)) as machine:
            results[number] = run(machine, f"echo {number} >/tmp/n; sleep 0.5; cat /tmp/n").console

    threads = [threading.Thread(target=one, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {0: "0\n", 1: "1\n"}


def test_closing_leaves_no_process_and_no_file(kernel: Kernel) -> None:
    with Machine.boot(Shape(kernel, memory_mib=256)) as machine:
        pid, folder = machine.pid, machine._process.folder  # type: ignore[union-attr]
        assert pid is not None and alive(pid)
    assert not alive(pid)
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_qemu_outlives_its_python(number: signal.Signals, kernel: Kernel) -> None:
    program = f"""
import sys
from schedc.vm.job import Job, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store
kernel = Kernels(Store.default()).resolve({kernel.release!r})
with Machine.boot(Shape(kernel, memory_mib=256)) as machine:
    print(machine.pid, flush=True)
    machine.run(Job({{}}, "sleep 1000"), 2000)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        # A shell's background jobs ignore it, and so would all that they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    assert alive(pid)
    child.send_signal(number)
    child.wait(timeout=30)
    child.stdout.close()
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def test_a_damaged_saved_machine_is_made_anew(kernel: Kernel) -> None:
    # A shape of its own, so that no other test's machine is damaged.
    shape = Shape(kernel, memory_mib=208)
    store = Store.default()
    folder = store.root / "machines" / prepare(shape, store).key
    with Machine.boot(shape):
        pass
    (folder / "state").write_bytes(b"not a machine")
    with Machine.boot(shape) as machine:
        assert run(machine, "echo up").console == "up\n"
    assert not folder.exists()
    with Machine.boot(shape) as machine:
        assert run(machine, "echo up").console == "up\n"
    assert folder.exists()


def test_the_clock_of_instructions_repeats_itself(kernel: Kernel) -> None:
    shape = Shape(kernel, clock="icount")
    script = """
cat /proc/uptime
for i in 1 2 3 4; do (n=0; while [ $n -lt 3000 ]; do n=$((n+1)); done; cat /proc/uptime) & done
wait
cat /proc/interrupts /proc/stat /proc/schedstat
head -c 16 /dev/urandom | sha256sum
cat /sys/kernel/tracing/trace_clock >out/clock
"""
    with Machine.boot(shape) as machine:
        first = machine.run(Job({}, script), PATIENCE_S)
        second = machine.run(Job({}, script), PATIENCE_S)
        other = machine.run(Job({}, script + "\n# one byte more"), PATIENCE_S)
    assert first.status == 0
    assert first == second
    assert first.seconds == second.seconds
    assert other.console.splitlines()[-1] != ""


def test_a_hung_job_on_the_clock_of_instructions(kernel: Kernel) -> None:
    with Machine.boot(Shape(kernel, clock="icount")) as machine:
        result = machine.run(Job({}, "echo half >out/x; sleep 1000"), 1.0)
    assert result.timed_out and result.out == {"x": b"half\n"}


def test_a_loader_waits_in_a_machine_for_checks(kernel: Kernel) -> None:
    # What its own command line was, as the command sees it that it runs beside the scheduler.
    shown = "tr '\\0' ' ' </proc/$PPID/cmdline"
    loader = ("schedc-load", "--object", "policy.o", "--report", "out/load.json", "--", "sh", "-c")
    job = Job({"policy.o": fixture_object("fifo")}, command=(*loader, shown))
    with Machine.boot(Shape(kernel, memory_mib=256)) as machine:
        assert machine.run(job, PATIENCE_S).console.startswith("schedc-load --await")
        # It is good for one job; the next one starts its own.
        assert machine.run(job, PATIENCE_S).console.startswith("schedc-load --object")
        assert run(machine, "pidof schedc-load").console == ""


def test_a_machine_of_another_shape(kernel: Kernel) -> None:
    shape = Shape(kernel, cpus=4, threads_per_core=2, memory_mib=208)
    with Machine.boot(shape) as machine:
        script = "nproc; cat /sys/devices/system/cpu/cpu0/topology/thread_siblings_list"
        assert run(machine, script).console.split() == ["4", "0-1"]


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie doesn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
