"""The simulator's sched_ext class does what kernel/sched/ext.c of 6.18 does.

Each test names the kernel's behaviour; the scheduler (policies/log.h) says which callbacks it gets.
"""

from __future__ import annotations

import re

from tests.sim.scx import HOG, MS, Group, run

A, B, C = Group("a"), Group("b"), Group("c")
ENQ_WAKEUP, ENQ_INITIAL, ENQ_SELECTED, ENQ_LAST = 0x1, 0x80, 0x400, 1 << 41


def nap(name: str, work: int = 1 * MS, sleep: int = 1 * MS, **more: object) -> Group:
    return Group(name, f"run fixed {work}\nsleep - fixed {sleep}", **more)  # type: ignore[arg-type]


# --- a task's life --------------------------------------------------------------------------------


def test_a_task_is_initialised_enabled_weighed_and_then_woken() -> None:
    """scx_fork(), scx_post_fork(), wake_up_new_task()."""
    ran = run(Group("n", "run fixed 1000000\nexit", nice=5, loop="1"), A)
    assert [text for text in ran.words() if " n" in text][:7] == [
        "init_task n fork=0",
        "enable n weight=33",
        "set_weight n 33",
        "runnable n flags=80",
        "enqueue n cpu=0 flags=80 slice=20000000",
        "running n cpu=0",
        "stopping n runnable=0 slice=19000000",
    ]


def test_a_task_that_exits_stops_goes_and_is_forgotten() -> None:
    """The last schedule(): stopping, quiescent with DEQ_SLEEP, then sched_ext_dead()."""
    ran = run(Group("n", "run fixed 1000000\nexit", loop="1"), A)
    lines = ran.words(task="n")
    assert lines[lines.index("stopping n runnable=0 slice=19000000") :] == [
        "stopping n runnable=0 slice=19000000",
        "quiescent n flags=1",
        "disable n",
        "exit_task n",
    ]


def test_a_fork_is_told_as_one() -> None:
    ran = run(
        Group("parent", "run fixed 1000000\nfork 1 1\njoin", loop="1"),
        Group("child", "run fixed 1000000\nexit", loop="1", forked=True),
    )
    assert ran.words("init_task") == ["init_task parent fork=0", "init_task child fork=1"]


def test_a_sleep_and_a_wake_up() -> None:
    """dequeue_task_scx(): stopping, then quiescent; enqueue_task_scx(): runnable, then enqueue."""
    ran = run(nap("s"), duration=5 * MS)
    lines = ran.words("runnable", "enqueue", "running", "stopping", "quiescent")
    assert lines[4:9] == [
        "quiescent s flags=1",
        "runnable s flags=1",
        "enqueue s cpu=0 flags=1 slice=19000000",
        "running s cpu=0",
        "stopping s runnable=0 slice=19000000",
    ]


def test_weights_are_nice_levels_on_the_scale_of_control_groups() -> None:
    """sched_weight_to_cgroup()."""
    ran = run(*(Group(f"n{i}", nice=nice) for i, nice in enumerate((-20, -10, 0, 10, 19))))
    assert [re.findall(r"\d+$", text)[0] for text in ran.words("set_weight")] == [
        "8668", "932", "100", "11", "1",
    ]  # fmt: skip


# --- who runs next, and for how long --------------------------------------------------------------


def test_a_slice_ends_at_the_first_tick_after_it_is_used_up() -> None:
    """task_tick_scx(): 10 ms last until the tick at 12 ms."""
    ran = run(A, B, slice="(10 * NSEC_PER_MSEC)", duration=40 * MS)
    stops = [time for time, text in ran.said if text.startswith("stopping")]
    assert stops[:3] == [12 * MS, 24 * MS, 36 * MS]


def test_the_previous_task_goes_on_while_it_has_slice() -> None:
    """balance_one(): no dispatch, no stopping, whatever waits."""
    ran = run(A, B, slice="(30 * NSEC_PER_MSEC)", duration=30 * MS,
              tick="scx_bpf_kick_cpu(scx_bpf_task_cpu(p), 0)")  # fmt: skip
    assert [time for time, text in ran.said if text.startswith(("dispatch", "stopping"))] == [0]


