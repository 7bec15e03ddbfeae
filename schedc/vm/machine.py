"""A virtual machine that runs jobs.

    with Machine.boot(Shape(kernel), store=Store.default()) as machine:
        result = machine.run(Job(files={"x.o": data}, script="schedc-load --object x.o …"), 30)

Input: a shape and jobs. Output: results, or a VmError that says why there is none.
Invariant: a machine that is closed leaves no process and no file behind; jobs of one machine run
one after the other, and nothing of a job is left when the next one starts.

A machine on the wall clock is restored from a saved one in some tenths of a second: right after
its first boot it is stopped and kept (memory as a file that is mapped privately, devices as a
migration stream), per kernel, image, QEMU and shape. On the instruction clock each job is a boot of
its own with the job in its initramfs: a byte from outside would arrive at another instruction every
time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from schedc.records import dataclass
from schedc.vm import oops, qemu as qemu_
from schedc.vm.acceleration import kvm_works
from schedc.vm.bootimage import bootable
from schedc.vm.counter import counter_mhz
from schedc.vm.errors import (
    BOOT_FAILED,
    EMULATION_FAILED,
    GUEST_DIED,
    TIMED_OUT,
    VmError,
    disk_errors,
)
from schedc.vm.image import Image, image, with_job
from schedc.vm.job import Job, JobResult, Shape, pack, parse_done, unpack
from schedc.vm.process import Process
from schedc.vm.qemu import Files, Qemu
from schedc.vm.store import Progress, Store, prune, silent

FORMAT = 3
BOOT_TIMEOUT_S = 90.0
# Unpacking a large image takes its time on a busy host: bytes a second, at the least.
SLOWEST_UNPACKING = 2e6
RESTORE_TIMEOUT_S = 20.0
LAYER_TIMEOUT_S = 240.0
# Beyond a job's own time: unpacking, killing, packing, on a busy host.
GRACE_S = 20.0
# Emulated instruction-clock seconds last longer than real ones; how much depends on the host.
ICOUNT_STRETCH = 12.0
# Per kind of entry. Those with Python are large: they are few, and don't push out the others.
SAVED_KEPT = {"machines": 8, "machines-python": 3}
IGNORE_SHARED = [{"capability": "x-ignore-shared", "state": True}]


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a machine is made from."""

    shape: Shape
    store: Store
    qemu: Qemu
    image: Image
    kernel: Path
    kvm: bool
    counter_mhz: int | None = None
    """Of the host's time stamp counter, where an emulated guest's clock is made of it."""

    @property
    def key(self) -> str:
        """Changes with anything that a saved machine depends on."""
        none = Files(Path("kernel"), Path("initrd"), Path("console"), 0, 0)
        command = qemu_.arguments(self.qemu, self.shape, none, kvm=self.kvm, memory="")
        facts = [FORMAT, self.shape.kernel.digest, self.image.digest, self.qemu.identity,
                 command, qemu_.host_key(kvm=self.kvm), self.kernel.name, self.counter_mhz]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]

    @property
    def saved_kind(self) -> str:
        """The kind of the store's entry that a saved machine is."""
        return "machines-python" if self.image.layer else "machines"

    def start(
        self, memory: str, initrd: Path | None = None, extra: Sequence[str] = (), kernel: str = ""
    ) -> Process:
        def arguments(port: int, monitor: int, console: Path) -> list[str]:
            files = Files(self.kernel, initrd or self.image.path, console, port, monitor)
            told = f"tsc_early_khz={self.counter_mhz}000" if self.counter_mhz else ""
            options = " ".join(filter(None, (told, kernel)))
            made = qemu_.arguments(
                self.qemu, self.shape, files, kvm=self.kvm, memory=memory, extra_kernel=options
            )
            return [*made, *extra]

        return Process(self.store, arguments)

    def anonymous_memory(self) -> str:
        return f"memory-backend-ram,id=ram,size={self.shape.memory_mib}M"

    def file_memory(self, path: Path, *, shared: bool) -> str:
        share = "on" if shared else "off"
        size = f"{self.shape.memory_mib}M"
        escaped = str(path).replace(",", ",,")
        return f"memory-backend-file,id=ram,size={size},mem-path={escaped},share={share}"


