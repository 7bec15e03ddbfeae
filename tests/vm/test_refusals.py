"""Schedulers that must not stay: thrown out for starving, or refused by the verifier.

Both are made of policies in the language. The verifier finds nothing to say about what the
generator writes, so its C is broken here: a null check is dropped, a loop has no end.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedc.diagnostics.render import Format, render
from schedc.vm.check import BUDGET_S, check_in
from schedc.vm.machine import Machine
from schedc.vm.show import diagnostics_of
from schedc.vm.verdict import Outcome
from tests.vm.trials import KERNEL, compiled, machine, text_of, trial

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]

WEIGHTED = text_of("weights")
CHARGE_LINE = next(
    n for n, line in enumerate(WEIGHTED.splitlines(), 1) if line.startswith("on stop")
)


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[Machine]:
    with machine() as booted:
        yield booted


def impatient(c_text: str) -> str:
    """A watchdog of four seconds rather than thirty."""
    changed, count = re.subn(r"\.timeout_ms = \d+,", ".timeout_ms = 4000,", c_text)
    assert count == 1
    return changed


def test_strict_priority_is_thrown_out(two_cpus: Machine) -> None:
    script = 'cp alpha worker; hog alpha 4\n./worker & pids="$pids $!"\nsleep 12'
    seen = trial(two_cpus, compiled(text_of("starving"), impatient), script)
    assert seen.verdict.outcome is Outcome.ejected
    assert seen.verdict.stall is not None
    assert seen.verdict.stall.task == "worker"
    assert seen.verdict.stall.seconds >= 4


def test_vm_run_says_who_starved(two_cpus: Machine, tmp_path: Path) -> None:
    # The hogs of the workload above its victim.
    text = text_of("starving").replace('"alpha"', '"hog"').replace('"worker"', '"victim"')
    (tmp_path / "starving.o").write_bytes(compiled(text, impatient).object)
    command = [sys.executable, "-m", "schedc", "vm", "run", "starving.o", "-w", "pinned",
               "--against", "none",
               "--runs", "1", "-p", "duration=9s", "--kernel", KERNEL, "--json"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert re.search(
        r"victim.* (did not|failed to) run for [4-9]|victim.*starved|starved.*victim", done.stderr
    ), done.stderr
    assert "void" in done.stderr + done.stdout
    for line in done.stdout.splitlines():
        assert isinstance(json.loads(line), dict)


def without_the_null_check(c_text: str) -> str:
    """The charge writes through a look-up whatever it gave; volatile: no compiler drops it."""
    changed, count = re.subn(rf'(\n#line {CHARGE_LINE} "policy.sched"\n\t)(?=\S)',
                             r"\1*(volatile u64 *)task_ctx(p) = 0, ", c_text)  # fmt: skip
    assert count >= 1
    return changed


def with_an_endless_loop(c_text: str) -> str:
    """The charge is done again and again, for as long as the time is not 0."""
    changed, count = re.subn(rf'(\n#line {CHARGE_LINE} "policy.sched"\n\t)(?=\S)',
                             r"\1while (scx_bpf_now()) ", c_text)  # fmt: skip
    assert count >= 1
    return changed


@pytest.mark.parametrize(
    "broken", [without_the_null_check, with_an_endless_loop], ids=lambda f: f.__name__
)
def test_the_verifiers_no_is_shown_at_the_policys_line(two_cpus: Machine, broken) -> None:  # type: ignore[no-untyped-def]
    made = compiled(WEIGHTED, broken)
    verdict = check_in(two_cpus, made.object, settings=made.settings, c_text=made.c_text)
    assert verdict.outcome is Outcome.refused
    assert verdict.refusal is not None
    assert verdict.refusal.policy_line == CHARGE_LINE, verdict.refusal
    found = diagnostics_of(verdict, made.source)
    assert [one.code for one in found] == ["E0801"]
    shown = render(found, made.source, Format.full)
    assert f"policy.sched:{CHARGE_LINE}:" in shown
    assert "on stop { task.used += charge(ran) }" in shown


def with_too_many_steps(c_text: str) -> str:
    """A million calls before the charge, and the verifier walks through every one."""
    changed, count = re.subn(rf'(\n#line {CHARGE_LINE} "policy.sched"\n\t)(?=\S)',
                             r"\1for (int i = 0; i < 1000000; i++) scx_bpf_now(); ",
                             c_text)  # fmt: skip
    assert count >= 1
    return changed


@pytest.mark.timeout(600)
@pytest.mark.parametrize("budget_s", [4 * BUDGET_S, 0.2])
def test_too_many_steps_are_told_at_a_line_of_the_policy(
    two_cpus: Machine, budget_s: float
) -> None:
    made = compiled(WEIGHTED, with_too_many_steps)
    verdict = check_in(two_cpus, made.object, settings=made.settings, c_text=made.c_text,
                       budget_s=budget_s)  # fmt: skip
    assert verdict.outcome is Outcome.refused
    assert verdict.refusal is not None
    if budget_s > BUDGET_S:
        assert verdict.refusal.insns is not None and verdict.refusal.insns > 1_000_000
    else:
        assert "did not finish within 0.2 s" in verdict.problem
    (found,) = diagnostics_of(verdict, made.source)
    assert found.code == "E0801" and "too many cases" in found.message
    shown = render((found,), made.source, Format.full)
    assert re.search(r"policy\.sched:\d+:", shown), shown
