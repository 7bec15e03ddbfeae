"""What `schedc doctor` looks at. Each check only looks: it installs, fetches and changes nothing.

Output of each: a `Check`. `missing` means that policies can't be compiled; `absent` that some
other command can't do its work.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from schedc import __version__


class State(Enum):
    """How it is with one thing."""

    ok = "ok"
    missing = "missing"
    absent = "absent"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing, what was found of it, what it is needed for, and a command that brings it."""

    name: str
    state: State
    detail: str
    needed_for: str = ""
    help: str | None = None

    def as_object(self) -> dict[str, str | None]:
        return {
            "name": self.name,
            "state": self.state.value,
            "detail": self.detail,
            "needed_for": self.needed_for,
            "help": self.help,
        }


def python() -> Check:
    detail = f"{platform.python_version()} ({sys.executable}), schedc {__version__}"
    return Check("python", State.ok, detail, "everything")


def data() -> Check:
    """The files that schedc ships beside its code."""
    from schedc.data import MissingData, data_path, data_root

    try:
        for part in ("grammar/policy.lark", "backends", "stdlib_policies"):
            data_path(part)
    except MissingData as missing:
        return Check("data files", State.missing, str(missing), "everything",
                     "python3 -m pip install --force-reinstall schedc")
    return Check("data files", State.ok, str(data_root()), "everything")


def compilers() -> Check:
    """The compiler that `schedc compile` would take."""
    from schedc.diagnostics.model import Diagnostic
    from schedc.toolchain import find_compiler

    found = find_compiler()
    if isinstance(found, Diagnostic):
        return Check("C compiler", State.missing, found.message, "compile, vm", found.help)
    return Check("C compiler", State.ok, found.describe(), "compile, vm")


def simulator() -> Check:
    """The compiler that `schedc sim` would build with, and whether it has built already."""
    from schedc.sim import build
    from schedc.sim.errors import SimError

    try:
        found = build.compiler()
    except SimError as failure:
        return Check("simulator", State.absent, failure.message, "sim", failure.help)
    store = build.default_store()
    ready = any((store.root / "runtime").glob("release-*"))
    state = "built" if ready else "is built at the first use"
    return Check("simulator", State.ok, f"{state}, with {found.describe()}", "sim")


def prover() -> Check:
    """The solver that proves policies; it is only looked for, as importing it takes long."""
    from importlib.metadata import PackageNotFoundError, version

    needed = "prove, check, compile"
    try:
        return Check("prover", State.ok, f"z3 {version('z3-solver')}", needed)
    except PackageNotFoundError:
        return Check("prover", State.missing, "z3 is not installed", needed,
                     "python3 -m pip install z3-solver")


