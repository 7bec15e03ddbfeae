"""What tests of the simulator share: a quick scenario, and schedulers that misbehave."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schedc.sim.machine import machine
from schedc.sim.run import Report, simulate
from schedc.sim.scenario import Arm, Options, Scenario
from schedc.workload import registry


def scenario(workload: str = "wakeup", *params: str, **flags: int) -> Scenario:
    """A shipped workload, 200 ms of it, on two cpus unless flags say otherwise."""
    found, _, _ = registry.find(workload)
    assert found is not None
    short = ("duration=200ms", "warmup=20ms") if "warmup" in found.params else ()
    settings, bad = registry.settings(found, (*short, *params))
    assert not bad
    return Scenario(found, settings, machine(flags={"cpus": 2, "smt": 1, "llcs": 1, **flags}))


Simulated = Callable[..., Report]


@pytest.fixture(scope="session")
def simulated() -> Simulated:
    """Simulate arms in `scenario()`, or in the one that is given."""

    def run(*arms: Arm, where: Scenario | None = None, **options: object) -> Report:
        chosen = Options(**{"runs": 2, **options})  # type: ignore[arg-type]
        return simulate(arms, where or scenario(), chosen)

    return run


SKELETON = """
#include "scx.h"
char _license[] SEC("license") = "GPL";
volatile int sink;
%s
void BPF_STRUCT_OPS(bad_enqueue, struct task_struct *p, u64 flags)
{
%s
}
SEC(".struct_ops.link")
struct sched_ext_ops bad_ops = {
	.enqueue = (void *)bad_enqueue,
	.name = "bad",
	%s
};
"""


def scheduler(enqueue: str, *, before: str = "", members: str = "", name: str = "bad") -> Arm:
    """A scheduler in C whose `enqueue` does this."""
    return Arm(name, c_text=SKELETON % (before, enqueue, members))


GOOD = "\tscx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, flags);"
FIFO = Arm("fifo", built_in="fifo")
EEVDF = Arm("eevdf", built_in="eevdf")
