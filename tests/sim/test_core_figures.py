"""Time and costs, what a run measures, scripts, and what a debug build notices."""

from __future__ import annotations

import pytest

from tests.sim.probe import attempt, played

# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capacity", "ended"), [(1024, 90000), (512, 180000), (1, 92160000), (1000, 92160)]
)
def test_work_goes_at_the_cpus_capacity(capacity: int, ended: int) -> None:
    run = played(f"""
        machine cpus 1
        machine cpu 0 capacity {capacity}
        task a 0 1 0 - run:90000
        """)
    assert run.result["ended_ns"] == ended


def test_busy_siblings_slow_each_other_down() -> None:
    """Both run at 60% while both are busy: 1000 ns of work take 1000/0.6 ns."""
    run = played("""
        machine cpus 2
        machine cpu 0 core 0
        machine cpu 1 core 0
        machine smt_speed 600
        task a 0 1 0 - run:10000
        task b 1 2 0 - run:600
        """)
    (b,) = [call.at for call in run.of("dequeue") if call.task == "b"]
    assert b in (1000, 1001, 1002)  # 614/1024 is a little less than 0.6
    assert abs(run.result["ended_ns"] - (b + 9400)) <= 2


def test_costs_are_paid_before_work_goes_on() -> None:
    """The switch from a to b, b's new core, and the tick are b's to pay."""
    run = played("""
        machine cpus 2
        machine hz 1000
        machine cost context_switch 300
        machine cost tick 50
        machine cost migrate_core 2000
        task a 0 1 0 - run:1000
        task b 0 1 0 - run:1000 sleep:1000 run:1000000
        at 1500 cpus:b:2
        """)
    # b: from 1000 (+300) to 1500 on cpu 0; 200 ns are done; on cpu 1 it pays 2000 for the new core.
    (slept,) = [call.at for call in run.of("dequeue") if (call.task, call.what) == ("b", "0x1")]
    assert slept == 1500 + 2000 + 800
    assert run.result["ended_ns"] == slept + 1000 + 1000000 + 50


def test_a_waker_pays_for_its_wake_ups_and_the_next_task_for_what_is_left() -> None:
    run = played("""
        machine cpus 2
        machine cost wake 400
        task a 1 2 0 - run:100 sleep run:100 sleep
        task b 0 1 0 - run:1000 wake:a run:1000 wake:a
        task c 0 1 0 - run:500
        """)
    ends = {call.task: call.at for call in run.of("dequeue")}
    assert ends["b"] == 1000 + 400 + 1000
    assert ends["c"] == ends["b"] + 400 + 500


def test_costs_of_callbacks_are_charged_to_who_has_the_cpu_afterwards() -> None:
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 charge:70 run:1000
        """)
    assert run.result["ended_ns"] == 2070


def test_a_task_for_which_time_never_passes_is_an_error() -> None:
    done = attempt("""
        machine cpus 1
        task a 0 1 0 - run:0 loop
        """)
    assert done.returncode == 2
    assert done.stderr == ("schedc-sim: a[1] did 100000 things at 0 ns without any time passing\n")


# --- figures -------------------------------------------------------------------------------------


def test_an_open_wait_counts() -> None:
    """A task that starves to the end of the run can't vanish from the figures."""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:15000000
        task b 0 1 0 - run:10
        until 10000000
        """)
    assert run.result["values"]["longest_wait"] == 10000000
    assert run.result["histograms"]["wait"]["max"] == 10000000
    assert run.result["ended_ns"] == 10000000
    assert run.result["values"]["utilisation"] == 1000000


def test_fairness_is_jains_index() -> None:
    """One of two got everything: 1/2. Sleepers don't count."""
    run = played("""
        machine cpus 1
        task c 0 1 0 - sleep
        task a 0 1 0 - run:-
        task b 0 1 0 - run:-
        until 10000000
        """)
    assert run.result["values"]["fairness"] == 500000
    fair = played("""
        machine cpus 2
        task a 0 1 0 - run:-
        task b 1 2 0 - run:-
        until 10000000
        """)
    assert fair.result["values"]["fairness"] == 1000000


