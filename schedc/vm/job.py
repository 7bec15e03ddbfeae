"""Jobs: what goes into a machine and what comes out, and the bytes of both.

Input: files and a shell script. Output: a status, the files that it left in out/, what it printed.
Invariant: what a guest sends back is not trusted. It is bounded in size, and only regular files
below out/ are taken: no links, no devices, no path that leads elsewhere.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from schedc.records import dataclass
from schedc.vm.errors import BAD_RESULT, VmError
from schedc.vm.kernels import Kernel

MAX_RESULT = 64 << 20
MAX_FILES = 10_000

Clock = Literal["wall", "icount"]
ImageKind = Literal["small", "tools", "python", "systemd", "bcc"]


@dataclass(frozen=True, slots=True)
class Shape:
    """A machine to be made.

    clock: `wall` runs as fast as it can and its times are real ones; `icount` derives all time
    from instructions executed, on one thread: every run of the same job is bit-identical, but its
    cpus take turns, so its latencies are no hardware's.
    parallel: in emulation a thread for each cpu, for what measures real times or wants cpus that
    race each other. QEMU then fails now and then where a kernel patches its own code (ADR 26).
    Without it the cpus take turns on one thread. Under KVM there is no difference.
    image: `small` has the loader and busybox; `tools` adds hackbench, cyclictest, stress-ng,
    sysbench and the programs of backends/vm/guest/workloads (as /bin/wl-NAME); `python` adds
    Debian's Python and schedc as it is here; `systemd` adds that to `python`, and wants 768 MiB;
    `bcc` adds bcc and the kernel's headers to `python`, and wants 1536 MiB.
    """

    kernel: Kernel
    cpus: int = 2
    memory_mib: int = 384
    clock: Clock = "wall"
    image: ImageKind = "small"
    threads_per_core: int = 1
    sockets: int = 1
    parallel: bool = False

    def __post_init__(self) -> None:
        if self.cpus < 1 or self.cpus % (self.threads_per_core * self.sockets):
            raise ValueError("cpus must be a multiple of threads_per_core * sockets")

    @property
    def smp(self) -> str:
        cores = self.cpus // (self.threads_per_core * self.sockets)
        return (
            f"cpus={self.cpus},sockets={self.sockets},cores={cores},"
            f"threads={self.threads_per_core}"
        )


@dataclass(frozen=True, slots=True)
class Job:
    """Files (paths below /job) and a busybox shell script, run in /job as root.

    The script leaves results in out/, which is there and empty when it starts. A job may have a
    `command` instead: it is started without a shell, some hundredths of a second sooner.
    """

    files: Mapping[str, bytes]
    script: str = ""
    command: tuple[str, ...] = ()

    def contents(self) -> dict[str, bytes]:
        """All files that go into /job."""
        if self.command:
            words = b"".join(word.encode() + b"\0" for word in self.command)
            return {**self.files, "command": words}
        return {**self.files, "run.sh": self.script.encode()}


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job did. `seconds` is guest time; `state` is sched_ext's, after it ended.

    status is the script's exit status: 124 if it was killed because its time was up (`timed_out`),
    128 + n if signal n ended it.
    """

    status: int
    out: Mapping[str, bytes] = field(repr=False)
    console: str = field(repr=False)
    seconds: float = 0.0
    timed_out: bool = False
    state: str = "disabled"


@dataclass(frozen=True, slots=True)
class DoneLine:
    """The guest's `DONE status timed_out ns state bytes`."""

    status: int
    timed_out: bool
    ns: int
    state: str
    size: int


def pack(job: Job) -> bytes:
    """The tar that the guest unpacks into /job; the same job gives the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(job.contents().items()):
            check_name(name)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def check_name(name: str) -> None:
    """A caller's file must lie below /job."""
    if not name or name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise ValueError(f"not a path below the job's directory: {name!r}")


def parse_done(line: bytes) -> DoneLine:
    """The guest's line of result; anything else than exactly that is refused."""
    words = line.split()
    try:
        if len(words) != 6 or words[0] != b"DONE":
            raise ValueError
        done = DoneLine(
            status=int(words[1]),
            timed_out=bool(int(words[2])),
            ns=int(words[3]),
            state=words[4].decode("ascii"),
            size=int(words[5]),
        )
    except ValueError:
        raise _bad(f"unexpected line {line[:80]!r}") from None
    if not 0 <= done.size <= MAX_RESULT:
        raise _bad(f"{done.size} bytes of result; at most {MAX_RESULT} are taken")
    return done


def unpack(done: DoneLine, data: bytes) -> JobResult:
    """The result of a job, of the guest's line and tar."""
    out: dict[str, bytes] = {}
    console = ""
    for name, content in _regular_files(data):
        if name == "console":
            console = content.decode(errors="replace")
        elif name.startswith("out/"):
            out[name[len("out/") :]] = content
    return JobResult(
        done.status, out, console, done.ns / 1e9, done.timed_out, done.state
    )


def _regular_files(data: bytes) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            # Nothing is extracted to disk, so a path is only a key; still, take none that leads
            # out, for callers who write the files somewhere.
            for member in tar:
                if len(found) >= MAX_FILES:
                    raise _bad(f"more than {MAX_FILES} files")
                parts = member.name.split("/")
                if not member.isreg() or member.issparse() or ".." in parts or parts[0] == "":
                    continue
                content = tar.extractfile(member)
                assert content is not None
                found.append((member.name, content.read()))
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as e:
        raise _bad(f"not a tar: {e}") from None
    return found


def _bad(what: str) -> VmError:
    return VmError(
        BAD_RESULT,
        f"the machine sent a result that can't be read: {what}",
        help="if the workload writes into /job/out by itself, let it write less; else report this",
    )