class Machine:
    """See the module. Make one with `Machine.boot`."""

    def __init__(
        self, parts: Parts, begin: Callable[[], Process] | None, progress: Progress = silent,
        process: Process | None = None,
    ) -> None:
        self._parts = parts
        self._begin = begin
        self._progress = progress
        self._process = process
        self._console = ""
        self.faults = 0
        """How often QEMU's emulation failed, so that a job was begun again: see `run`."""

    @classmethod
    def boot(
        cls,
        shape: Shape,
        *,
        store: Store | None = None,
        progress: Progress = silent,
        saved: bool = True,
        meanwhile: Callable[[], object] | None = None,
    ) -> Machine:
        """A machine that is ready for jobs. With `saved`, restored (and saved, the first time).

        `meanwhile` is called as soon as a saved machine has been started: to begin, in a thread,
        what can be done until it is ready. Fetches and builds what is missing. Under the
        instruction clock nothing is started yet.
        """
        parts = prepare(shape, store or Store.default(), progress)
        if shape.clock == "icount":
            return cls(parts, None)

        def begin(meanwhile: Callable[[], object] | None = None) -> Process:
            if saved:
                return _restored(parts, progress, meanwhile)
            progress(f"booting {shape.kernel.release}", None)
            return booted(parts, parts.anonymous_memory())

        machine = cls(parts, begin, progress, begin(meanwhile))
        machine._put_layer(machine.run)
        return machine

    def _put_layer(self, run: Callable[[Job, float], JobResult]) -> None:
        """Unpack the image's layer, if it has one, over the guest's root, where no job removes
        it."""
        if self._parts.image.layer is None:
            return
        layer = self._parts.image.layer.read_bytes()
        done = run(Job({"layer": layer}, "cd / && busybox cpio -idu </job/layer"), LAYER_TIMEOUT_S)
        if done.status != 0:
            self.close()
            why = "in time" if done.timed_out else f"(status {done.status})"
            notes = tuple(done.console.splitlines()[-4:])
            raise VmError(BOOT_FAILED, f"the guest could not unpack schedc's files {why}",
                          notes=notes)  # fmt: skip

    @property
    def shape(self) -> Shape:
        return self._parts.shape

    @property
    def accelerated(self) -> bool:
        """Whether it runs under KVM rather than in emulation."""
        return self._parts.kvm

    @property
    def console(self) -> str:
        """What the guest's kernel printed: of this machine, or of the last job's own boot."""
        return self._process.console if self._process else self._console

    @property
    def closed(self) -> bool:
        """Whether it can't run any more jobs: it was closed, or its guest died."""
        return self._process is None and self._parts.shape.clock == "wall"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def run(self, job: Job, timeout_s: float) -> JobResult:
        """Run one job. `timeout_s` is guest time: then the guest kills it, and what it left in
        out/ comes back with `timed_out`. VmError if the guest panics, hangs or is gone; the machine
        is closed then. A guest that QEMU's emulation killed tells nothing about the job, which is
        begun again, once, in a fresh machine (`faults` counts)."""
        if self._parts.shape.clock == "icount":
            return self._run_in_own_boot(job, timeout_s)
        try:
            return self._run_once(job, timeout_s)
        except VmError as failure:
            if not self._emulation_failed(failure) or self._begin is None:
                raise
            self.faults += 1
            self._progress("the emulator failed: beginning again in a fresh machine", None)
            self._process = self._begin()
        try:
            self._put_layer(self._run_once)
            return self._run_once(job, timeout_s)
        except VmError as failure:
            if self._emulation_failed(failure):
                raise _failed_twice(failure) from failure
            raise

    def _run_once(self, job: Job, timeout_s: float) -> JobResult:
        if self._process is None:
            raise ValueError("the machine is closed")
        try:
            return _converse(self._process, job, timeout_s)
        except BaseException:
            self.close()
            raise

    def _emulation_failed(self, failure: VmError) -> bool:
        """Whether it was QEMU's doing that the guest died (the machine is closed already)."""
        ours = failure.code == GUEST_DIED and not self._parts.kvm
        return ours and oops.emulation_failed(self._console)

    def _run_in_own_boot(self, job: Job, timeout_s: float) -> JobResult:
        store = self._parts.store
        wall_s = BOOT_TIMEOUT_S + GRACE_S + timeout_s * ICOUNT_STRETCH
        with disk_errors(store.root):
            handle, name = tempfile.mkstemp(prefix="initrd-", dir=store.directory("run"))
            with open(handle, "wb") as file:
                file.write(with_job(self._parts.image, job))
        option = f"schedc_timeout_ms={int(timeout_s * 1000)}"
        try:
            memory = self._parts.anonymous_memory()
            process = self._parts.start(memory, Path(name), kernel=option)
            try:
                return _receive(process, time.monotonic() + wall_s, timeout_s)
            finally:
                self._console = process.console
                process.close()
        finally:
            Path(name).unlink(missing_ok=True)

    def close(self) -> None:
        """End the machine; safe to call again."""
        if self._process:
            self._console = self._process.console
            self._process.close()
            self._process = None

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def prepare(shape: Shape, store: Store, progress: Progress = silent) -> Parts:
    """Find, fetch and build what a machine of this shape needs."""
    qemu = qemu_.find(store, progress)
    made = image(store, shape.image, progress, shape.kernel)
    kernel = bootable(store, shape.kernel, progress)
    kvm = False
    if shape.clock == "wall":
        def trial() -> None:
            with_kvm = Parts(shape, store, qemu, made, kernel, kvm=True)
            booted(with_kvm, with_kvm.anonymous_memory(), timeout_s=6.0).close()

        kvm = kvm_works(store, qemu.identity, trial, progress)
    emulated = shape.clock == "wall" and not kvm
    return Parts(shape, store, qemu, made, kernel, kvm, counter_mhz(store) if emulated else None)


