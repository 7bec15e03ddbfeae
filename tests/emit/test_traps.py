"""The kernel's traps, seen in the C: what must and what must not stand in it, for every policy.

Each was measured on a real kernel (docs/design/kernel.md); what is behaviour rather than text is
tried in tests/vm/test_behaviour.py.
"""

import re
from collections.abc import Callable
from pathlib import Path

from schedc.emit.generate import WATCHDOG_MS
from schedc.ir.nodes import Budget, CountLimit, Policy, Take
from schedc.pipeline import analyze
from schedc.source import Source
from tests.emit.generated import (
    PATHS,
    ROOT,
    RUNTIME,
    SCX,
    callback,
    functions,
    policy,
    reached,
    text,
    without_lines,
)


def every_policy(test: Callable[[Path], None]) -> Callable[[], None]:
    """Do a test for all policies; one test of pytest's, as there are thousands of pairs."""

    def run() -> None:
        for path in PATHS:
            try:
                test(path)
            except AssertionError as failure:
                raise AssertionError(f"{path.relative_to(ROOT)}: {failure}") from failure

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


OPERATIONS = {
    "select_cpu", "enqueue", "dispatch", "tick", "runnable", "running", "stopping", "quiescent",
    "init_task", "enable", "cgroup_init", "cgroup_set_weight", "init", "exit", "set_weight",
    "set_cpumask", "exit_task",
}  # fmt: skip
ALWAYS = {"select_cpu", "enqueue", "dispatch", "init", "exit"}


# --- callbacks and flags


@every_policy
def test_operations_are_those_that_are_safe(path: Path) -> None:
    """No dequeue (called for none of the queued tasks on 6.18, for all on 7.3), no cpu_online or
    cpu_offline (with them, tasks bound to an offlined cpu stalled for 6 s)."""
    named = set(re.findall(r"^\t\.(\w+) = \(void \*\)", text(path), re.M))
    assert named <= OPERATIONS
    # Without select_cpu the kernel's default inserts by itself and never reaches enqueue.
    assert named >= ALWAYS


@every_policy
def test_flags(path: Path) -> None:
    """Exiting and migration-disabled tasks would bypass the policy; a last task is the policy's
    only where the cpu may have to idle beside it."""
    flags = set(re.search(r"\.flags = ([^,]*),", text(path))[1].split(" | "))  # type: ignore[index]
    assert {"SCX_OPS_ENQ_EXITING", "SCX_OPS_ENQ_MIGRATION_DISABLED"} <= flags
    may_idle = bool(policy(path).caps) or any(c.affinity == "confine" for c in policy(path).classes)
    assert ("SCX_OPS_ENQ_LAST" in flags) == may_idle
    assert flags <= {"SCX_OPS_ENQ_EXITING", "SCX_OPS_ENQ_MIGRATION_DISABLED", "SCX_OPS_ENQ_LAST"}


def test_the_watchdog_is_within_what_the_kernel_allows() -> None:
    assert 0 < WATCHDOG_MS <= 30_000


@every_policy
def test_only_sleepable_callbacks_make_queues(path: Path) -> None:
    c_text = text(path)
    for name in re.findall(r"BPF_STRUCT_OPS\((\w+),", c_text):
        assert "create_dsq" not in reached(c_text, name)
    assert re.findall(r"BPF_STRUCT_OPS_SLEEPABLE\(\w+_(init|init_task|cgroup_init|exit)\b", c_text)
    for op in re.findall(r"BPF_STRUCT_OPS_SLEEPABLE\((\w+)", c_text):
        assert re.search(r"_(init|init_task|exit|cgroup_init)$", op), op


# --- constants


@every_policy
def test_flags_that_moved_are_read_from_the_kernel(path: Path) -> None:
    """SCX_ENQ_CPU_SELECTED has another value from 6.19 on."""
    bare = re.sub(r"KERNEL_ENUM\([^)]*\)", "", without_lines(text(path)))
    assert "SCX_ENQ_CPU_SELECTED" not in bare


def test_constants_are_numbers() -> None:
    """Weak rodata would stay 0 under a foreign loader, and everything would land in queue 0."""
    assert "__builtin_preserve_enum_value" in SCX
    for name in (
        "DSQ_GLOBAL",
        "DSQ_LOCAL",
        "DSQ_LOCAL_ON",
        "SLICE_INF",
        "KICK_IDLE",
        "KICK_PREEMPT",
    ):
        value = re.search(rf"#define SCX_{name} (.*)", SCX)
        assert value and re.fullmatch(r"[()~0-9ULx<| ]+", value[1]), name
    assert not re.search(r"extern .*SCX_|__weak\b.*SCX_", SCX)


