"""One queue of the simulator's fair class behaves as kernel/sched/fair.c (6.18) does.

Each test names the kernel's rule; the entity's state comes from the class itself. Every run is a
debug build's: the trees, the sums for V, and that the lags sum to zero are checked at every event.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.sim.eevdf import MS, Played, played

SLICE = 700_000
"""sysctl_sched_base_slice of one cpu."""

TICK = 4 * MS

WEIGHTS = {-20: 88761, -5: 3121, 0: 1024, 5: 335, 10: 110, 19: 15}
"""Some of sched_prio_to_weight."""


def one_cpu(text: str) -> Played:
    return played("machine cpus 1\n" + text)


# --- fairness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("nice", [-5, 5, 10])
def test_hogs_get_time_in_proportion_to_their_weights(nice: int) -> None:
    """sched_prio_to_weight: a step of nice is a quarter more or less."""
    until = 4000 * MS
    run = one_cpu(f"task a 0 1 0 - run:-\ntask b 0 1 {nice} - run:-\nuntil {until}")
    share = WEIGHTS[nice] / (WEIGHTS[nice] + WEIGHTS[0])
    assert run.ran("b", until) / until == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("nice", WEIGHTS)
def test_an_entitys_weight_is_its_nices(nice: int) -> None:
    """set_load_weight()."""
    run = one_cpu(f"task a 0 1 {nice} - run:1000000\nuntil 1000")
    assert run.named("run", "a")[0].of["weight"] == WEIGHTS[nice]


@pytest.mark.parametrize("nices", [(0, 0, 0), (0, 5, 10), (-5, 0, 0, 3)])
def test_nobody_is_further_from_its_share_than_a_request_and_a_tick(nices: tuple[int, ...]) -> None:
    """EEVDF's theorem: lag stays within the longest request; here a cpu looks at ticks alone."""
    until = 2000 * MS
    tasks = "\n".join(f"task t{i} 0 1 {nice} - run:-" for i, nice in enumerate(nices))
    run = one_cpu(f"{tasks}\nuntil {until}")
    weights = {f"t{i}": run.named("run", f"t{i}")[0].of["weight"] for i in range(len(nices))}
    total = sum(weights.values())
    for checkpoint in range(100 * MS, until, 50 * MS):
        for name, weight in weights.items():
            ideal = checkpoint * weight / total
            assert abs(run.ran(name, checkpoint) - ideal) <= SLICE + 2 * TICK


def test_virtual_time_goes_on_while_nobody_comes_or_goes() -> None:
    """V is the weighted mean of vruntimes, which only grow."""
    run = one_cpu(
        "task a 0 1 0 - run:-\ntask b 0 1 7 - run:-\ntask c 0 1 -3 - run:-\nuntil 500000000"
    )
    seen = [call.of["V"] for call in run.named("tick")]
    assert len(seen) > 100
    assert all(later >= earlier for earlier, later in pairwise(seen))


def test_two_groups_share_by_their_weights_and_not_by_their_tasks() -> None:
    """cpu.weight 100 and 300: 1:3, with four tasks in the one and one in the other."""
    until = 2000 * MS
    lines = [f"task a{i} 0 1 0 - run:-\ncgroup a{i} 7 100" for i in range(4)]
    lines += ["task b 0 1 0 - run:-", "cgroup b 8 300", f"until {until}"]
    run = one_cpu("\n".join(lines))
    assert run.ran("b", until) / until == pytest.approx(0.75, abs=0.01)
    each = [run.ran(f"a{i}", until) for i in range(4)]
    assert max(each) - min(each) <= SLICE + 2 * TICK


# --- who is next ---------------------------------------------------------------------------------


def test_only_who_is_owed_time_is_picked() -> None:
    """entity_eligible(): at each pick from several, vruntime <= V."""
    run = one_cpu(
        "task a 0 1 0 - run:-\ntask b 0 1 3 - run:-\n"
        "task c 0 1 0 - run:300000 sleep:5000000 loop\nuntil 400000000"
    )
    assert len(run.named("run")) > 100
    for call in run.named("run"):
        assert call.of["vruntime"] <= call.of["V"]


def test_of_the_eligible_the_earliest_deadline_goes_first() -> None:
    """Of three that start together the one of the shortest slice goes first."""
    run = one_cpu(
        "task a 0 1 0 - run:-\ntask b 0 1 0 - run:-\ntask c 0 1 0 - run:-\n"
        "slice c 300000\nuntil 9000000"
    )
    assert [task for _, task in run.order()][:3] == ["c", "a", "b"]


def test_a_request_runs_to_its_end_though_somebody_else_is_owed_more() -> None:
    """RUN_TO_PARITY: the cpu is kept until vprot, at least a slice."""
    run = one_cpu(
        "machine hz 1000\ntask a 0 1 0 - run:-\ntask b 0 1 0 - run:-\n"
        "slice a 5000000\nslice b 5000000\nuntil 100000000"
    )
    times = [at for at, _ in run.order(since=20 * MS)]
    assert all(later - earlier >= 5 * MS for earlier, later in pairwise(times))