def booted(parts: Parts, memory: str, timeout_s: float = BOOT_TIMEOUT_S) -> Process:
    """A machine booted from nothing, waiting for its first job. A large image has more time."""
    timeout_s += parts.image.path.stat().st_size / SLOWEST_UNPACKING
    process = parts.start(memory)
    try:
        line = process.read_line(time.monotonic() + timeout_s)
        if line != b"READY":
            raise VmError(BOOT_FAILED, f"the guest says {line[:80]!r} instead of READY")
        return process
    except TimeoutError:
        tail = tuple(process.console.splitlines()[-12:])
        process.close()
        raise VmError(
            BOOT_FAILED,
            f"kernel {parts.shape.kernel.release} did not come up within {timeout_s:.0f} s",
            notes=tail,
            help="try another kernel (--kernel), or again on a less busy machine",
        ) from None
    except VmError as e:
        process.close()
        raise VmError(BOOT_FAILED, f"the machine did not boot: {e.message}", notes=e.notes) from e
    except BaseException:
        process.close()
        raise


def _restored(
    parts: Parts, progress: Progress, meanwhile: Callable[[], object] | None = None
) -> Process:
    """The saved machine of these parts, saved first if there is none."""
    folder = parts.store.entry(
        parts.saved_kind, parts.key, lambda into: _save(parts, into, progress), progress
    )
    try:
        return _restore(parts, folder, meanwhile)
    except VmError:
        # Cut short by a crash of the host, say. It can be made anew; so drop it and boot.
        shutil.rmtree(folder, ignore_errors=True)
        progress(f"booting {parts.shape.kernel.release}", None)
        return booted(parts, parts.anonymous_memory())


def _save(parts: Parts, into: Path, progress: Progress) -> None:
    progress(f"booting {parts.shape.kernel.release} (saved for next time)", None)
    # A machine that runs keeps its memory file even if the name goes: so not much age is needed.
    for kind, kept in SAVED_KEPT.items():
        prune(parts.store.root / kind, kept, 300.0)
    prune(parts.store.root / "run", 0, 24 * 3600.0)
    process = booted(parts, parts.file_memory(into / "memory", shared=True))
    try:
        monitor = process.monitor
        monitor.command("stop")
        monitor.command("migrate-set-capabilities", capabilities=IGNORE_SHARED)
        monitor.command("migrate", uri=f"file:{into / 'state'}")
        monitor.wait_for_migration(RESTORE_TIMEOUT_S)
    finally:
        process.close()


def _restore(
    parts: Parts, folder: Path, meanwhile: Callable[[], object] | None = None
) -> Process:
    memory = parts.file_memory(folder / "memory", shared=False)
    process = parts.start(memory, extra=("-incoming", "defer"))
    try:
        if meanwhile:
            meanwhile()
        monitor = process.monitor
        monitor.command("migrate-set-capabilities", capabilities=IGNORE_SHARED)
        monitor.command("migrate-incoming", uri=f"file:{folder / 'state'}")
        monitor.wait_for_migration(RESTORE_TIMEOUT_S)
        monitor.command("cont")
        # Until there is a job, what a job does is gone through: see loader/rehearse.c.
        process.send(b"REHEARSE\n", time.monotonic() + RESTORE_TIMEOUT_S)
        return process
    except BaseException:
        process.close()
        raise


def _converse(process: Process, job: Job, timeout_s: float) -> JobResult:
    data = pack(job)
    deadline = time.monotonic() + timeout_s + GRACE_S
    header = f"JOB {len(data)} {int(timeout_s * 1000)}\n".encode()
    try:
        process.send(header + data, deadline)
    except TimeoutError:
        raise _hung(process, timeout_s) from None
    return _receive(process, deadline, timeout_s)


def _receive(process: Process, deadline: float, timeout_s: float) -> JobResult:
    try:
        line = process.read_line(deadline)
        while line == b"READY":
            line = process.read_line(deadline)
        done = parse_done(line)
        return unpack(done, process.read_bytes(done.size, deadline + GRACE_S))
    except TimeoutError:
        raise _hung(process, timeout_s) from None


def _failed_twice(failure: VmError) -> VmError:
    return VmError(
        EMULATION_FAILED,
        "QEMU's emulation failed twice in a row: the guest executed code that is not in its memory",
        notes=failure.notes,
        help="try again on a less busy machine; where KVM works it doesn't happen",
    )


def _hung(process: Process, timeout_s: float) -> VmError:
    return VmError(
        TIMED_OUT,
        f"the guest did not answer within {timeout_s:.0f} s and some more: it hangs",
        notes=tuple(line for line in process.console.splitlines() if line.strip())[-8:],
        help="give it more time, or look at the console above for what the kernel says",
    )
