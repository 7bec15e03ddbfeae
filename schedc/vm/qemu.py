"""QEMU: which one, and how it is started.

Input: the system's QEMU if it is 8.2 or newer (`migrate file:` came with 8.2), else one unpacked
into the cache. Output: command lines.
Invariant: a machine has no network, no disk and no display: only a console and a port for jobs.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from schedc.records import dataclass
from schedc.vm import packages
from schedc.vm.errors import NO_QEMU, VmError
from schedc.vm.job import Shape
from schedc.vm.store import Progress, Store, silent

PROGRAM = "qemu-system-x86_64"
OLDEST = (8, 2)
PORT_NAME = "org.schedc.job"

# What the boot of an emulated machine can do without: key and randomness self tests, probing of
# devices that aren't there. Each costs 0.05-0.4 s of emulated time.
SKIPPED = (
    "load_system_certificate_list", "jent_mod_init", "init_ima", "init_evm", "init_encrypted",
    "i8042_init", "damon_stat_init",
)  # fmt: skip
KERNEL_OPTIONS = (
    "console=ttyS0", "quiet", "loglevel=4", "panic=-1", "nokaslr", "tsc=reliable",
    "no_timer_check", "mitigations=off",
    # A guest whose kernel has gone wrong must not go on as if nothing had been.
    "oops=panic", "cryptomgr.notests", "lsm=capability", "audit=0",
    "8250.nr_uarts=1", "random.trust_cpu=off", "init_on_alloc=0",
    f"initcall_blacklist={','.join(SKIPPED)}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Qemu:
    """A QEMU that can be started. `command` comes before all options."""

    command: tuple[str, ...]
    version: tuple[int, ...]
    origin: str

    @property
    def identity(self) -> str:
        """Changes with the program: saved machines of one QEMU aren't restored by another."""
        return f"{self.origin} {'.'.join(map(str, self.version))}"


def parse_version(text: str) -> tuple[int, ...]:
    """(10, 0, 2) from `QEMU emulator version 10.0.2 (Debian …)`."""
    found = re.search(r"version (\d+(?:\.\d+)*)", text)
    return tuple(int(n) for n in found[1].split(".")) if found else ()


def system_qemu(store: Store | None = None) -> Qemu | None:
    """The one on PATH, if it is new enough."""
    path = shutil.which(PROGRAM)
    if path is None:
        return None
    return _probed((path,), f"{path} {Path(path).stat().st_mtime_ns}", store=store)


def cached_qemu(store: Store) -> Qemu | None:
    """The one in the cache, if it was fetched."""
    if not packages.cached(store, packages.QEMU):
        return None
    return _from_tree(store.root / "packages" / packages.QEMU.key / "root", store)


def find(store: Store, progress: Progress = silent) -> Qemu:
    """A QEMU that works, fetched if need be."""
    found = system_qemu(store)
    if found:
        return found
    if platform.machine() != "x86_64":
        raise VmError(
            NO_QEMU,
            f"there is no QEMU {OLDEST[0]}.{OLDEST[1]} or newer for x86 guests on this machine",
            help=f"install a package with {PROGRAM} (qemu-system-x86)",
        )
    found = _from_tree(packages.tree(store, packages.QEMU, progress), store)
    if found is None:
        raise VmError(
            NO_QEMU,
            "the fetched QEMU does not start on this machine",
            help="install QEMU 8.2 or newer (package qemu-system-x86)",
        )
    return found


def _from_tree(root: Path, store: Store) -> Qemu | None:
    """QEMU out of unpacked packages runs under their own dynamic linker and libraries."""
    libraries = root / "usr/lib/x86_64-linux-gnu"
    command = (
        str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries),
        str(root / "usr/bin" / PROGRAM),
    )  # fmt: skip
    firmware = ("-L", str(root / "usr/share/qemu"), "-L", str(root / "usr/share/seabios"))
    return _probed(command, f"packages {root.parent.name}", firmware, store)