def test_alone_a_task_is_kept_without_stopping_and_gets_the_default_slice() -> None:
    """SCX_EV_DISPATCH_KEEP_LAST, then refill_task_slice_dfl(): 20 ms."""
    ran = run(A, slice="(4 * NSEC_PER_MSEC)", duration=50 * MS)
    assert ran.words("stopping", "running") == ["running a cpu=0"]
    # The second slice is 20 ms, not the 4 ms of the first.
    assert [time for time, text in ran.said if text.startswith("dispatch")] == [
        0, 4 * MS, 24 * MS, 44 * MS,
    ]  # fmt: skip


def test_with_enq_last_the_scheduler_is_asked_about_the_last_task() -> None:
    """SCX_OPS_ENQ_LAST: put_prev_task_scx() before the cpu goes idle."""
    ran = run(
        A, slice="(4 * NSEC_PER_MSEC)", duration=20 * MS, members=".flags = SCX_OPS_ENQ_LAST,",
        enqueue="scx_bpf_dsq_insert(p, Q, SLICE, flags);"
        " if (flags & SCX_ENQ_LAST) scx_bpf_kick_cpu(scx_bpf_task_cpu(p), 0)",
    )  # fmt: skip
    assert f"enqueue a cpu=0 flags={ENQ_LAST:x} slice=0" in ran.words("enqueue")
    assert len(ran.words("stopping")) >= 3


def test_the_local_queue_comes_before_the_global_one_and_that_before_dispatch() -> None:
    ran = run(
        A, B, C, duration=30 * MS, slice="(4 * NSEC_PER_MSEC)",
        enqueue="scx_bpf_dsq_insert(p, p->comm[0] == 'a' ? SCX_DSQ_LOCAL :"
        " p->comm[0] == 'b' ? SCX_DSQ_GLOBAL : Q, SLICE, flags)",
    )  # fmt: skip
    running = [text.split()[1] for text in ran.words("running")]
    # Not once does c get the cpu while a or b wait.
    assert set(running) == {"a", "b"} or set(running) == {"a"}
    assert "dispatch cpu=0 prev=a" not in ran.words("dispatch")


def test_dispatch_is_asked_again_up_to_32_times_while_it_dispatches_in_vain() -> None:
    """SCX_DSP_MAX_LOOPS; then the cpu kicks itself, so that it isn't in the loop for ever."""
    ran = run(
        Group("y", HOG, cpus="1"), cpus=2, duration=8 * MS, machine="cost idle_exit 1000\n",
        before="static u32 n; struct task_struct *y;", enqueue="y = p",
        dispatch="if (y && n < 40) { n++; scx_bpf_dsq_insert(y, Q, SLICE, 0); }"
        " else scx_bpf_dsq_move_to_local(Q)",
    )  # fmt: skip
    rounds = [time for time, text in ran.said if text == "dispatch cpu=1 prev=-"]
    assert rounds == [1000] * 32 + [2000] * 9


def test_what_dispatch_inserts_is_moved_when_it_returns_or_takes_something() -> None:
    """flush_dispatch_buf() in scx_bpf_dsq_move_to_local()."""
    ran = run(
        A, duration=4 * MS, before="struct task_struct *held;", enqueue="held = p",
        dispatch="if (held) { scx_bpf_dsq_insert(held, Q, SLICE, 0); held = NULL;"
        ' say("slots %u queued %d", scx_bpf_dispatch_nr_slots(), scx_bpf_dsq_nr_queued(Q));'
        " bool moved = scx_bpf_dsq_move_to_local(Q);"
        ' say("moved %d slots %u", moved, scx_bpf_dispatch_nr_slots()); }',
    )  # fmt: skip
    assert ran.words("slots", "moved") == ["slots 31 queued 0", "moved 1 slots 32"]


def test_a_task_that_left_meanwhile_is_not_dispatched() -> None:
    """finish_dispatch(): the qseq of the insertion must still hold."""
    ran = run(
        A, B, duration=20 * MS, before="struct task_struct *first;",
        enqueue="if (!first) first = p; scx_bpf_dsq_insert(p, Q, SLICE, flags)",
        dispatch="scx_bpf_dsq_insert(first, SCX_DSQ_GLOBAL, SLICE, 0);"
        " scx_bpf_dsq_move_to_local(Q)",
    )  # fmt: skip
    assert ran.kind == 0


# --- queues ---------------------------------------------------------------------------------------