def test_a_cpu_is_kept_no_longer_than_the_shortest_slice_that_somebody_asked_for() -> None:
    """set_protect_slice(): the least slice in the queue, if it is shorter than one's own."""
    run = one_cpu("task a 0 1 0 - run:-\ntask b 0 1 0 - run:-\nslice a 50000000\nuntil 30000000")
    first = run.named("run", "a")[-1]
    assert first.of["slice"] == 50 * MS
    assert first.of["vprot"] - first.of["vruntime"] == SLICE


def test_a_task_that_is_done_with_its_request_gets_the_next() -> None:
    """update_deadline(): vd = ve + r/w."""
    run = one_cpu("task a 0 1 0 - run:-\ntask b 0 1 5 - run:-\nuntil 200000000")
    for call in run.named("tick", "b"):
        if call.of["curr"]:
            left = call.of["deadline"] - call.of["vruntime"]
            assert left <= SLICE * 1024 // WEIGHTS[5] + 1


def test_ticks_alone_end_slices() -> None:
    """HRTICK is off: hogs change places at ticks and at no other time."""
    run = one_cpu("task a 0 1 0 - run:-\ntask b 0 1 0 - run:-\nuntil 200000000")
    assert all(at % TICK == 0 for at, _ in run.order())
    assert len(run.order()) > 40


def test_who_yields_gives_up_the_rest_of_its_request() -> None:
    """yield_task_fair() of 6.18: vruntime goes to the deadline, which goes one request on."""
    run = one_cpu("task b 0 1 0 - run:-\ntask a 0 1 0 - run:100000 yield run:-\nuntil 50000000")
    (call,) = run.named("yield", "a")
    assert call.at == TICK + 100_000
    assert call.of["deadline"] - call.of["vruntime"] == SLICE
    assert call.of["vruntime"] == run.named("run", "a")[0].of["deadline"]


def test_who_yields_in_debt_gives_up_nothing() -> None:
    """yield_task_fair(): only the eligible forfeit."""
    run = one_cpu("task a 0 1 0 - run:100000 yield run:-\ntask b 0 1 0 - run:-\nuntil 50000000")
    (call,) = run.named("yield", "a")
    assert (call.at, "b") in run.order()
    assert call.of["vruntime"] == run.named("run", "a")[0].of["vruntime"] + 100_000


# --- sleep ---------------------------------------------------------------------------------------


def test_a_sleeper_keeps_what_it_was_owed() -> None:
    """PLACE_LAG: the lag that it went with is the lag that it comes back with."""
    run = one_cpu(
        "task a 0 1 0 - run:-\ntask c 0 1 0 - run:-\n"
        "task b 0 1 0 - run:1000000 sleep:7500000 loop\nuntil 300000000"
    )
    kept = 0
    for slept, woke in zip(run.named("dequeue", "b"), run.named("enqueue", "b")[1:], strict=False):
        if slept.of["delayed"]:
            continue
        owed = woke.of["V"] - woke.of["vruntime"]
        assert owed == pytest.approx(slept.of["vlag"], abs=3)
        kept += owed > 0
    assert kept > 5


def test_lag_is_bounded_by_two_slices_or_a_tick() -> None:
    """update_entity_lag(): clamped to max(2 slices, a tick)."""
    run = one_cpu(
        "task a 0 1 0 - run:-\ntask b 0 1 0 - run:100000 sleep:30000000 loop\nuntil 900000000"
    )
    lags = [call.of["vlag"] for call in run.named("dequeue", "b")]
    assert lags
    assert all(abs(lag) <= max(2 * SLICE, TICK) for lag in lags)


def test_who_sleeps_in_debt_stays_queued_until_it_is_paid() -> None:
    """DELAY_DEQUEUE: not eligible at its sleep: sched_delayed, still on the queue."""
    run = one_cpu(
        "task b 0 1 0 - run:3000000 sleep:500000000\ntask a 0 1 0 - run:-\nuntil 200000000"
    )
    (slept,) = run.named("dequeue", "b")
    assert slept.of["delayed"]
    assert slept.of["on_rq"]
    assert slept.of["vruntime"] > slept.of["V"]


def test_a_debt_is_paid_in_the_queue_and_no_credit_is_earned_there() -> None:
    """DELAY_ZERO: woken while delayed and owed by now, it comes back with no lag."""
    run = one_cpu(
        "task b 0 1 0 - run:1200000 sleep:2500000 run:-\ntask a 0 1 0 - run:-\nuntil 60000000"
    )
    slept = run.named("dequeue", "b")[0]
    woke = run.named("enqueue", "b")[1]
    assert slept.of["delayed"]
    assert not woke.of["delayed"]
    assert woke.of["vruntime"] >= slept.of["vruntime"] or woke.of["vlag"] == 0
    assert woke.of["V"] - woke.of["vruntime"] <= 0