def test_fairness_weighs() -> None:
    """nice -5 is worth 3121 of 1024: with equal shares J = (1+r)²/2(1+r²), r = 1024/3121."""
    run = played("""
        machine cpus 2
        task a 0 1 -5 - run:-
        task b 1 2 0 - run:-
        until 10000000
        """)
    r = 1024 / 3121
    expected = (1 + r) ** 2 / (2 * (1 + r * r))
    assert abs(run.result["values"]["fairness"] / 1e6 - expected) < 1e-4


def test_what_was_warming_up_is_not_in_the_figures() -> None:
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:5000
        task b 0 1 0 - run:5000 sleep:1000 run:5000
        at 6000 reset
        """)
    values = run.result["values"]
    assert run.result["groups"][0]["cpu_ns"] == 9000
    assert values["utilisation"] == 900000
    assert values["longest_wait"] == 5000
    assert run.result["histograms"]["wait"]["count"] == 1


def test_wake_ups_and_switches_are_counted() -> None:
    """events: 4 of the start (2 wake-ups, pick, switch), then sleep, pick, switch; …"""
    run = played("""
        machine cpus 1
        task a 0 1 0 - run:1000 sleep:5000 run:1000
        """)
    values = run.result["values"]
    assert (values["context_switches"], values["idle_wakeups"]) == (4, 2)
    # wake, pick, switch, sleep, pick, switch, wake, pick, switch, exit, pick, switch
    assert run.result["events"] == 12


def test_latency_is_until_work_goes_on() -> None:
    run = played("""
        machine cpus 1
        machine cost context_switch 300
        task a 0 1 0 - run:1000 sleep run:10
        task b 0 1 0 - run:5000
        at 2000 wake:a
        """)
    latency = run.result["histograms"]["latency"]
    # b runs from 1000, pays 300, ends at 6300; a pays 300.
    assert (latency["count"], latency["min"]) == (1, 6300 + 300 - 2000)


# --- a script's runs -----------------------------------------------------------------------------


def test_a_manual_run_has_no_ticks_and_busy_cpus_wait_to_be_told() -> None:
    run = played("""
        manual
        preempt
        machine cpus 1
        machine hz 1000
        task a 0 1 0 - sleep run:-
        task b 0 1 0 - run:-
        at 1000 wake:a
        at 5000000 now:0
        at 6000000 end:0
        until 7000000
        """)
    assert [call.at for call in run.of("set_next") if call.at] == [5000000, 6000000]
    assert not run.of("tick")


# --- what a debug build checks -------------------------------------------------------------------


def broken(scenario: str) -> str:
    done = attempt(scenario)
    assert done.returncode < 0, "nobody noticed"
    return done.stderr.partition("invariant broken at ")[2].strip()


def test_a_lost_task_is_noticed() -> None:
    what = broken("""
        machine cpus 1
        task a 0 1 0 - run:9000
        task b 0 1 0 - run:9000
        at 4000 lose:b
        """)
    assert what == "4000 ns: b[2] is lost"


def test_a_cpu_that_ignores_its_own_queue_is_noticed() -> None:
    what = broken("""
        machine cpus 2
        lazy 1
        task a 1 2 0 - run:9000
        """)
    assert what == "0 ns: cpu 1 is idle and a[1] waits in its queue"


def test_idling_beside_a_shared_queue_is_noticed_if_it_is_promised_not_to() -> None:
    scenario = """
        machine cpus 2
        lazy 1
        select 1
        task a 1 3 0 - run:9000
        until 5000
        """
    assert played(scenario).result["values"]["longest_wait"] == 5000
    assert broken("work-conserving\n" + scenario) == (
        "0 ns: not work-conserving: cpu 0 is idle and a[1] waits"
    )
