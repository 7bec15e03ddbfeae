"""What a scheduler does wrong ends it in the kernel's words, and never the simulation.

Each case is a rule of kernel/sched/ext.c and the text that it prints when the rule is broken.
"""

from __future__ import annotations

import pytest

from schedc.sim.build import compiler
from tests.sim.scx import HOG, MS, Group, run

A, B = Group("a"), Group("b")
SLEEPER = Group("s", "run fixed 1000000\nsleep - fixed 1000000")

WRONG = {
    "an unknown queue": (
        {"enqueue": "scx_bpf_dsq_insert(p, 77, SLICE, flags)"},
        "non-existent DSQ 0x4d for a[1]",
    ),
    "taking from an unknown queue": (
        {"dispatch": "scx_bpf_dsq_move_to_local(77)"},
        "invalid DSQ ID 0x000000000000004d",
    ),
    "taking from the global queue": (
        {"dispatch": "scx_bpf_dsq_move_to_local(SCX_DSQ_GLOBAL)"},
        "invalid DSQ ID 0x8000000000000001",
    ),
    "inserting twice": (
        {"enqueue": "scx_bpf_dsq_insert(p, Q, SLICE, 0); scx_bpf_dsq_insert(p, Q, SLICE, 0)"},
        "a[1] already direct-dispatched",
    ),
    "inserting in select_cpu and, for another, in enqueue": (
        {
            "before": "struct task_struct *first;",
            "enqueue": "if (!first) first = p; scx_bpf_dsq_insert(first, Q, SLICE, flags)",
        },
        "scheduling for b[2] but trying to direct-dispatch a[1]",
    ),
    "a key in the global queue": (
        {"enqueue": "scx_bpf_dsq_insert_vtime(p, SCX_DSQ_GLOBAL, SLICE, 1, flags)"},
        "cannot use vtime ordering for built-in DSQs",
    ),
    "a key in a local queue": (
        {"enqueue": "scx_bpf_dsq_insert_vtime(p, SCX_DSQ_LOCAL, SLICE, 1, flags)"},
        "cannot use vtime ordering for built-in DSQs",
    ),
    "a key after arrival order": (
        {
            "enqueue": "if (p->comm[0] == 'a') scx_bpf_dsq_insert(p, Q, SLICE, 0);"
            " else scx_bpf_dsq_insert_vtime(p, Q, SLICE, 1, 0)"
        },
        "DSQ ID 0x0000000000000000 already had FIFO-enqueued tasks",
    ),
    "arrival order after a key": (
        {
            "enqueue": "if (p->comm[0] == 'b') scx_bpf_dsq_insert(p, Q, SLICE, 0);"
            " else scx_bpf_dsq_insert_vtime(p, Q, SLICE, 1, 0)"
        },
        "DSQ ID 0x0000000000000000 already had PRIQ-enqueued tasks",
    ),
    "the local queue of a cpu out of range": (
        {"enqueue": "scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | 99, SLICE, flags)"},
        "invalid CPU 99 in SCX_DSQ_LOCAL_ON dispatch verdict",
    ),
    "a cpu out of range from select_cpu": (
        {"select": "return 99"},
        "invalid CPU 99 from ops.select_cpu()",
    ),
    "the kernel's own flags": (
        {"enqueue": "scx_bpf_dsq_insert(p, Q, SLICE, 1ULL << 56)"},
        "invalid enq_flags 0x100000000000000",
    ),
    "no task": (
        {"enqueue": "scx_bpf_dsq_insert(NULL, Q, SLICE, 0)"},
        "called with NULL task",
    ),
    "inserting where no task is placed": (
        {"running": "scx_bpf_dsq_insert(p, Q, SLICE, 0)"},
        "kfunc with mask 0x6 called from an operation only allowing 0x10",
    ),
    "taking where nothing is dispatched": (
        {"enqueue": "scx_bpf_dsq_move_to_local(Q)"},
        "kfunc with mask 0x2 called from an operation only allowing 0x4",
    ),
    "an idle kick that preempts": (
        {"enqueue": "scx_bpf_kick_cpu(0, SCX_KICK_IDLE | SCX_KICK_PREEMPT)"},
        "PREEMPT/WAIT cannot be used with SCX_KICK_IDLE",
    ),
    "a kick of no cpu": ({"enqueue": "scx_bpf_kick_cpu(99, 0)"}, "invalid CPU 99"),
    "an errno from init": ({"init": "-EINVAL"}, "ops.init() failed (-22)"),
    "no errno from init": ({"init": "5"}, "ops.init() returned an invalid errno 5"),
    "a performance level beyond the most": (
        {"running": "scx_bpf_cpuperf_set(0, 2000)"},
        "Invalid cpuperf target 2000 for CPU 0",
    ),
    "destroying a queue in use": (
        {"dispatch": "scx_bpf_destroy_dsq(Q)"},
        "attempting to destroy in-use dsq 0x0000000000000000 (nr=2)",
    ),
    "looking into an unknown queue": (
        {"dispatch": "scx_bpf_dsq_peek(77)"},
        "peek on non-existent DSQ 0x4d",
    ),
    "cancelling what was not dispatched": (
        {"dispatch": "scx_bpf_dispatch_cancel()"},
        "dispatch buffer underflow",
    ),
    "more than the dispatch buffer holds": (
        {
            "before": "struct task_struct *held;",
            "enqueue": "held = p",
            "dispatch": "s32 i; bpf_for(i, 0, 33) scx_bpf_dsq_insert(held, Q, SLICE, 0)",
        },
        "dispatch buffer overflow",
    ),
    "a task's cgroup out of turn": (
        {
            "before": "struct task_struct *first;",
            "enqueue": "if (!first) first = p; scx_bpf_task_cgroup(first);"
            " scx_bpf_dsq_insert(p, Q, SLICE, 0)",
        },
        "called on a task not being operated on",
    ),
    "idle cpus without tracking": (
        {
            "before": "void t_update_idle(s32 cpu, bool idle) {}",
            "members": ".update_idle = (void *)t_update_idle,",
            "enqueue": "scx_bpf_pick_idle_cpu(p->cpus_ptr, 0)",
        },
        "built-in idle tracking is disabled",
    ),
}


