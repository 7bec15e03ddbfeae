"""Where the simulator's fair class puts tasks, and how it moves them: the kernel's rules (6.18).

select_task_rq_fair(), and load balancing: newly idle, periodic, no-hz, active.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.sim.eevdf import MS, Played, played

SMT = "\n".join(f"machine cpu {i} core {i // 2} llc 0 node 0 capacity 1024" for i in range(4))
TWO_LLCS = "\n".join(
    f"machine cpu {i} core {i} llc {i // 2} node 0 capacity 1024" for i in range(4)
)


def hogs(count: int, cpu: int = 0, mask: str = "f") -> str:
    return "\n".join(f"task h{i} {cpu} {mask} 0 - run:-" for i in range(count))


def mask_cpus(mask: str) -> list[int]:
    """The cpus of a hexadecimal mask."""
    return [cpu for cpu in range(64) if int(mask, 16) >> cpu & 1]


def last_cpus(run: Played) -> dict[str, int]:
    return {call.task: call.cpu for call in run.named("run")}


def chosen(run: Played, task: str, since: int = 1) -> list[int]:
    """The cpus that its wake-ups chose."""
    return [call.cpu for call in run.named("select", task) if call.at >= since]


# --- new tasks -----------------------------------------------------------------------------------


def test_new_tasks_go_to_idle_cpus() -> None:
    """sched_balance_find_dst_cpu(): the group with most idle cpus, its cpu that idles."""
    run = played(f"machine cpus 4\n{hogs(4)}\nuntil 20000000")
    assert sorted(last_cpus(run).values()) == [0, 1, 2, 3]


def test_new_tasks_take_a_core_each_before_they_share_one() -> None:
    """A core with both threads idle is the idler group."""
    run = played(f"machine cpus 4\n{SMT}\n{hogs(2)}\nuntil 20000000")
    assert len({cpu // 2 for cpu in last_cpus(run).values()}) == 2


def test_new_tasks_are_spread_over_the_caches() -> None:
    """From the machine down: the cache domain with more idle cpus first."""
    run = played(f"machine cpus 4\n{TWO_LLCS}\n{hogs(2)}\nuntil 20000000")
    assert len({cpu // 2 for cpu in last_cpus(run).values()}) == 2


@pytest.mark.parametrize(("machine", "mask"), [("", "ff"), ("", "fe"), (TWO_LLCS, "f")])
def test_new_tasks_of_one_instant_go_to_the_least_loaded_cpus(machine: str, mask: str) -> None:
    """Each counts for the next: sched_balance_find_dst_group_cpu() takes the least cpu_load(), in
    a group that is better than the forker's own by more than a margin."""
    cpus = 4 if machine else 8
    may = mask_cpus(mask)
    run = played(f"machine cpus {cpus}\n{machine}\n{hogs(5 * len(may), may[0], mask)}\nuntil 1000")
    began = Counter(call.cpu for call in run.named("enqueue"))
    assert sorted(began) == may
    assert max(began.values()) - min(began.values()) <= (2 if machine else 0)


# --- wake-ups ------------------------------------------------------------------------------------


def test_a_task_wakes_where_it_was_if_that_cpu_is_idle() -> None:
    """select_idle_sibling(): target = prev, idle."""
    run = played("machine cpus 4\ntask a 2 f 0 - run:100000 sleep:1000000 loop\nuntil 20000000")
    assert len(set(chosen(run, "a"))) == 1


def test_a_task_whose_cpu_is_busy_wakes_on_an_idle_one() -> None:
    """select_idle_cpu(): the next idle cpu under the same cache."""
    run = played(
        f"machine cpus 4\n{hogs(1, 0, '1')}\ntask a 0 1 0 - run:100000 sleep cpus:a:f run:100000 "
        "sleep\nat 5000000 wake:a cpus:a:f\nat 9000000 wake:a\nuntil 20000000"
    )
    assert chosen(run, "a", 9 * MS)
    assert all(cpu != 0 for cpu in chosen(run, "a", 9 * MS))


