"""The simulator and the kernel, side by side: the same plans, and who is better at what.

A sample of bench/agreement.py (docs/simulator.md has the whole table). The clock is that of
instructions and the machine has one cpu: both sides are deterministic, however busy the host.
"""

from __future__ import annotations

import pytest

from bench.agreement import FIRST_SEED, KERNEL, in_machine, in_simulator, simulated, work
from bench.agreement_table import BASE, Agreement, Row, agreement, figures, sign, tau_b
from schedc.cli.policy_object import load_policy
from schedc.vm.errors import VmError
from schedc.vm.job import Shape
from schedc.vm.kernels import Kernels
from schedc.vm.qemu import find
from schedc.vm.store import Store

POLICIES = (BASE, "fifo", "interactive")
WORKLOADS = {
    "wakeup": ("duration=300ms", "warmup=30ms"),
    "batch": ("case=ddos_log_analysis", "shorts=19"),
}


@pytest.fixture(scope="module")
def shape() -> Shape:
    store = Store.default()
    try:
        find(store)
        return Shape(Kernels(store).resolve(KERNEL), 1, 512, "icount", "tools")
    except VmError as failure:
        pytest.skip(f"no virtual machine: {failure.message}")


@pytest.mark.vm
@pytest.mark.timeout(600)
def test_who_is_better_at_what_is_the_same_in_both(shape: Shape) -> None:
    works = [work(name, texts) for name, texts in WORKLOADS.items()]
    slots = [(one, FIRST_SEED) for one in works]
    arms = {name: None if name == BASE else load_policy(name) for name in POLICIES}
    rows = list(in_machine(shape, arms, slots))
    rows += in_simulator([simulated(name) for name in POLICIES], works, (FIRST_SEED,), 1,
                         "emulated")  # fmt: skip
    assert not [row for row in rows if row.void], rows
    found = [
        one
        for work_ in works
        for metric in work_.metrics
        if (one := agreement(rows, work_.workload.name, metric)) is not None
    ]
    assert len(found) == 9
    # A policy's difference to the kernel's own, wherever the machine shows one.
    told, right = sum(one.differences for one in found), sum(one.signs for one in found)
    assert told >= 12 and right >= 0.85 * told, [one for one in found if one.wrong]
    assert sum(one.tau or 0 for one in found if one.pairs) >= 0.7 * sum(
        1 for one in found if one.pairs
    ), found
    # What scheduling alone decides is nearly the same figure.
    for workload, metric in (("wakeup", "throughput"), ("wakeup", "request_p99"),
                             ("batch", "makespan"), ("batch", "mean_completion")):  # fmt: skip
        real, model = (figures(rows, where, workload, metric) for where in ("vm", "sim"))
        for arm in POLICIES:
            assert model[arm][FIRST_SEED] == pytest.approx(real[arm][FIRST_SEED], rel=0.2), (
                workload, metric, arm,
            )  # fmt: skip


# --- how it is counted


def test_tau_is_one_for_the_same_order_and_minus_one_for_the_other() -> None:
    assert tau_b([1, 1, -1], [1, 1, -1]) == 1
    assert tau_b([1, 1, -1], [-1, -1, 1]) == -1
    assert tau_b([1, 1, -1, 0], [1, 1, 1, 0]) == pytest.approx(1 / 3)
    assert tau_b([0, 0], [1, 1]) is None


def test_a_percentile_differs_beyond_a_bucket_another_figure_beyond_two_percent() -> None:
    assert [sign(103, 100, "request_p99"), sign(104, 100, "request_p99")] == [0, 1]
    assert [sign(100, 101.9, "throughput"), sign(100, 102.1, "throughput")] == [0, -1]


def _row(where: str, arm: str, seed: int, value: float, void: str = "") -> Row:
    return Row(where, "6.18", "icount", 1, arm, "wakeup", (), seed, {"throughput": value}, void)


def test_a_sign_counts_where_all_seeds_say_the_same() -> None:
    rows = [
        *(_row("vm", "eevdf", seed, 100) for seed in (1, 2)),
        _row("vm", "a", 1, 110), _row("vm", "a", 2, 120), _row("sim", "a", 1, 90),
        _row("vm", "b", 1, 110), _row("vm", "b", 2, 95), _row("sim", "b", 1, 90),
        _row("vm", "c", 1, 50), _row("vm", "c", 2, 60), _row("sim", "c", 1, 90),
        _row("sim", "eevdf", 1, 100), _row("sim", "c", 2, 1000, void="thrown out"),
    ]  # fmt: skip
    found = agreement(rows, "wakeup", "throughput")
    assert found is not None
    assert isinstance(found, Agreement)
    assert (found.signs, found.differences, found.wrong) == (1, 2, ("a",))