@pytest.mark.parametrize("rule", WRONG)
def test_a_broken_rule_is_reported_in_the_kernels_words(rule: str) -> None:
    hooks, words = WRONG[rule]
    # A task that may use one cpu only isn't asked about.
    ran = run(A, B, cpus=2 if "select" in hooks else 1, **hooks)
    assert (ran.kind, ran.message) == (1024, words)
    assert ran.result["verdict"]["reason"] == "runtime error"
    # The kernel tells the scheduler, and the fair class has the tasks from then on.
    assert ran.words("exit") == [f"exit kind=1024 reason=runtime error msg={words}"]
    assert all(group["cpu_ns"] > 40 * MS for group in ran.result["groups"])


def test_a_queue_of_a_cpu_that_the_task_may_not_use() -> None:
    """task_can_run_on_remote_rq() with enforcement."""
    ran = run(
        Group("a", HOG, cpus="0"), cpus=2,
        enqueue="scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | 1, SLICE, flags)",
    )  # fmt: skip
    assert ran.message == "SCX_DSQ_LOCAL[_ON] target CPU 1 not allowed for a[1]"


def test_enq_last_needs_enqueue() -> None:
    """validate_ops()."""
    ran = run(
        A,
        text="""
        #include "scx.h"
        char _license[] SEC("license") = "GPL";
        SEC(".struct_ops.link") struct sched_ext_ops t_ops = {
            .flags = SCX_OPS_ENQ_LAST, .name = "t",
        };
        """,
    )
    assert ran.message == "SCX_OPS_ENQ_LAST requires ops.enqueue() to be implemented"


def test_its_own_error_has_its_own_words_and_kind() -> None:
    ran = run(A, enqueue='scx_bpf_error("%s is one of %d: %#llx", p->comm, -7, 255ULL << 32)')
    assert (ran.kind, ran.message) == (1025, "a is one of -7: 0xff00000000")
    assert ran.result["verdict"]["reason"] == "scx_bpf_error"