@every_policy
def test_preemption_is_a_kick(path: Path) -> None:
    """An enqueue flag does nothing on a queue of the policy's own."""
    assert "SCX_ENQ_PREEMPT" not in text(path)
    for flags in re.findall(r"scx_bpf_kick_cpu\([^;]*, ([^,;]*)\);", text(path)):
        assert flags in ("SCX_KICK_IDLE", "SCX_KICK_PREEMPT", "0"), flags


# --- running and stopping


@every_policy
def test_the_cpu_is_the_tasks(path: Path) -> None:
    """running and stopping ran on another cpu than the task's in 3.5% of calls."""
    made = functions(text(path)) | functions(RUNTIME)
    for name, body in made.items():
        # A work area of its own is all that the executing cpu's number is good for.
        assert name == "claim_within" or "bpf_get_smp_processor_id" not in body, name
    for name in ("running", "stopping", "tick", "quiescent", "runnable", "enqueue", "enable"):
        body = callback(path, name)
        if re.search(r"(?<![\w.>])cpu\b", body):
            assert "s32 cpu = scx_bpf_task_cpu(p);" in body, name


@every_policy
def test_what_ran_is_the_kernels_sum(path: Path) -> None:
    """A difference of slices saw 1.0 of 4.0 ms, and nothing of a stint that went on."""
    stopping = callback(path, "stopping")
    assert "scx.slice" not in stopping
    if re.search(r"(?<![\w.>])ran\b", stopping):
        assert "ran = p->se.sum_exec_runtime - c->started;" in stopping
        assert "c->started = p->se.sum_exec_runtime;" in callback(path, "running")


@every_policy
def test_clocks_move_by_compare_and_swap_only(path: Path) -> None:
    bare = without_lines(text(path))
    assert not re.search(r"\b(?:shared_)?clock_\w+\[[^\]]*\]\s*([-+|&^]|<<|>>)?=[^=]", bare)
    for target in re.findall(r"advance_clock\(&(\w+)", bare):
        assert re.match(r"(shared_)?clock_", target)
    if any(queue.order == "vtime" for queue in policy(path).queues):
        assert re.search(r"advance_clock\(&(shared_)?clock_", callback(path, "running"))
    body = functions(RUNTIME)["advance_clock"]
    assert "__sync_val_compare_and_swap" in body and re.search(r"i < 4\b", body)


def test_pinned_discounts_what_the_program_itself_does() -> None:
    """BPF's own prolog disables migration of the current task: 2264 of 6235 looked pinned."""
    body = functions(RUNTIME)["is_pinned"]
    assert "bpf_get_current_task_btf()" in body
    assert "by_bpf = p == bpf_get_current_task_btf();" in body
    assert "migration_disabled > by_bpf" in body and "nr_cpus_allowed == 1" in body


# --- insertions


@every_policy
def test_local_queues_only_behind_a_claim(path: Path) -> None:
    bare = without_lines(text(path))
    inserts = list(re.finditer(r"scx_bpf_dsq_insert\w*\(p, (SCX_DSQ_LOCAL[^,]*),", bare))
    for found in inserts:
        block = bare[: found.start()].rsplit("\n\tif (", 1)[1]
        assert re.match(r"idle >= 0\)|counters\)", block), block
        assert re.search(r"\bidle = [^;]*\b(place|claim\w*)\(", bare[: found.start()][-900:]), block
    # move_to_local in dispatch is the only other way into them.
    assert all(f.group(1) in ("SCX_DSQ_LOCAL", "SCX_DSQ_LOCAL_ON | idle") for f in inserts)


def paths_of(body: str) -> list[str]:
    """The ways through a callback: each block that returns early, and the whole without those."""
    ways, rest = [], body
    while found := re.search(
        r"\n(?P<tabs>\t+)if \([^{]*\{\n(?P<block>(?:(?!\n(?P=tabs)\}).)*return;\n)(?P=tabs)\}",
        rest,
        re.S,
    ):
        ways.append(found["block"])
        rest = rest[: found.start()] + rest[found.end() :]
    return [*ways, rest]


