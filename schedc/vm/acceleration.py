"""Whether KVM works here.

Input: a way to boot a machine under KVM. Output: yes or no.
Invariant: found out by trying, and remembered until the host boots again. A /dev/kvm that can be
opened proves little: on some clouds a machine is made and its first instruction never ends.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from schedc.vm.errors import VmError
from schedc.vm.store import Progress, Store, silent

DEVICE = Path("/dev/kvm")
VARIABLE = "SCHEDC_KVM"


def kvm_works(
    store: Store, qemu: str, trial: Callable[[], None], progress: Progress = silent
) -> bool:
    """Whether a machine boots under KVM. `SCHEDC_KVM=0|1` decides without a trial."""
    if (wish := os.environ.get(VARIABLE)) in ("0", "1"):
        return wish == "1"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return False
    path = store.directory("probes") / f"kvm-{_host_boot(qemu)}.json"
    if (known := _read(path)) is not None:
        return known
    with store.lock("kvm", progress):
        if (known := _read(path)) is not None:
            return known
        progress("trying KVM", None)
        try:
            trial()
            works = True
        except VmError:
            works = False
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({"kvm": works}))
        temporary.replace(path)
    return works


def _read(path: Path) -> bool | None:
    try:
        return bool(json.loads(path.read_text())["kvm"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _host_boot(qemu: str) -> str:
    """This boot of this host, with this QEMU: a trial's result holds for no other."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        boot = ""
    return hashlib.sha256(f"{boot}{qemu}".encode()).hexdigest()[:16]
