"""The loader in a real kernel: verdicts on good and bad schedulers, and what may befall them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schedc.diagnostics.model import Diagnostic
from schedc.pipeline import analyze
from schedc.source import Source
from schedc.toolchain import compile_c, find_compiler
from schedc.vm.check import Settings, check_in, verdict_of
from schedc.vm.errors import VmError
from schedc.vm.job import Job, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.show import diagnostics_of
from schedc.vm.store import Store
from schedc.vm.verdict import Outcome, Verdict
from tests.vm.live import live
from tests.vm.objects import fixture_object

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

PATIENCE_S = 120.0
LOAD = "schedc-load --object policy.o --report out/load.json"
ENABLED = """
for i in $(seq 300); do grep -qx enabled /sys/kernel/sched_ext/state && break; sleep 0.1; done
"""


def boot(spec: str, memory_mib: int = 256) -> Machine:
    try:
        return Machine.boot(Shape(Kernels(Store.default()).resolve(spec), memory_mib=memory_mib))
    except VmError as failure:
        pytest.skip(f"no virtual machine: {failure.message}")


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with live(lambda: boot("6.18")) as machine:
        yield machine


@pytest.fixture(scope="module", params=["6.16", "6.18", "7"])
def each(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with live(lambda: boot(request.param)) as machine:
        yield machine


def load(machine: Machine, data: bytes, script: str, **files: bytes) -> Verdict:
    """Run a script that calls the loader, and read its report."""
    result = machine.run(Job({"policy.o": data, **files}, script), PATIENCE_S)
    assert result.state == "disabled", result.console
    return verdict_of(result, machine)


@pytest.mark.parametrize("cc", ["clang", "zig"])
def test_a_good_one_goes_all_the_way(each: Machine, cc: str) -> None:
    verdict = check_in(each, fixture_object("fifo", cc=cc))
    assert verdict.outcome is Outcome.fine
    assert (verdict.loads, verdict.attaches, verdict.stayed, verdict.detached) == (True,) * 4
    assert {p.callback for p in verdict.programs} == {"enqueue", "dispatch", "init", "exit"}
    assert all(p.insns > 1 for p in verdict.programs)
    assert verdict.exit is not None and verdict.exit.kind == 64
    assert verdict.classes[0].enqueued > 0
    assert diagnostics_of(verdict) == ()


def test_who_starved_and_for_how_long(each: Machine) -> None:
    script = f"""
printf '#!/bin/sh\\nwhile :; do :; done\\n' >starveling; chmod +x starveling
{LOAD} -- sh -c 'for i in 1 2 3; do while :; do :; done & done; ./starveling & sleep 60'
"""
    verdict = load(each, fixture_object("fifo", "STARVE"), script)
    assert verdict.outcome is Outcome.ejected
    assert not verdict.stayed and verdict.detached
    assert verdict.stall is not None
    assert verdict.stall.task == "starveling"
    assert 2.0 <= verdict.stall.seconds < 30.0
    (found,) = diagnostics_of(verdict)
    assert found.code == "E0803"
    assert "starveling" in found.message


def test_what_the_verifier_refuses(each: Machine) -> None:
    verdict = check_in(each, fixture_object("fifo", "REFUSED"))
    assert verdict.outcome is Outcome.refused
    assert not verdict.loads
    assert verdict.refusal is not None
    assert verdict.refusal.callback == "fifo_enqueue"
    assert "map_value_or_null" in verdict.refusal.reason
    assert verdict.refusal.line == 42
    (found,) = diagnostics_of(verdict)
    assert found.code == "E0801"


@pytest.mark.parametrize("cc", ["clang", "zig"])
def test_a_refusal_is_shown_at_the_policys_line(machine: Machine, cc: str) -> None:
    """Provoked in the back end: one line's C writes where it must not."""
    from schedc.data import read_data
    from schedc.pipeline import generate

    compiler = find_compiler(cc)
    if isinstance(compiler, Diagnostic):
        pytest.skip(compiler.message)
    source = Source.from_text("fair.sched", read_data("stdlib_policies/fair.sched"))
    policy = analyze(source).policy
    assert policy is not None
    text = generate(policy, source)
    lines = text.split("\n")
    # On the line of C that a line of the policy became: a write that the verifier can't allow.
    at = next(i for i, line in enumerate(lines) if line.lstrip().startswith("scx_bpf_dsq_insert")
              and lines[i - 1].startswith("#line"))  # fmt: skip
    lines[at] = "\t*(volatile s32 *)(void *)p = 1; " + lines[at].lstrip()
    text = "\n".join(lines)
    compiled = compile_c(text, compiler, source=source)
    assert compiled.object is not None, compiled.log
    verdict = check_in(machine, compiled.object, c_text=text)
    assert verdict.outcome is Outcome.refused
    (found,) = diagnostics_of(verdict, source)
    assert found.code == "E0801"
    assert found.span is not None
    assert source.position(found.span.start)[0] == int(lines[at - 1].split()[1])