def test_the_waker_pulls_a_task_to_its_idle_cache_domain_only_if_it_is_lighter() -> None:
    """wake_affine_weight(): prev's cpu and the waker's are busy; the lighter one is the target."""
    text = (
        f"machine cpus 4\n{TWO_LLCS}\n"
        "task p0 2 4 0 - run:-\ntask p1 2 4 0 - run:-\ntask p2 3 8 0 - run:-\n"
        "task q 1 2 0 - run:-\n"
        "task a 2 4 0 - run:100000 sleep run:100000 sleep\n"
        "task w 0 1 0 - run:200000 sleep:60000000 run:100000 wake:a run:1000000\n"
        "at 50000000 cpus:a:f\nuntil 70000000"
    )
    run = played(text)
    assert chosen(run, "a", 60 * MS)
    assert all(cpu in (0, 1) for cpu in chosen(run, "a", 60 * MS))


def test_a_synchronous_waker_alone_on_its_cpu_hands_it_over() -> None:
    """wake_affine_idle(): sync, one task runs there: this cpu; then idle siblings come first."""
    text = (
        f"machine cpus 4\n{TWO_LLCS}\n"
        "task p0 2 4 0 - run:-\ntask p1 3 8 0 - run:-\ntask q 1 2 0 - run:-\n"
        "task a 2 4 0 - run:100000 sleep run:100000 sleep\n"
        "task w 0 1 0 - run:200000 sleep:60000000 run:100000 sync:a sleep\n"
        "at 50000000 cpus:a:f\nuntil 70000000"
    )
    assert chosen(played(text), "a", 60 * MS) == [0]


def test_a_wakeup_prefers_a_core_that_is_wholly_idle() -> None:
    """select_idle_core()."""
    run = played(
        f"machine cpus 4\n{SMT}\ntask h 0 1 0 - run:-\n"
        "task a 0 1 0 - run:100000 sleep run:100000 sleep\n"
        "at 9000000 cpus:a:f\nat 10000000 wake:a\nuntil 20000000"
    )
    assert chosen(run, "a", 10 * MS)
    assert all(cpu >= 2 for cpu in chosen(run, "a", 10 * MS))


def test_affinity_is_respected_wherever_a_task_wakes_or_is_moved() -> None:
    run = played(
        f"machine cpus 4\n{hogs(6)}\ntask a 1 6 0 - run:300000 sleep:700000 loop\n"
        "task b 1 2 0 - run:-\nuntil 300000000"
    )
    assert {call.cpu for call in run.named("run", "a")} <= {1, 2}
    assert {call.cpu for call in run.named("run", "b")} == {1}


# --- balancing -----------------------------------------------------------------------------------


TWO_AND_ONE = (
    "machine cpus 2\ntask a 0 1 0 - run:-\ntask b 0 1 0 - run:-\n"
    "task c 1 2 0 - run:{} sleep\nat 5000000 cpus:a:3 cpus:b:3\nuntil 30000000"
)


def test_a_cpu_that_runs_out_of_work_takes_some() -> None:
    """sched_balance_newidle(): it pulls a task before it idles."""
    run = played(TWO_AND_ONE.format(22_000_000))
    pulled = run.named("attach")[0]
    assert pulled.cpu == 1
    assert pulled.at == run.named("dequeue", "c")[0].at
    assert run.order(since=pulled.at)[0] == (pulled.at, pulled.task)


def test_a_task_that_ran_half_a_millisecond_ago_stays() -> None:
    """task_hot(): sysctl_sched_migration_cost."""
    run = played(TWO_AND_ONE.format(20_300_000))
    assert run.named("dequeue", "c")[0].at < 20_500_000
    assert run.named("attach")[0].at >= 24 * MS