def test_keys_are_compared_as_signed_distances_and_equal_ones_keep_their_order() -> None:
    """time_before64(), rb_add()."""
    ran = run(
        *(Group(name) for name in "abcde"), duration=2 * MS,
        before="static const u64 keys[] = { 5, ~0ULL - 3, 5, 1ULL << 62, 0 };",
        enqueue="scx_bpf_dsq_insert_vtime(p, Q, SLICE, keys[p->comm[0] - 'a'], flags)",
        dispatch="struct task_struct *q; if (scx_bpf_dsq_nr_queued(Q) == 5)"
        ' bpf_for_each(scx_dsq, q, Q, 0) say("key %s", q->comm); scx_bpf_dsq_move_to_local(Q)',
    )  # fmt: skip
    assert "".join(text.split()[1] for text in ran.words("key")) == "beacd"


def test_head_and_preempting_inserts_go_first() -> None:
    """SCX_ENQ_HEAD."""
    ran = run(
        A, B, C, duration=1 * MS,
        enqueue="scx_bpf_dsq_insert(p, Q, SLICE, flags | SCX_ENQ_HEAD)",
        dispatch="struct task_struct *q;"
        ' bpf_for_each(scx_dsq, q, Q, 0) say("order %s", q->comm); scx_bpf_dsq_move_to_local(Q)',
    )  # fmt: skip
    assert [text.split()[1] for text in ran.words("order")] == ["c", "b", "a"]


def test_a_walk_backwards_and_a_move_out_of_its_middle() -> None:
    """bpf_iter_scx_dsq with SCX_DSQ_ITER_REV, scx_bpf_dsq_move() with a new slice."""
    ran = run(
        A, B, C, duration=1 * MS,
        dispatch="struct task_struct *q; bpf_for_each(scx_dsq, q, Q, SCX_DSQ_ITER_REV) {"
        ' say("back %s", q->comm); if (q->comm[0] == \'b\') {'
        " scx_bpf_dsq_move_set_slice(BPF_FOR_EACH_ITER, 7);"
        ' say("moved %d", scx_bpf_dsq_move(BPF_FOR_EACH_ITER, q, SCX_DSQ_LOCAL, 0)); } }',
        running='say("slice %llu", p->scx.slice)',
    )  # fmt: skip
    assert ran.words("back", "moved", "running", "slice") == [
        "back c", "back b", "moved 1", "back a", "running b cpu=0", "slice 7",
    ]  # fmt: skip


def test_tasks_that_a_cpu_may_not_run_are_passed_over() -> None:
    """consume_dispatch_q()."""
    ran = run(
        *(Group(f"far{i}", HOG, cpus="1") for i in range(3)), Group("near", HOG, cpus="0"),
        cpus=2, duration=40 * MS,
    )  # fmt: skip
    assert ran.words("running", task="near") == ["running near cpu=0"]
    assert {text for text in ran.words("running") if "far" in text} <= {
        f"running far{i} cpu=1" for i in range(3)
    }


# --- placing --------------------------------------------------------------------------------------


def test_an_insert_in_select_cpu_skips_enqueue() -> None:
    """Direct dispatch to the local queue of the cpu that select_cpu returns."""
    ran = run(
        nap("s"), A, cpus=2, duration=20 * MS,
        select="bool idle; s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, flags, &idle);"
        " if (idle) scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SLICE, 0); return cpu",
    )  # fmt: skip
    assert ran.words("enqueue") == []
    assert len(ran.words("running", task="s")) > 5


def test_select_cpu_is_not_asked_about_a_task_with_one_cpu() -> None:
    """select_task_rq(); enqueue then comes without SCX_ENQ_CPU_SELECTED."""
    ran = run(nap("one", cpus="1"), nap("two"), cpus=2, duration=10 * MS, select="return prev_cpu")
    assert ran.words("select_cpu", task="one") == []
    assert all("flags=1 " in text for text in ran.words("enqueue", task="one")[1:])
    assert all("flags=401 " in text for text in ran.words("enqueue", task="two")[1:])


def test_without_select_cpu_the_kernel_places_and_enqueue_hears_of_busy_cpus_only() -> None:
    """select_task_rq_scx(): scx_select_cpu_dfl(), SCX_DSQ_LOCAL, the default slice."""
    ran = run(nap("s"), cpus=2, duration=10 * MS)
    assert ran.words("enqueue") == []
    assert "stopping s runnable=0 slice=19000000" in ran.words("stopping")