def test_an_init_that_fails_is_told_with_the_kernels_words(machine: Machine) -> None:
    verdict = check_in(machine, fixture_object("fifo", "BAD_INIT"))
    assert verdict.outcome is Outcome.not_attached
    assert verdict.loads and not verdict.attaches
    assert verdict.exit is not None and "(-12)" in verdict.exit.msg
    (found,) = diagnostics_of(verdict)
    assert found.code == "E0802" and "ops.init() failed (-12)" in found.message


def test_an_error_at_run_time_ejects(machine: Machine) -> None:
    verdict = check_in(machine, fixture_object("fifo", "WRONG_QUEUE"), hold_s=5.0)
    assert verdict.outcome is Outcome.ejected
    assert verdict.exit is not None and "non-existent DSQ" in verdict.exit.msg
    (found,) = diagnostics_of(verdict)
    assert found.code == "E0804"


def test_a_flag_of_a_newer_kernel_is_masked(each: Machine) -> None:
    assert check_in(each, fixture_object("fifo", "FUTURE_FLAG")).good


def test_not_an_object(machine: Machine) -> None:
    verdict = check_in(machine, b"\x7fELF and then nothing of the kind")
    assert verdict.outcome is Outcome.bad_object
    assert diagnostics_of(verdict)[0].code == "E0802"


# --- what may befall a loaded scheduler


def test_the_default_scheduler_is_back_when_the_loader_is_killed(each: Machine) -> None:
    script = f"""
{LOAD} --hold 100 &
{ENABLED}
cat /sys/kernel/sched_ext/state /sys/kernel/sched_ext/root/ops
kill -9 $!
for i in $(seq 200); do
    grep -q disabled /sys/kernel/sched_ext/state && break
    sleep 0.05
done
cat /sys/kernel/sched_ext/state
"""
    result = each.run(Job({"policy.o": fixture_object("fifo")}, script), PATIENCE_S)
    assert [w for w in result.console.split() if w != "Killed"] == ["enabled", "fifo", "disabled"]
    assert "load.json" not in result.out


def test_a_loader_that_is_asked_to_stop_reports(machine: Machine) -> None:
    script = f"{LOAD} --hold 100 &\n{ENABLED}\nkill -TERM $!; wait $!"
    verdict = load(machine, fixture_object("fifo"), script)
    assert verdict.good


def test_attaching_beside_hogs() -> None:
    """The kernel moves tasks to sched_ext in the order of their birth, the attaching one among
    them; those that still are fair go before it, and before 7.0-rc3 starved it for ever: nothing
    but a hog ran from then on. Many tasks between it and the hogs make that moment long."""
    script = f"""
(while [ ! -e go ]; do sleep 0.5; done; exec {LOAD} --hold 1) &
loader=$!
for i in $(seq 1500); do sleep 100 & done
for i in 1 2 3 4; do sh -c 'while :; do :; done' & done
: >go
wait $loader
"""
    with live(lambda: boot("6.18", memory_mib=768)) as machine:
        verdict = load(machine, fixture_object("fifo"), script)
    assert verdict.good, verdict.problem


