"""What the loader's processes may do: the capabilities that they keep, and giving up the others.

Input: this process. Output: the same with less. Invariant: rights are only ever given up; what
can't be given up is an error, not passed over. Which capability is needed for what was found by
leaving each out (`bench/capabilities.py`; the table is in `docs/deploying-measured.md`).
"""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from enum import Enum
from pathlib import Path

from schedc.load.errors import LOADER_FAILED, NO_RIGHTS, LoadError

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST = 63
OOM_SCORE = -900
"""The kernel looks elsewhere first: if the holder goes, so does the scheduler."""
RT_PRIORITY = 1


class Capability(Enum):
    """The ones that a loader has a use for, with their numbers."""

    perfmon = 38
    bpf = 39

    @property
    def label(self) -> str:
        return f"CAP_{self.name.upper()}"

    @property
    def why(self) -> str:
        return _WHY[self]


_WHY = {
    Capability.bpf: "maps and programs of BPF",
    Capability.perfmon: "programs that read the kernel's structures",
}

NEEDED = frozenset(Capability)


def effective() -> frozenset[Capability]:
    """Which of them this process has now."""
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    line = next((one for one in text.splitlines() if one.startswith("CapEff:")), "CapEff: 0")
    bits = int(line.split()[1], 16)
    return frozenset(one for one in Capability if bits >> one.value & 1)


def lower_to(kept: frozenset[Capability], *, effective: frozenset[Capability]) -> None:
    """Keep these as permitted, of them `effective` in force; nothing is inherited by programs, and
    nothing can be gained again."""
    for number in range(_LAST + 1):
        held = _libc().prctl(_PR_CAPBSET_READ, number, 0, 0, 0)
        if held == 1 and number not in {one.value for one in kept}:
            _libc().prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # needs CAP_SETPCAP; see below
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _capset(_bits(effective), _bits(kept))
    # Even where the bounding set could not be lowered, no program gains anything from here on.
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def raise_to(kept: frozenset[Capability]) -> None:
    """Put permitted capabilities in force: in the process that is about to load."""
    _capset(_bits(kept), _bits(kept))


def permitted() -> frozenset[Capability]:
    """Those of `NEEDED` that this process may put in force."""
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    line = next((one for one in text.splitlines() if one.startswith("CapPrm:")), "CapPrm: 0")
    bits = int(line.split()[1], 16)
    return frozenset(one for one in Capability if bits >> one.value & 1)


def die_with(parent: int, number: int) -> None:
    """Be sent a signal when the parent dies; ends at once if it is dead already."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def stay_alive() -> tuple[str, ...]:
    """Before rights are given up: last to be killed for memory, and not scheduled by the policy
    that it loads, so that no policy can keep the loader from taking it away. Says what it could
    not do."""
    failed = []
    try:
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    except OSError as refused:
        failed.append(f"oom_score_adj: {refused.strerror}")
    with suppress(OSError, ValueError):
        # Lets the processes change between this priority and none after rights are given up.
        resource.setrlimit(resource.RLIMIT_RTPRIO, (RT_PRIORITY, RT_PRIORITY))
    if not run_first():
        failed.append("real-time priority: not permitted")
    return tuple(failed)


def run_first() -> bool:
    """Run before every task that a sched_ext policy schedules: even a killed process has to run
    once more before it lets go of a scheduler, and a bad one might never let it."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(RT_PRIORITY))
    except OSError:
        return False
    return True


def must_run_first() -> None:
    """Before attaching; E0832 unless this process is a real-time one.

    Kernels before 7.0-rc3 (unless they have "sched_ext: Fix starvation of scx_enable() under
    fair-class saturation") move the caller to sched_ext in the midst of enabling. Where the tasks
    that are not moved yet leave no cpu idle it never ends, and the machine hangs.
    """
    if os.sched_getscheduler(0) != os.SCHED_FIFO:
        raise LoadError(
            NO_RIGHTS, "the loader may not run at real-time priority",
            notes=("attaching a scheduler without it can hang a busy machine",),
            help="start it as root, or with `LimitRTPRIO=1` as schedc-loader.service does",
        )


def run_with_others() -> None:
    """Run as others do: while the kernel verifies a policy, which may take seconds."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _bits(some: frozenset[Capability]) -> int:
    return sum(1 << one.value for one in some)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise LoadError(LOADER_FAILED, f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def _capset(effective_bits: int, permitted_bits: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    for i in range(2):  # effective, permitted, inheritable; low words, then high ones
        data[3 * i] = effective_bits >> 32 * i & 0xFFFFFFFF
        data[3 * i + 1] = permitted_bits >> 32 * i & 0xFFFFFFFF
    if _libc().capset(header, data):
        raise LoadError(
            LOADER_FAILED, f"capabilities can't be given up: {os.strerror(ctypes.get_errno())}"
        )