def test_it_may_ask_to_end_with_a_code() -> None:
    ran = run(A, enqueue='scx_bpf_exit(1ULL << 48 | 5, "enough")')
    verdict = ran.result["verdict"]
    assert (verdict["kind"], verdict["code"], verdict["message"]) == (65, 1 << 48 | 5, "enough")


def test_a_task_that_is_not_run_is_found_by_the_watchdog() -> None:
    """check_rq_for_timeouts(), each half of the time-out."""
    ran = run(
        A, Group("lost"), duration=3000 * MS, members=".timeout_ms = 1000,",
        enqueue="if (p->comm[0] == 'a') scx_bpf_dsq_insert(p, Q, SLICE, flags)",
    )  # fmt: skip
    assert (ran.kind, ran.message) == (1026, "lost[2] failed to run for 1.500s")
    assert ran.result["verdict"]["reason"] == "runnable task stall"
    assert ran.result["verdict"]["victim"] == 2


def test_a_wait_just_within_the_time_out_is_none() -> None:
    ran = run(
        A, B, duration=3000 * MS, members=".timeout_ms = 1000,", slice="(900 * NSEC_PER_MSEC)"
    )
    assert ran.kind == 0


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (".timeout_ms = 30001,", "the kernel refuses timeout_ms 30001: the most is 30000 (E2BIG)"),
        (".flags = 1ULL << 40,", "the kernel refuses flags 0x10000000000 (EINVAL)"),
    ],
)
def test_what_the_kernel_refuses_to_attach(members: str, words: str) -> None:
    """bpf_scx_init_member()."""
    ran = run(A, members=members)
    assert ran.code == 2
    assert ran.stderr.strip().endswith(words)


# --- what the kernel's verifier would not have let through ----------------------------------------

FAULTS = {
    "a null pointer": ("*(volatile int *)0 = 1", "accessed memory that isn't its own, at 0x0"),
    "a wild pointer": (
        "p->scx.slice = *(volatile u64 *)0x1234560",
        "accessed memory that isn't its own, at 0x1234560",
    ),
    "a bad task": (
        "scx_bpf_dsq_insert((void *)64, Q, SLICE, 0)",
        "accessed memory that isn't its own, at 0x",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_the_callback_and_ends_only_the_scheduler(fault: str) -> None:
    """Without the sanitizers, whose checks of the policy would come first."""
    code, words = FAULTS[fault]
    ran = run(A, B, variant="release", enqueue=code)
    assert ran.code == 0
    assert ran.kind == 1024
    assert ran.message.startswith(f"ops.enqueue() {words}")
    assert all(group["cpu_ns"] > 40 * MS for group in ran.result["groups"])


def test_constants_can_not_be_written() -> None:
    if compiler().kind == "gcc":
        pytest.skip("gcc puts `const volatile` among the data that may be written")
    ran = run(
        A, variant="release", before="const volatile u64 constant = 5;",
        enqueue="*(volatile u64 *)&constant = 6",
    )  # fmt: skip
    assert ran.message.startswith("ops.enqueue() accessed memory that isn't its own")


def test_a_read_that_may_fail_gives_zeros() -> None:
    """bpf_probe_read_kernel()."""
    ran = run(
        A, variant="release",
        enqueue="u64 x = 7; long err = bpf_probe_read_kernel(&x, 8, (void *)16);"
        ' say("read %ld %llu %d", err, x, BPF_CORE_READ(p, real_parent, pid));'
        " scx_bpf_dsq_insert(p, Q, SLICE, flags)",
    )  # fmt: skip
    assert ran.words("read")[0] == "read -14 0 0"
    assert ran.kind == 0


def test_an_iterator_left_open_does_no_harm() -> None:
    ran = run(
        A, B, SLEEPER, duration=50 * MS,
        dispatch="struct bpf_iter_scx_dsq it; bpf_iter_scx_dsq_new(&it, Q, 0);"
        " bpf_iter_scx_dsq_next(&it); scx_bpf_dsq_move_to_local(Q)",
    )  # fmt: skip
    assert ran.kind == 0