def test_a_cpu_that_comes_and_goes(each: Machine) -> None:
    # Enabled twice more: without the cpu, and with it again.
    script = f"""
cat >work.sh <<'END'
cd /sys/kernel/sched_ext
again() {{
    for i in $(seq 300); do
        [ $(cat enable_seq) -gt $1 ] && grep -qx enabled state && break
        sleep 0.1
    done
    echo $(cat state) $(( $(cat enable_seq) - $first ))
}}
first=$(cat enable_seq)
echo 0 >/sys/devices/system/cpu/cpu1/online; again $first
echo 1 >/sys/devices/system/cpu/cpu1/online; again $((first + 1))
END
{LOAD} --reattach -- sh work.sh
"""
    result = each.run(Job({"policy.o": fixture_object("fifo")}, script), PATIENCE_S)
    verdict = verdict_of(result, each)
    assert verdict.outcome is Outcome.fine, result.console
    assert verdict.restarts == 2
    assert result.console.splitlines() == ["enabled 1", "enabled 2"]


def test_without_reattach_a_hotplug_ends_in_order(machine: Machine) -> None:
    script = f"{LOAD} -- sh -c 'echo 0 >/sys/devices/system/cpu/cpu1/online; sleep 30'"
    try:
        verdict = load(machine, fixture_object("fifo"), script)
    finally:
        machine.run(Job({}, "echo 1 >/sys/devices/system/cpu/cpu1/online"), PATIENCE_S)
    assert verdict.outcome is Outcome.left
    assert verdict.exit is not None and not verdict.exit.is_error
    assert verdict.exit.code & 1 << 48


def test_two_schedulers_do_not_fit(machine: Machine) -> None:
    script = f"""
schedc-load --object policy.o --report first --hold 100 &
{ENABLED}
{LOAD} --hold 1; kill -TERM $!; wait
"""
    verdict = load(machine, fixture_object("fifo"), script)
    assert verdict.outcome is Outcome.not_attached
    assert "busy" in verdict.problem.lower()


def test_the_commands_status_is_told(machine: Machine) -> None:
    verdict = load(machine, fixture_object("fifo"), f"{LOAD} -- sh -c 'exit 9'")
    assert verdict.outcome is Outcome.command_failed
    assert verdict.command_status == 9
    assert verdict.good


def test_runs_and_times_are_counted_when_asked(machine: Machine) -> None:
    verdict = check_in(machine, fixture_object("fifo"), bpf_stats=True, hold_s=0.5)
    enqueue = next(p for p in verdict.programs if p.callback == "enqueue")
    assert enqueue.run_cnt > 0 and enqueue.run_time_ns > 0
    silent = check_in(machine, fixture_object("fifo"), hold_s=0.5)
    assert all(p.run_cnt == 0 for p in silent.programs)


# --- settings


def test_settings_reach_the_object(machine: Machine) -> None:
    settings = Settings({"tune_slice": 7_000_000, "counters": 0})
    verdict = check_in(machine, fixture_object("fifo", "COUNT"), settings=settings)
    assert verdict.good
    # The verifier knows a constant that is 0 and never looks at what it guards.
    counted = check_in(machine, fixture_object("fifo", "COUNT"))
    assert insns(verdict, "enqueue") < insns(counted, "enqueue")
    assert verdict.classes[0].enqueued == 0 < counted.classes[0].enqueued


@pytest.mark.parametrize("line", ["set nosuch 1", "set nr_llcs -1", "set counters 256",
                                  "set tune_slice 1x", "exe 0 /bin/sh", "nonsense"])  # fmt: skip
def test_a_setting_that_does_not_fit_is_refused(machine: Machine, line: str) -> None:
    verdict = check_in(machine, fixture_object("fifo"), settings=line + "\n")
    assert verdict.outcome is Outcome.bad_settings
    assert verdict.problem
    assert not verdict.loads


def insns(verdict: Verdict, callback: str) -> int:
    return next(p.insns for p in verdict.programs if p.callback == callback)