def test_an_idle_core_is_chosen_before_an_idle_sibling() -> None:
    """scx_select_cpu_dfl() with SMT: prev's core is half busy, so another whole core."""
    machine = "".join(f"cpu {i} core {i // 2} llc 0 node 0 capacity 1024\n" for i in range(4))
    ran = run(
        Group("hog", HOG, cpus="1"), nap("s", cpus="0 2 3"), cpus=4, machine=machine,
        duration=10 * MS,
    )  # fmt: skip
    # At the very first, nobody ran there yet.
    assert set(ran.words("running", task="s")[1:]) <= {"running s cpu=2", "running s cpu=3"}


def test_a_claimed_cpu_that_finds_no_task_counts_as_idle_again() -> None:
    """__scx_update_idle() from pick_task_idle()."""
    ran = run(
        nap("s", cpus="0"), cpus=2, duration=10 * MS,
        enqueue="s32 cpu = scx_bpf_pick_idle_cpu(scx_bpf_get_online_cpumask(), 0);"
        ' say("claimed %d", cpu); if (cpu >= 0) scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);'
        " scx_bpf_dsq_insert(p, Q, SLICE, flags)",
    )  # fmt: skip
    claimed = [text.split()[1] for text in ran.words("claimed")]
    assert claimed.count("-16") <= 1
    assert claimed.count("1") >= 2


def test_to_another_cpus_local_queue_from_enqueue() -> None:
    """SCX_DSQ_LOCAL_ON: once the task's own runqueue is done with (run_deferred())."""
    ran = run(
        A, B, cpus=2, duration=40 * MS, slice="(4 * NSEC_PER_MSEC)", select="return prev_cpu",
        enqueue="scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | 1, SLICE, flags)",
    )  # fmt: skip
    assert {text.split()[2] for text in ran.words("running")} == {"cpu=1"}
    assert ran.kind == 0


# --- kicks ----------------------------------------------------------------------------------------


def test_a_preempting_kick_ends_the_slice() -> None:
    """SCX_KICK_PREEMPT: slice 0, then the queues are looked at."""
    ran = run(
        A, nap("s", sleep=10 * MS), duration=60 * MS,
        enqueue="scx_bpf_dsq_insert(p, Q, SLICE, flags);"
        " if (flags & SCX_ENQ_WAKEUP) scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_PREEMPT)",
    )  # fmt: skip
    woken = {time for time, text in ran.said if text.startswith("runnable s flags=1")}
    stopped = {time for time, text in ran.said if text == "stopping a runnable=1 slice=0"}
    assert len(woken) >= 3
    assert woken <= stopped


def test_a_kick_without_preemption_leaves_the_slice() -> None:
    ran = run(
        A, nap("s", sleep=10 * MS), duration=30 * MS, slice="(50 * NSEC_PER_MSEC)",
        enqueue="scx_bpf_dsq_insert(p, Q, SLICE, flags); scx_bpf_kick_cpu(0, 0)",
    )  # fmt: skip
    assert ran.words("stopping", task="a") == []


def test_a_cpu_that_kicks_itself_in_dispatch_is_kicked_afterwards() -> None:
    """kick_cpus_irq_workfn() runs when interrupts are on again: the next task's slice is 0."""
    ran = run(
        A, B, duration=10 * MS, before="static bool done;",
        dispatch="scx_bpf_dsq_move_to_local(Q);"
        " if (!done) { done = true; scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT); }",
    )  # fmt: skip
    assert [(time, text) for time, text in ran.said if text.startswith(("running", "stop"))] == [
        (0, "running a cpu=0"), (0, "stopping a runnable=1 slice=0"), (0, "running b cpu=0"),
    ]  # fmt: skip


def test_a_preempting_insert_ends_the_slice_of_who_runs_there() -> None:
    """SCX_ENQ_PREEMPT into a local queue."""
    ran = run(
        A, nap("s", sleep=10 * MS), duration=40 * MS,
        enqueue="scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SLICE,"
        " flags & SCX_ENQ_WAKEUP ? flags | SCX_ENQ_PREEMPT : flags)",
    )  # fmt: skip
    assert "stopping a runnable=1 slice=0" in ran.words("stopping", task="a")


# --- yielding -------------------------------------------------------------------------------------


def test_a_yield_gives_up_the_slice() -> None:
    """yield_task_scx()."""
    ran = run(Group("y", "run fixed 1000000\nyield"), A, duration=10 * MS)
    assert ran.words("stopping")[0] == "stopping y runnable=1 slice=0"