@every_policy
def test_every_way_through_enqueue_inserts_once(path: Path) -> None:
    c_text = text(path)
    *early, last = paths_of(callback(path, "enqueue"))
    for way in early:
        assert len(re.findall(r"scx_bpf_dsq_insert(?:_vtime)?\(", way)) == 1, way
    assert "return" not in last, last
    calls = re.findall(r"\b(enqueue_\w+)\(", last)
    assert calls
    if len(calls) > 1:
        cases = set(re.findall(r"case (CLASS_\w+):", last))
        assert cases == {f"CLASS_{cls.name.upper()}" for cls in policy(path).classes}
    for rule in policy(path).rules:
        body = functions(c_text)[f"enqueue_{rule.cls}"]
        before, after = re.split(r"scx_bpf_dsq_insert(?:_vtime)?\(", body)
        assert "return" not in before and "if (" not in before.replace("if (counters)", "")
        # Kicks and preemption come after the insertion: the cpu that wakes must find the task.
        assert (
            "kick" not in before and "preempt" not in before and "scx_bpf_dsq_insert" not in after
        )


@every_policy
def test_a_queue_is_fifo_or_keyed_never_both(path: Path) -> None:
    bare = without_lines(text(path))
    plain = set(re.findall(r"scx_bpf_dsq_insert\(p, dsq\(QUEUE_(\w+)", bare))
    keyed = set(re.findall(r"scx_bpf_dsq_insert_vtime\(p, dsq\(QUEUE_(\w+)", bare))
    assert plain == {q.name.upper() for q in policy(path).queues if q.order == "fifo"}
    assert keyed == {q.name.upper() for q in policy(path).queues if q.order != "fifo"}
    assert not re.search(r"insert_vtime\(p, SCX_DSQ", bare)


@every_policy
def test_keys_and_variables_are_clamped_at_every_insertion(path: Path) -> None:
    c_text = text(path)
    for rule in policy(path).rules:
        queue = policy(path).queue(rule.queue)
        if queue.order == "vtime":
            assert f"window_{queue.name}(" in functions(c_text)[f"enqueue_{rule.cls}"]
            assert "clamp(" in functions(c_text)[f"window_{queue.name}"]
            if "admit" in functions(c_text):
                assert f"window_{queue.name}(" in functions(c_text)["admit"]


@every_policy
def test_a_change_of_domain_moves_the_variable(path: Path) -> None:
    c_text = text(path)
    for queue in policy(path).queues:
        if queue.order == "vtime" and queue.domain != "machine" and not queue.shared_clock:
            assert f"rebase_{queue.name}(" in functions(c_text)[f"window_{queue.name}"]
            assert f"rebase_{queue.name}(" in callback(path, "running")


@every_policy
def test_task_state_outside_dsq_vtime_unless_it_is_the_key(path: Path) -> None:
    """Inserting overwrites dsq_vtime with the key."""
    bare = without_lines(text(path))
    if "p->scx.dsq_vtime" in bare:
        assert len([q for q in policy(path).queues if q.order != "fifo"]) == 1
        keys = re.findall(r"insert_vtime\(p, [^;]*,\s*([^;,]*), enq_flags\);", bare)
        assert keys and all("p->scx.dsq_vtime" in key for key in keys)


# --- dispatch


@every_policy
def test_a_dispatch_moves_one_task_and_never_from_the_global_queue(path: Path) -> None:
    bare = without_lines(text(path))
    assert not re.search(r"move_to_local\(SCX_DSQ", bare)
    body = callback(path, "dispatch")
    for found in re.finditer(
        r"\n\tif \((?P<test>(?:[^{;]|\n)*?(?:take|steal|share|lowest)_?\w*\((?:[^{;]|\n)*?)\)"
        r"(?P<then> \{.*?\n\t\}|\n\t\t[^\n]*)",
        body,
        re.S,
    ):
        assert "return;" in found["then"], found[0]


@every_policy
def test_only_the_owner_of_a_bucket_stores_a_refill(path: Path) -> None:
    """Preemption reads another cpu's bucket."""
    c_text = text(path)
    for start in ("enqueue", "select_cpu", "tick"):
        names = [name for name in functions(c_text) if name.endswith(f"_{start}")]
        for name in names:
            assert "bucket_open(" not in reached(c_text, name)
    assert "filled_at =" not in functions(RUNTIME)["bucket_credit"]