@cache
def _probed(
    command: tuple[str, ...], origin: str, firmware: tuple[str, ...] = (),
    store: Store | None = None,
) -> Qemu | None:
    """This QEMU, if it starts and is new enough. The answer is kept as long as the program is the
    same: asking takes as long as restoring a machine."""
    known = store and store.root / "probes" / f"qemu-{_program_key(command, origin)}"
    if known and known.is_file():
        version = parse_version(known.read_text())
    else:
        said = _version_text(command)
        version = parse_version(said)
        if known and store and version:
            store.directory("probes")
            temporary = known.with_suffix(f".{os.getpid()}")
            temporary.write_text(said)
            temporary.replace(known)
    return Qemu((*command, *firmware), version, origin) if version >= OLDEST else None


def _program_key(command: tuple[str, ...], origin: str) -> str:
    """Changes with the program, and with the dynamic linker that it is started by."""
    try:
        facts = [(s.st_size, s.st_mtime_ns) for s in map(os.stat, {command[0], command[-1]})]
    except OSError:
        facts = []
    text = json.dumps([command, origin, sorted(facts)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _version_text(command: tuple[str, ...]) -> str:
    """What `--version` prints; nothing if it doesn't start."""
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition("\n")[0] if done.returncode == 0 else ""


@dataclass(frozen=True, slots=True)
class Files:
    """What a machine boots from, and the inherited descriptors that it is driven through."""

    kernel: Path
    initrd: Path
    console: Path
    port_fd: int
    monitor_fd: int


def arguments(
    qemu: Qemu, shape: Shape, files: Files, *, kvm: bool, memory: str, extra_kernel: str = ""
) -> list[str]:
    """The whole command line. `memory` is the -object option of the guest's memory."""
    # A small machine is one for checks: a loader waits in it, in the saved state too.
    await_ = ["schedc_await=1"] if shape.image == "small" and shape.clock == "wall" else []
    options = " ".join((*KERNEL_OPTIONS, *await_, *([extra_kernel] if extra_kernel else [])))
    return [
        *qemu.command,
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-machine", "pc,memory-backend=ram,hpet=off,usb=off,vmport=off,i8042=off"),
        *("-m", str(shape.memory_mib), "-object", memory),
        *("-smp", shape.smp),
        *_processor(shape, kvm=kvm),
        *("-kernel", str(files.kernel), "-initrd", str(files.initrd), "-append", options),
        *("-chardev", f"file,id=console,path={_escaped(files.console)}"),
        *("-serial", "chardev:console"),
        *("-chardev", f"socket,id=port,fd={files.port_fd}"),
        # With ioeventfd the guest's writes are answered whenever another thread gets to it, which
        # is another instant in every run.
        *("-device", "virtio-serial-pci,ioeventfd=off"),
        *("-device", f"virtserialport,chardev=port,name={PORT_NAME}"),
        *("-chardev", f"socket,id=monitor,fd={files.monitor_fd}"),
        *("-mon", "chardev=monitor,mode=control"),
    ]


def _processor(shape: Shape, *, kvm: bool) -> list[str]:
    match shape.clock:
        case "icount":
            # cpu max without rdrand: the host's randomness must not get in.
            return [
                *("-accel", "tcg,thread=single", "-icount", "shift=1,sleep=off", "-seed", "1"),
                *("-rtc", "base=2026-01-01,clock=vm", "-cpu", "max,-rdrand,-rdseed"),
            ]
        case "wall" if kvm:
            return ["-accel", "kvm", "-cpu", "host"]
        case "wall":
            # Only one thread at a time may write code that another has translated: see ADR 26.
            threads = "multi" if shape.parallel else "single"
            return ["-accel", f"tcg,thread={threads}", "-cpu", "EPYC-Rome"]


def _escaped(path: Path) -> str:
    """A path inside an option: a comma is written twice."""
    return str(path).replace(",", ",,")


def host_key(*, kvm: bool) -> str:
    """What of this host a saved machine depends on: under KVM the guest sees its processor."""
    if not kvm:
        return "tcg"
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = platform.processor()
    lines = {s for s in text.splitlines() if s.startswith(("model name", "flags", "microcode"))}
    return "kvm " + hashlib.sha256(json.dumps(sorted(lines)).encode()).hexdigest()[:16]
