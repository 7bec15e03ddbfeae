"""What the tests of behaviour share: a small policy, a script for the guest, and what was counted.

Input: a file of tests/vm/policies (or text made of one), a busybox script. Output: a `Seen`: the
loader's verdict, counters by class and queue, and the files that the script left in out/.
Busy loops with a name of their own are shell scripts (`HOGS`): the kernel takes their comm from the
script's name, and they change class when they exec, as programs do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from schedc.cli.policy_object import settings_of
from schedc.diagnostics.model import Diagnostic
from schedc.pipeline import analyze, generate
from schedc.source import Source
from schedc.toolchain import compile_c, find_compiler
from schedc.vm.errors import VmError
from schedc.vm.job import Job, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store
from schedc.vm.verdict import ClassStats, QueueStats, Verdict, parse_report
from tests.vm.live import live

POLICIES = Path(__file__).parent / "policies"
KERNEL = "6.18"

# More than any trial takes: the host may be busy, and what hangs is killed by the guest.
TIMEOUT_S = 120.0

HOGS = ("alpha", "beta", "alphabet")
LOOP = b"#!/bin/sh\nwhile :; do :; done\n"

# hog NAME N [COMMAND...]: N busy loops of that name, started through a command such as taskset.
PRELUDE = """cd /job
hog() {
	name=$1 n=$2
	shift 2
	for i in $(seq $n); do "$@" /job/$name & pids="$pids $!"; done
}
ran() { cut -d' ' -f1 /proc/$1/schedstat; }
cpu_of() { cut -d' ' -f39 /proc/$1/stat; }
"""
EPILOGUE = """
kill $pids 2>/dev/null
true
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """`ran`: cpu time of a class in ns, as the scheduler counted it."""

    verdict: Verdict
    classes: dict[str, ClassStats]
    queues: dict[str, QueueStats]
    out: dict[str, str]

    def ran(self, name: str) -> int:
        return self.classes[name].ran_ns

    def share(self, name: str, *others: str) -> float:
        """The class's part of the cpu time of these classes."""
        return self.ran(name) / max(sum(self.ran(one) for one in (name, *others)), 1)

    def numbers(self, name: str) -> list[int]:
        """The numbers that the script wrote into out/NAME."""
        return [int(word) for word in self.out[name].split()]


@dataclass(frozen=True, slots=True)
class Compiled:
    name: str
    object: bytes
    settings: str
    classes: tuple[str, ...]
    queues: tuple[str, ...]
    c_text: str
    source: Source


def text_of(name: str) -> str:
    return (POLICIES / f"{name}.sched").read_text()


@cache
def compiled(text: str, change: Callable[[str], str] | None = None) -> Compiled:
    """A policy's text as an object; `change` is done to the C (to break it)."""
    source = Source.from_text("policy.sched", text)
    analysis = analyze(source)
    assert analysis.policy is not None, [d.message for d in analysis.diagnostics]
    policy = analysis.policy
    c_text = generate(policy, source, sources=analysis.sources)
    if change is not None:
        c_text = change(c_text)
    compiler = find_compiler()
    if isinstance(compiler, Diagnostic):
        pytest.skip("no compiler")
    done = compile_c(c_text, compiler, source=source)
    assert done.object is not None, done.log
    return Compiled(
        policy.name, done.object, settings_of(policy, ()).text(),
        tuple(c.name for c in policy.classes),
        tuple(q.name for q in policy.queues), c_text, source,
    )  # fmt: skip


@contextmanager
def machine(
    cpus: int = 2, sockets: int = 1, kernel: str = KERNEL
) -> Iterator[Machine]:
    """A machine with workloads that lives for each test, or a skip that says why there is none.

    Its cpus run at the same time: where they take turns, each stands still half the time, and what
    a scheduler does to waits and shares can't be told from that."""

    def boot() -> Machine:
        try:
            found = Kernels(Store.default()).resolve(kernel)
            return Machine.boot(
                Shape(found, cpus, 512, image="tools", sockets=sockets, parallel=True)
            )
        except VmError as failure:
            pytest.skip(f"no virtual machine: {failure.message}")

    with live(boot) as lives:
        yield lives


def trial(
    machine: Machine,
    policy: Compiled,
    script: str,
    *,
    before: str = "",
    settings: str = "",
    reattach: bool = False,
) -> Seen:
    """Run a script under a policy; `before` runs ahead of it, under the kernel's own scheduler."""
    files = {
        "p.o": policy.object,
        "settings": (policy.settings + settings).encode(),
        "work.sh": f"{PRELUDE}{script}\n{EPILOGUE}".encode(),
        **dict.fromkeys(HOGS, LOOP),
    }
    again = "--reattach" if reattach else ""
    load = (
        f"schedc-load --object p.o --settings settings --report out/load.json {again} -- sh work.sh"
    )
    result = machine.run(Job(files, f"cd /job\n{before}\n{load}\n"), TIMEOUT_S)
    assert "load.json" in result.out, result.console[-1000:]
    verdict = parse_report(result.out["load.json"], machine.shape.kernel.release, policy.c_text)
    out = {name: data.decode(errors="replace") for name, data in result.out.items()}
    return Seen(
        verdict, dict(zip(policy.classes, verdict.classes, strict=False)),
        dict(zip(policy.queues, verdict.queues, strict=False)), out,
    )  # fmt: skip
