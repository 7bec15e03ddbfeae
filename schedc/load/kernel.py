"""What the running kernel says about sched_ext, and whether this process may use it.

Input: files below /sys, /proc and /dev/kmsg. Output: values, or a `LoadError` that says what is
missing. Invariant: reads only; a file that isn't there is an empty answer.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from schedc.load.errors import NO_KERNEL, NO_RIGHTS, OTHER_SCHEDULER, LoadError
from schedc.load.plan import Current, Kernel
from schedc.load.privileges import NEEDED, effective

SCHED_EXT = Path("/sys/kernel/sched_ext")
KERNEL_BTF = Path("/sys/kernel/btf/vmlinux")
DISABLED, ENABLED = "disabled", "enabled"
POLL_S = 0.002
MAX_MESSAGES = 16384
_TOLD = ("sched_ext", "failed to run for", "kfunc BTF")


def killed_for_memory() -> int:
    """How many processes the kernel has killed for want of memory since boot."""
    for line in _read(Path("/proc/vmstat"), 1 << 16).splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def this_kernel() -> Kernel:
    """Release and boot of the running kernel."""
    return Kernel(os.uname().release, _read(Path("/proc/sys/kernel/random/boot_id")))


def read_current(loaded: str | None = None) -> Current:
    """What runs now; `loaded`: the sha256 of the loader's object, if it has one loaded."""
    ops = _read(SCHED_EXT / "root/ops")
    return Current(state(), ops, enable_seq(), loaded)


def state() -> str:
    """disabled, enabling, enabled or disabling; empty without sched_ext."""
    return _read(SCHED_EXT / "state")


def enable_seq() -> int:
    """How often a scheduler was enabled since boot."""
    return _number(SCHED_EXT / "enable_seq")


def nr_rejected() -> int:
    return _number(SCHED_EXT / "nr_rejected")


def events() -> dict[str, int]:
    """The kernel's own counts of the loaded scheduler, by its names."""
    found = {}
    for line in _read(SCHED_EXT / "root/events", 1 << 14).splitlines()[:200]:
        name, _, value = line.partition(" ")
        if value.strip().isdigit():
            found[name[:80]] = int(value)
    return found


def wait_for(wanted: str, seconds: float) -> bool:
    """Wait until sched_ext is in a state."""
    end = time.monotonic() + seconds
    while state() != wanted:
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def check_kernel() -> None:
    """E0831 unless this kernel can run a BPF scheduler, as far as that shows beforehand."""
    if not SCHED_EXT.is_dir():
        raise LoadError(
            NO_KERNEL, f"the running kernel ({os.uname().release}) has no sched_ext",
            help="boot one with CONFIG_SCHED_CLASS_EXT: 6.12 or later (Debian: from 6.16 on)",
        )  # fmt: skip
    if not KERNEL_BTF.exists():
        raise LoadError(
            NO_KERNEL, "the running kernel has no type information (BTF) for BPF programs",
            help="boot one that is built with CONFIG_DEBUG_INFO_BTF",
        )


def check_rights() -> None:
    """E0832 names the capabilities that are missing."""
    missing = sorted(NEEDED - effective(), key=lambda one: one.value)
    if missing:
        raise LoadError(
            NO_RIGHTS, f"no rights to load a scheduler: {', '.join(one.label for one in missing)}",
            notes=tuple(f"{one.label}: {one.why}" for one in missing),
            help="run it as root, or as the service `schedc-loader`",
        )  # fmt: skip


def check_free(own: bool) -> None:
    """E0833 if a scheduler is loaded that isn't the loader's own (`own`: it has one)."""
    if own or state() in (DISABLED, ""):
        return
    name = _read(SCHED_EXT / "root/ops") or "of unknown name"
    raise LoadError(
        OTHER_SCHEDULER, f"another scheduler is loaded: {name[:64]}",
        notes=("the kernel has one at a time",),
        help="stop the program that loaded it (`systemctl stop scx`, scx_loader, another schedc), "
        "or press SysRq-S, which falls back to the kernel's own",
    )  # fmt: skip


def malformed_btf(lines: tuple[str, ...]) -> LoadError | None:
    """A kernel that was built with an old pahole can't take any scheduler; its messages say so."""
    if not any("alformed kfunc BTF" in line for line in lines):
        return None
    return LoadError(
        NO_KERNEL, "no scheduler can be loaded on this kernel: Malformed kfunc BTF",
        notes=("it was built with an old pahole, which writes its type information wrongly",),
        help="boot a kernel that was built with pahole 1.26 or later",
    )


KMSG_FD = 4  # 3 is its connection
"""Where a holder finds the kernel's messages, if its service could open them."""


def open_messages() -> int | None:
    """The kernel's messages; None if this process may not read them. Many systems let only those
    with CAP_SYSLOG open them, so the service does it before it gives that up."""
    try:
        return os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


class Messages:
    """The kernel's messages about schedulers from now on."""

    def __init__(self, fd: int | None = None) -> None:
        fd = open_messages() if fd is None else fd
        self._fd = -1 if fd is None else fd
        with suppress(OSError):
            os.lseek(self._fd, 0, os.SEEK_END)

    def read(self) -> tuple[str, ...]:
        """Those since the last call, bounded."""
        found: list[str] = []
        while self._fd >= 0 and sum(map(len, found)) < MAX_MESSAGES:
            try:
                record = os.read(self._fd, 8192).decode("utf-8", "replace")
            except BrokenPipeError:
                continue  # the kernel dropped records before we read them
            except OSError:
                break
            message = record.partition(";")[2].partition("\n")[0]  # "6,1234,5678,-;text\n"
            if any(word in message for word in _TOLD):
                found.append(message[:500])
        return tuple(found)


def _read(path: Path, most: int = 256) -> str:
    try:
        with path.open("rb") as file:
            return file.read(most).decode("utf-8", "replace").strip("\n")
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _read(path)
    return int(text) if text.isdigit() else 0