@every_policy
def test_the_previous_task_goes_on_with_the_policys_slice(path: Path) -> None:
    """The kernel would give it 20 ms, and tell nobody."""
    body = callback(path, "dispatch")
    assert re.search(
        r"if \(prev && prev->scx\.flags & SCX_TASK_QUEUED\)\s*keep_running\(",
        body[body.rindex("if (prev") :],
    )
    assert "prev->" not in re.sub(r"prev && [^;{]*", "", body), "prev may be null"


@every_policy
def test_counts_reset_only_when_a_lower_line_was_served(path: Path) -> None:
    counted = [
        line
        for line in policy(path).dispatch
        if isinstance(line, Take) and isinstance(line.limit, CountLimit)
    ]
    assert bool(counted) == bool(re.search(r"c->count\[\d+\] = 0;", callback(path, "dispatch")))
    assert "count[" not in callback(path, "running") + callback(path, "stopping")


@every_policy
def test_a_bucket_is_paid_by_what_ran(path: Path) -> None:
    lines = [
        line
        for line in policy(path).dispatch
        if isinstance(line, Take) and isinstance(line.limit, Budget)
    ]
    if lines:
        settle = functions(text(path))["settle"]
        assert "p->se.sum_exec_runtime - c->paid" in settle
        assert "settle(" in callback(path, "stopping")
        assert "settle(" in functions(text(path))["stint_over"]
        assert "stint_over(" in callback(path, "dispatch")


# --- control groups, kernels


@every_policy
def test_control_groups_are_those_of_the_default_hierarchy(path: Path) -> None:
    """scx_bpf_task_cgroup gives the root where the cpu controller is off: 0 of 31 matched."""
    assert "scx_bpf_task_cgroup" not in text(path) + RUNTIME + SCX
    for word in ("cgroup_matches", "cgroup_slot"):
        if f"{word}(" in text(path):
            assert "dfl_cgrp" in reached(text(path), word)


def test_no_kfunc_that_a_supported_kernel_lacks() -> None:
    """6.16 to 7.3: gone in 6.18, or there only from 6.18 or 6.19 on."""
    missing = ("scx_bpf_dispatch", "scx_bpf_consume", "scx_bpf_cpu_rq", "scx_bpf_cpu_curr",
               "scx_bpf_dsq_peek",
               "scx_bpf_task_set_slice", "scx_bpf_dsq_reenq", "scx_bpf_reenqueue")  # fmt: skip
    for path in PATHS:
        for name in missing:
            assert name not in text(path) + SCX + RUNTIME, (path, name)


def test_performance_beyond_the_kernels_scale_is_refused() -> None:
    source = (ROOT / "tests/vm/policies/perf.sched").read_text().replace("perf 800", "perf 1025")
    assert analyze(Source.from_text("p.sched", source)).policy is None


def test_a_newcomer_starts_behind_the_clock() -> None:
    """Children that start at the clock starve a waiting task by forking."""
    for path in PATHS:
        typed: Policy = policy(path)
        if any(
            state.scope == "task" and state.type.kind.value == "vtime" for state in typed.states
        ):
            assert re.search(
                r"read_(shared_)?clock_\w+\([^;]*\) \+\s*charge\(", callback(path, "enable")
            ), path


@every_policy
def test_a_stint_ends_once(path: Path) -> None:
    """In dispatch or, for a task that blocks or is preempted by another class, in stopping."""
    for name in ("stopping", "stint_over"):
        body = callback(path, name) or functions(text(path)).get(name, "")
        if "on_stop(" in body:
            assert re.search(r"if \(!c->ended\)\s*(\{[^}]*)?on_stop\(", body), name
    if "c->ended" in text(path):
        assert "c->ended = false;" in callback(path, "running")
        assert "c->ended = false;" in functions(text(path))["keep_running"]


@every_policy
def test_a_stint_that_goes_on_keeps_its_payer_and_its_age(path: Path) -> None:
    """A higher class, or a change of the running task's affinity, leads to `running` without a
    pick: a task that asks for such a change in a loop would run for free, and for ever where a
    timer ends stints."""
    c = text(path)
    running, dispatch = callback(path, "running"), callback(path, "dispatch")
    asked = re.findall(r"c->(?:line|kept|running_since|retry) = ", running)
    if not asked:
        return
    resets = re.search(r"if \(c->last != p->pid\) \{(.*?)\n\t\}", running, re.S)
    assert resets and len(re.findall(r"c->(?:line|kept|running_since|retry) = ", resets[1])) == len(
        asked
    )
    assert "c->last = 0;" in dispatch
    assert "c->last = p->pid;" in c[c.index(" keep_running(") :]