def test_piled_up_hogs_are_spread() -> None:
    """No-hz balancing for the idle cpus: at a busy cpu's tick, within a few balance intervals."""
    freed = "cpus:h1:f cpus:h2:f cpus:h3:f"
    run = played(f"machine cpus 4\n{hogs(4, 0, '1')}\nat 2000000 {freed}\nuntil 400000000")
    assert sorted(last_cpus(run).values()) == [0, 1, 2, 3]
    moved = [call.at for call in run.named("attach")]
    assert moved
    assert max(moved) <= 60 * MS


def test_eight_hogs_on_four_cpus_are_two_each() -> None:
    """Periodic balance between busy cpus, by load: busy cpus wait sixteen times as long."""
    lines = hogs(8, 0, "1")
    freed = " ".join(f"cpus:h{i}:f" for i in range(8))
    run = played(f"machine cpus 4\n{lines}\nat 2000000 {freed}\nuntil 2000000000")
    got = [run.ran(f"h{i}", 2000 * MS, 1000 * MS) for i in range(8)]
    assert sum(got) == 4000 * MS
    assert min(got) >= 400 * MS


def test_hogs_on_one_core_are_parted_when_another_core_is_idle() -> None:
    """Active balance: each is alone on its cpu, so the stopper must push one off."""
    run = played(
        f"machine cpus 4\n{SMT}\ntask a 0 1 0 - run:-\ntask b 1 2 0 - run:-\n"
        "at 4000000 cpus:a:f cpus:b:f\nuntil 1000000000"
    )
    cpus = last_cpus(run)
    assert cpus["a"] // 2 != cpus["b"] // 2


def test_a_balanced_machine_is_left_alone() -> None:
    """find_busiest_group(): as many tasks as cpus, nothing moves."""
    run = played(f"machine cpus 4\n{hogs(4)}\nuntil 1000000000")
    assert not run.named("attach")


def test_pinned_hogs_do_not_keep_others_from_being_balanced() -> None:
    """LBF_ALL_PINNED, group_imbalanced: the unpinned one leaves the crowded cpu."""
    lines = "task p0 0 1 0 - run:-\ntask p1 0 1 0 - run:-\ntask a 0 1 0 - run:-"
    run = played(f"machine cpus 2\n{lines}\nat 2000000 cpus:a:3\nuntil 500000000")
    assert last_cpus(run)["a"] == 1


def test_group_shares_follow_the_groups_load_over_the_cpus() -> None:
    """calc_group_shares(): 100 to 300 over two cpus, with hogs of both on each."""
    lines = [f"task a{i} 0 3 0 - run:-\ncgroup a{i} 7 100" for i in range(4)]
    lines += [f"task b{i} 0 3 0 - run:-\ncgroup b{i} 8 300" for i in range(4)]
    run = played("machine cpus 2\n" + "\n".join(lines) + "\nuntil 4000000000")
    since, until = 1000 * MS, 4000 * MS
    b = sum(run.ran(f"b{i}", until, since) for i in range(4))
    assert b / (2 * (until - since)) == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize("cpus", [1, 2, 4, 8, 16])
def test_the_base_slice_grows_with_the_machine(cpus: int) -> None:
    """700 us times 1 + ilog2(cpus), of at most 8 cpus."""
    run = played(f"machine cpus {cpus}\ntask a 0 1 0 - run:1000\nuntil 100000")
    assert run.named("run", "a")[0].of["slice"] == 700_000 * min(cpus, 8).bit_length()


def test_load_and_utilisation_of_a_hog_become_full_and_halve_in_32_ms_of_sleep() -> None:
    """PELT: y^32 = 1/2, a period is 1024 us."""
    run = played(
        "machine cpus 2\ntask a 0 1 0 - run:400000000 sleep:32768000 run:1000\nuntil 600000000"
    )
    slept, woke = run.named("dequeue", "a")[0].of, run.named("enqueue", "a")[1].of
    assert slept["util"] >= 1000
    assert slept["load"] >= 1000
    assert woke["util"] == pytest.approx(slept["util"] / 2, rel=0.03)