def rechecker() -> Check:
    """The second solver, which confirms certificates."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return Check("second solver", State.ok, f"cvc5 {version('cvc5')}", "recheck")
    except PackageNotFoundError:
        return Check("second solver", State.absent, "cvc5 is not installed", "recheck",
                     "python3 -m pip install 'schedc[recheck]'")


def qemu() -> Check:
    """QEMU of the system if it is new enough, or the one that `schedc vm fetch` brought."""
    from schedc.vm.qemu import cached_qemu, system_qemu
    from schedc.vm.store import Store

    found = system_qemu()
    if found is not None:
        return Check("qemu", State.ok, f"{_dotted(found.version)} ({found.command[0]})", "vm")
    found = cached_qemu(Store.default())
    if found is not None:
        return Check("qemu", State.ok, f"{_dotted(found.version)} (fetched into the cache)", "vm")
    return Check("qemu", State.absent, "none on PATH that is new enough, none in the cache", "vm",
                 "schedc vm fetch")


def apt() -> Check:
    """What `schedc vm fetch` gets kernels and tools with; it needs no root."""
    lacking = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if lacking:
        return Check("apt", State.absent, f"no {' and no '.join(lacking)}", "vm fetch",
                     "use a Debian or Ubuntu machine, or give --kernel PATH")
    return Check("apt", State.ok, _first_line(["apt-get", "--version"]), "vm fetch")


def kvm() -> Check:
    """Hardware virtualisation; without it the machine is emulated, and slower."""
    device = Path("/dev/kvm")
    if not device.exists():
        return Check("kvm", State.absent, "no /dev/kvm: the machine is emulated",
                     "vm at full speed")
    if not os.access(device, os.R_OK | os.W_OK):
        return Check("kvm", State.absent, "no right to open /dev/kvm: the machine is emulated",
                     "vm at full speed", "sudo usermod -aG kvm $USER, then log in again")
    if not _cpu_has_virtualisation():
        return Check("kvm", State.absent,
                     "/dev/kvm is there, but this cpu shows no virtualisation: emulated",
                     "vm at full speed")
    return Check("kvm", State.ok, "/dev/kvm can be opened", "vm at full speed")


def kernels() -> Check:
    """Kernels that were fetched for the virtual machine."""
    from schedc.vm.errors import VmError
    from schedc.vm.kernels import Kernels
    from schedc.vm.store import Store

    try:
        found = [one.release for one in Kernels(Store.default()).listed() if one.cached]
    except VmError as failure:
        return Check("kernels", State.absent, failure.message, "vm", failure.help)
    if not found:
        return Check("kernels", State.absent, "none in the cache", "vm", "schedc vm fetch")
    return Check("kernels", State.ok, ", ".join(found), "vm")


def host_sched_ext() -> Check:
    """Whether this very kernel could run a policy."""
    folder = Path("/sys/kernel/sched_ext")
    if not folder.is_dir():
        return Check("sched_ext here", State.absent,
                     f"the running kernel {platform.release()} has none",
                     "running a policy on this machine (not for vm)",
                     "boot a kernel >= 6.12 with CONFIG_SCHED_CLASS_EXT=y")
    state = _text(folder / "state") or "unknown"
    ops = _text(folder / "root" / "ops")
    return Check("sched_ext here", State.ok, f"{state}{': ' + ops if ops else ''}",
                 "running a policy on this machine")


def btf() -> Check:
    path = Path("/sys/kernel/btf/vmlinux")
    if not path.exists():
        return Check("kernel BTF", State.absent, f"no {path}",
                     "running a policy on this machine (not for vm)",
                     "boot a kernel with CONFIG_DEBUG_INFO_BTF=y")
    return Check("kernel BTF", State.ok, str(path), "running a policy on this machine")


# From linux/capability.h: BPF programs need CAP_BPF and CAP_PERFMON; CAP_SYS_ADMIN covers both.
_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 21, 38, 39


def rights() -> Check:
    """Whether this user may load BPF programs here."""
    needed = "running a policy on this machine (not for vm)"
    effective = 0
    for line in (_text(Path("/proc/self/status")) or "").splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
    enough = effective >> _CAP_SYS_ADMIN & 1 or (
        effective >> _CAP_BPF & 1 and effective >> _CAP_PERFMON & 1
    )
    if enough:
        return Check("rights", State.ok, "this user may load BPF programs", needed)
    return Check("rights", State.absent, "this user may not load BPF programs", needed,
                 "run the loader as a service (schedc service install), or use sudo")


def libbpf() -> Check:
    """What the loader reaches the kernel with; without it bpftool is the way."""
    from schedc.load.backend import find
    from schedc.load.errors import LoadError
    from schedc.load.library import library

    needed = "running a policy on this machine (not for vm)"
    try:
        version = ".".join(map(str, library().version))
        return Check("libbpf", State.ok, version, needed)
    except LoadError as failure:
        if (program := find()) is not None:
            return Check("libbpf", State.ok, f"{failure.message}; bpftool instead ({program})",
                         needed)
        return Check("libbpf", State.absent, failure.message, needed, failure.help)


def loader() -> Check:
    """Whether there is a loader that this user may ask, and what it holds."""
    from schedc.deploy import state as states
    from schedc.load.client import Client
    from schedc.load.errors import LoadError

    needed = "apply, load, top, rollback"
    try:
        with Client.connect() as client:
            state = states.ask(client)
    except LoadError as failure:
        return Check("loader", State.absent, failure.message, needed, failure.help)
    policy = state.policy
    holds = f"{policy.name} {policy.version} ({policy.stage})" if policy else "no policy"
    return Check("loader", State.ok, f"runs, and holds {holds}", needed)


def metrics() -> Check:
    """The package that `schedc metrics` writes with."""
    from importlib.util import find_spec

    if find_spec("prometheus_client") is None:
        return Check("metrics", State.absent, "prometheus-client is not installed", "metrics",
                     "python3 -m pip install 'schedc[metrics]'")
    return Check("metrics", State.ok, "prometheus-client is installed", "metrics")


def synthesis() -> Check:
    """Which engine `schedc synth` would take. Whether a key is set is said, the key is not."""
    from importlib.util import find_spec

    from schedc.synth.engine.llm.endpoint import has_key

    needed = "synth"
    optuna, dask = (find_spec(one) is not None for one in ("optuna", "distributed"))
    found = "a model's key is set" if has_key() else "no model's key is set: the search engine"
    detail = (f"{found}; Optuna {'is' if optuna else 'is not'} installed"
              f"{'; Dask, too' if optuna and dask else ''}")  # fmt: skip
    if not optuna:
        return Check("synthesis", State.absent, detail, f"{needed} (tunables are not varied)",
                     "python3 -m pip install 'schedc[search]'")
    return Check("synthesis", State.ok, detail, needed)


def _cpu_has_virtualisation() -> bool:
    flags = _text(Path("/proc/cpuinfo")) or ""
    return platform.machine() != "x86_64" or " vmx" in flags or " svm" in flags


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as failure:
        return f"found, but does not run: {failure}"
    return (done.stdout or done.stderr).strip().split("\n")[0]


CHECKS: tuple[Callable[[], Check], ...] = (
    python, data, compilers, simulator, prover, rechecker, apt, qemu, kvm, kernels, host_sched_ext,
    btf, rights, libbpf, loader, metrics, synthesis,
)
"""In the order of the table."""