def test_a_delayed_task_is_woken_where_it_is() -> None:
    """ttwu_runnable(): no cpu is chosen for it, though others are idle."""
    run = played(
        "machine cpus 2\ntask b 0 1 0 - run:1200000 sleep:2500000 run:-\n"
        "task a 0 1 0 - run:-\nat 2000000 cpus:b:3\nuntil 3900000"
    )
    slept, woke = run.named("dequeue", "b")[0], run.named("enqueue", "b")[1]
    assert slept.of["delayed"]
    assert woke.at < 4 * MS
    assert woke.cpu == 0


def test_a_new_task_joins_with_half_a_slice() -> None:
    """PLACE_DEADLINE_INITIAL."""
    run = one_cpu("task a 0 1 0 - run:-\nuntil 1000000")
    joined = run.named("enqueue", "a")[0].of
    assert joined["deadline"] - joined["vruntime"] == SLICE // 2


def test_who_is_moved_or_reniced_keeps_what_is_left_of_its_request() -> None:
    """PLACE_REL_DEADLINE and reweight_entity(): time that is left scales with the weight."""
    run = one_cpu("task a 0 1 0 - run:-\ntask b 0 1 0 - run:-\nat 6000000 nice:b:5\nuntil 20000000")
    before = [c for c in run.calls if c.task == "b" and c.at < 6 * MS][-1].of
    after = next(c for c in run.named("enqueue", "b") if c.at == 6 * MS).of
    assert after["weight"] == WEIGHTS[5]
    left = before["deadline"] - before["vruntime"] - (0 if not before["curr"] else 2 * MS)
    assert 0 < after["deadline"] - after["vruntime"] <= SLICE * 1024 // WEIGHTS[5] + 1 or left < 0


# --- wake-up preemption --------------------------------------------------------------------------


def test_a_wakeup_preempts_when_the_woken_is_the_best_pick() -> None:
    """wakeup_preempt_fair(): a sleeper that is owed time runs at once, once the slice is over."""
    run = one_cpu(
        "task a 0 1 0 - run:-\ntask b 0 1 0 - run:200000 sleep:9500000 loop\nuntil 200000000"
    )
    waits = []
    for woke in run.named("enqueue", "b")[2:]:
        waits.append(next(c.at for c in run.named("run", "b") if c.at >= woke.at) - woke.at)
    assert waits.count(0) > len(waits) // 2


LATE = """
    task a 0 1 0 - run:1000 sleep:1000000 run:-
    task b 0 1 0 a run:-
    slice a 50000000
    slice b {}
    at 10300000 start:b
    until 100000000
    """


def test_a_wakeup_does_not_break_a_running_slice() -> None:
    """RUN_TO_PARITY: an eligible running task keeps the cpu to its slice's end."""
    run = one_cpu(LATE.format(50_000_000))
    begun = run.named("run", "a")[1]
    assert begun.of["deadline"] - begun.of["vruntime"] == 50 * MS
    joined = run.named("enqueue", "b")[0].of
    # b's deadline is the earlier one: without the protection it would have the cpu
    assert joined["deadline"] < begun.of["deadline"]
    first = run.named("run", "b")[0].at
    assert begun.at + 50 * MS <= first <= begun.at + 50 * MS + TICK


def test_a_shorter_slice_breaks_it() -> None:
    """PREEMPT_SHORT: the woken one asks for less, and is eligible."""
    assert one_cpu(LATE.format(300_000)).named("run", "b")[0].at == 10_300_000


REMOTE = """
    machine cpus 2
    machine cpu 1 core 1 llc {} node 0 capacity 1024
    task b 1 2 0 - run:1000 sleep run:300000 sleep
    task h 1 2 0 - run:-
    task w 0 1 0 - run:21000000 wake:b sleep
    slice b 300000
    until 40000000
    """


def test_a_wakeup_from_another_cpu_waits_for_the_running_tasks_tick() -> None:
    """resched_curr_lazy() under PREEMPT_LAZY: no interrupt is sent to a cpu of the same cache."""
    run = played(REMOTE.format(0))
    woke = run.named("enqueue", "b")[1].at
    assert woke < 24 * MS
    assert run.named("run", "b")[1].at == 24 * MS


def test_a_wakeup_from_another_cache_interrupts() -> None:
    """ttwu_queue_wakelist(): the wake-up itself is sent to the cpu, which then reschedules."""
    run = played(REMOTE.format(1))
    woke = run.named("enqueue", "b")[1].at
    assert run.named("run", "b")[1].at - woke < 100_000


def test_a_groups_entity_asks_for_its_tasks_shortest_slice() -> None:
    """enqueue_task_fair(): se->slice = cfs_rq_min_slice() of the group's queue."""
    lines = (
        "task a 0 1 0 - run:-\ntask b 0 1 0 - run:1000000 sleep:5000000 loop\n"
        "cgroup b 9 100\nslice a 50000000\nslice b 200000\nuntil 60000000"
    )
    run = one_cpu(lines)
    woke = [c for c in run.named("enqueue", "b") if c.at > 0]
    ran = {at for at, task in run.order() if task == "b"}
    assert sum(c.at in ran for c in woke) >= len(woke) - 1
