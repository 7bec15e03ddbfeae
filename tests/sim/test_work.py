"""The driver of plans: each phase and each metric, in cases small enough to be worked out by hand.

The machine has no costs here and the scheduler is fifo, so that every time is exact.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from schedc.sim.build import runtime
from schedc.source import Source
from schedc.workload import registry
from schedc.workload.plan import plan_text
from schedc.workload.read import read_workload
from schedc.workload.results import Result, parse_result

MS = 1_000_000


@pytest.fixture(scope="module")
def program() -> Path:
    return runtime("debug")


def simulate(program: Path, plan: str, tmp_path: Path, cpus: int = 1,
             scheduler: str = "fifo", costs: str = "") -> dict[str, Any]:
    (tmp_path / "plan").write_text(plan)
    (tmp_path / "machine").write_text(f"cpus {cpus}\n{costs}")
    done = subprocess.run(
        [program, "--scheduler", scheduler, "--plan", tmp_path / "plan", "--machine",
         tmp_path / "machine"],
        capture_output=True, text=True, timeout=120, check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    data: dict[str, Any] = json.loads(done.stdout)
    assert data["verdict"]["kind"] == 0
    return data


def measured(data: dict[str, Any]) -> Result:
    return parse_result("phases", json.dumps(data["workload"]))


def made(body: str, metric: str, duration: str = "100ms", cpus: int = 1, seed: int = 1) -> str:
    text = (
        f'format = 1\nname = "w"\ndescription = "d"\nmetrics = ["{metric}"]\n'
        + (f'[params.duration]\ndefault = "{duration}"\ndoc = "d"\n' if duration else "") + body
    )
    workload, found = read_workload(Source.from_text("w.toml", text))
    assert workload is not None, found
    return plan_text(workload, registry.settings(workload, [])[0], seed, cpus)


def group(name: str, phases: str, more: str = 'loop = "forever"') -> str:
    return f"[groups.{name}]\n{more}\nphases = [{phases}]\n"


@pytest.mark.parametrize("name", registry.names())
@pytest.mark.parametrize("scheduler", ["fifo", "eevdf"])
def test_every_workload_runs_and_gives_its_metrics(
    program: Path, tmp_path: Path, name: str, scheduler: str
) -> None:
    workload, _, _ = registry.find(name)
    assert workload is not None
    short = {"duration": "duration=1s" if workload.commands else "duration=100ms",
             "warmup": "warmup=20ms", "shorts": "shorts=7", "jobs": "jobs=20",
             "loops": "loops=50"}
    given = [text for key, text in short.items() if key in workload.params]
    values, wrong = registry.settings(workload, given)
    assert not wrong
    plan = plan_text(workload, values, 3, 4)
    first = simulate(program, plan, tmp_path, 4, scheduler)
    result = measured(first)
    missing = {metric for metric in workload.metrics if result.value(metric) is None}
    assert missing <= {"victim_wait_p99"}
    # The same plan gives the same figures, to the last digit.
    assert simulate(program, plan, tmp_path, 4, scheduler) == first


def test_run_sleep_count(program: Path, tmp_path: Path) -> None:
    plan = made(group("a", '{ do = "run", time = "3ms" }, { do = "sleep", time = "2ms" }, '
                           '{ do = "count" }'), "throughput")
    data = simulate(program, plan, tmp_path)
    # Turns of 5 ms; the last ends with the window and no longer counts.
    assert measured(data).values["throughput"] == 190
    assert data["ended_ns"] == 100 * MS
    (only,) = data["groups"]
    assert only["name"] == "a" and only["cpu_ns"] == 60 * MS


def test_a_request_counts_from_its_schedule(program: Path, tmp_path: Path) -> None:
    """A request every 2 ms, 3 ms of work each: the k-th is done at 2 + 3 k, 2 k after its time."""
    body = "[channels.c]\n" + group(
        "in", '{ do = "sleep", time = "2ms", schedule = true }, '
              '{ do = "wake", on = "c", stamp = "schedule" }', 'loop = "forever"\nnice = -5'
    ) + group("out", '{ do = "wait", on = "c" }, { do = "run", time = "3ms" }, '
                     '{ do = "mark", measure = "request" }')
    data = simulate(program, made(body, "request_p50", "20ms"), tmp_path, 2)
    histogram = data["workload"]["histograms"]["request"]
    # Done by 20 ms: at 5, 8, 11, 14, 17 (3 to 7 ms each). Open: those of 12, 14, 16 and 18 ms.
    assert histogram["min"] == 2 * MS and histogram["max"] == 8 * MS
    assert data["workload"]["values"]["throughput"] == 250
    assert histogram["sum"] == (3 + 4 + 5 + 6 + 7) * MS + (8 + 6 + 4 + 2) * MS
    assert data["workload"]["censored"] == 4


def test_wakeups_count_until_the_task_runs(program: Path, tmp_path: Path) -> None:
    """On one cpu, fifo: the sleeper is due while the hog has 20 ms of slice left."""
    body = group("hog", '{ do = "run", time = "100ms" }') + group(
        "a", '{ do = "sleep", time = "5ms", measure = "wakeup" }, { do = "run", time = "1ms" }'
    )
    histogram = simulate(program, made(body, "wakeup_p50", "70ms"), tmp_path)["workload"][
        "histograms"]["wakeup"]
    # Each time it waits for what is left of the hog's slice; never longer than one and a tick.
    assert histogram["count"] >= 2
    assert histogram["min"] >= 10 * MS and histogram["max"] <= 24 * MS


def test_frames_and_their_deadlines(program: Path, tmp_path: Path) -> None:
    phases = ('{ do = "sleep", time = "10ms", schedule = true }, '
              '{ do = "run", time = { dist = "empirical", values = ["4ms"] } }, '
              '{ do = "mark", measure = "frame", deadline = "%s" }')
    for deadline, missed in (("4ms", 0), ("3999us", 1)):
        data = simulate(program, made(group("a", phases % deadline), "missed"), tmp_path)
        assert data["workload"]["values"]["missed"] == missed
        assert data["workload"]["histograms"]["frame"]["max"] == 4 * MS


def test_a_missed_schedule_stays_or_begins_anew(program: Path, tmp_path: Path) -> None:
    """4 ms of work every 10 ms, after a first turn that takes 30 ms longer."""
    for anew, turns in (("false", 10), ("true", 8)):
        phases = (f'{{ do = "sleep", time = "10ms", schedule = true, anew = {anew} }}, '
                  '{ do = "lock", name = "l" }, { do = "run", time = "4ms" }, '
                  '{ do = "unlock", name = "l" }, { do = "count" }')
        once = group("once", '{ do = "lock", name = "l" }, { do = "run", time = "36ms" }, '
                             '{ do = "unlock", name = "l" }', "loop = 1")
        plan = made(once + group("a", phases), "throughput", "106ms")
        data = simulate(program, plan, tmp_path, 2)
        assert round(data["workload"]["values"]["throughput"] * 0.106) == turns


def test_barriers_locks_and_jobs(program: Path, tmp_path: Path) -> None:
    job = ('{ do = "sleep", time = "7ms" }, { do = "barrier", name = "b" }, '
           '{ do = "lock", name = "l" }, { do = "run", time = "2ms" }, '
           '{ do = "unlock", name = "l" }')
    plan = made(group("job", job, 'count = 3\nrole = "job"') + group(
        "late", '{ do = "sleep", time = "10ms" }, { do = "barrier", name = "b" }', "loop = 1"
    ), "makespan", "")
    data = simulate(program, plan, tmp_path, 4)
    values = data["workload"]["values"]
    # All begin at 10 ms, from where jobs count, and hold the lock in turn.
    assert (values["makespan"], values["mean_completion"]) == (6 * MS, 4 * MS)
    assert data["ended_ns"] == 16 * MS


def test_a_task_that_ends_holds_no_barrier_up(program: Path, tmp_path: Path) -> None:
    plan = made(group("a", '{ do = "barrier", name = "b" }, { do = "run", time = "1ms" }',
                      'role = "job"\nloop = 3') +
                group("b", '{ do = "barrier", name = "b" }', "loop = 1"), "makespan", "")
    assert simulate(program, plan, tmp_path)["workload"]["values"]["makespan"] == 3 * MS


def test_full_channels_and_lost_posts(program: Path, tmp_path: Path) -> None:
    taker = group("b", '{ do = "wait", on = "c" }, { do = "run", time = "5ms" }, '
                       '{ do = "count", what = "forks" }')
    for channel, given in (("capacity = 2", 22), ("capacity = 0", 100), ("keep = false", 100)):
        giver = group("a", '{ do = "wake", on = "c" }, { do = "count" }, '
                           '{ do = "sleep", time = "1ms" }')
        data = simulate(program, made(f"[channels.c]\n{channel}\n{taker}{giver}", "forks"),
                        tmp_path, 2)
        values = data["workload"]["values"]
        assert abs(values["throughput"] * 0.1 - given) <= 1, channel
        assert abs(values["forks"] * 0.1 - (20 if "keep" not in channel else 17)) <= 3, channel


def test_fork_join_and_life(program: Path, tmp_path: Path) -> None:
    body = group("a", '{ do = "fork", group = "c", count = 3 }, { do = "join" }, { do = "count" }')
    body += group("c", '{ do = "run", time = "2ms" }', 'start = "forked"')
    data = simulate(program, made(body, "child_life_p50"), tmp_path)
    assert data["workload"]["values"]["throughput"] == pytest.approx(160, abs=10)
    life = data["workload"]["histograms"]["child_life"]
    # One after another on the one cpu.
    assert (life["min"], life["max"]) == (2 * MS, 6 * MS)


def test_forks_take_time_one_after_another_and_their_children_too(
    program: Path, tmp_path: Path
) -> None:
    """Each fork() ends before the next begins; page faults and exit are the child's own time."""
    body = group("a", '{ do = "fork", group = "c", count = 2 }, { do = "join" }', "loop = 1")
    body += group("c", '{ do = "run", time = "2ms" }', 'start = "forked"\nloop = 1')
    costs = "cost fork 300000\ncost exit 500000\n"
    data = simulate(program, made(body, "child_life_p50"), tmp_path, 4, costs=costs)
    life = data["workload"]["histograms"]["child_life"]
    assert (life["min"], life["max"]) == (2_500_000, 2_500_000)
    # 300 us, 600 us: the second child is there when the first fork is paid for.
    assert data["ended_ns"] == 2_800_000


def test_a_lazy_preemption_waits_for_the_end_of_a_system_call(
    program: Path, tmp_path: Path
) -> None:
    """PREEMPT_LAZY: a timer's interrupt that comes amid a fork() doesn't break it off."""
    body = group("s", '{ do = "sleep", time = "1ms", measure = "wakeup" }', "loop = 1")
    body += group("a", '{ do = "run", time = "1us" }, { do = "fork", group = "c", count = 1 }, '
                       '{ do = "run", time = "5ms" }', "loop = 1")
    body += group("c", '{ do = "run", time = "10us" }', 'start = "forked"\nloop = 1')
    plan = made(body, "wakeup_p50")
    # 1 us of work, the fork's 3 ms, and the child, which is new, goes first.
    for cost, late in ((3 * MS, 2_011_000), (0, 10_000)):
        data = simulate(program, plan, tmp_path, 1, "eevdf", f"tick_phase 0\ncost fork {cost}\n")
        assert data["workload"]["histograms"]["wakeup"]["max"] == late


def test_a_program_begins_at_any_moment_between_two_ticks(program: Path, tmp_path: Path) -> None:
    """Nothing ties a program's start to tick_setup_sched_timer()'s ticks. Of two hogs the second
    begins at the first tick; that is where the machine file says, else where the seed does."""
    body = group("h", '{ do = "run", time = "1s" }') + group(
        "v", '{ do = "run", time = "1s" }', 'role = "victim"\nloop = "forever"'
    )

    def first_tick(seed: int, machine: str) -> float:
        plan = made(body, "victim_longest", "4ms", seed=seed)
        data = simulate(program, plan, tmp_path, 1, "eevdf", machine)
        return float(data["workload"]["values"]["victim_longest"])

    assert [first_tick(seed, "tick_phase 1500000\n") for seed in (1, 2)] == [1.5 * MS] * 2
    drawn = [first_tick(seed, "") for seed in range(1, 21)]
    assert [first_tick(seed, "") for seed in range(1, 21)] == drawn
    assert len(set(drawn)) > 15
    assert min(drawn) < MS < 3 * MS < max(drawn)


def test_victims_hogs_background_and_groups(program: Path, tmp_path: Path) -> None:
    body = "".join(
        group(name, '{ do = "run", time = "1s" }', f'role = "{role}"\nloop = "forever"')
        for name, role in (("v", "victim"), ("h", "hog"), ("b", "background"))
    )
    data = simulate(program, made(body, "victim_share", "1200ms"), tmp_path)
    values = data["workload"]["values"]
    # Three tasks take turns of 20 ms, which end at a tick (every 4 ms).
    assert values["victim_longest"] == values["hog_longest"] == 40 * MS
    assert values["victim_share"] == pytest.approx(1 / 3, abs=0.01)
    assert values["background"] == pytest.approx(1 / 3, abs=0.01)


def test_misallocated_is_what_went_beyond_the_weights(program: Path, tmp_path: Path) -> None:
    body = group("x", '{ do = "run", time = "1s" }',
                 'cgroup = "/x"\nweight = 300\nrole = "shared"\nloop = "forever"')
    body += group("y", '{ do = "run", time = "1s" }',
                  'cgroup = "/y"\nweight = 100\nrole = "shared"\nloop = "forever"')
    data = simulate(program, made(body, "misallocated", "1s"), tmp_path)
    # Fifo gives each half; a quarter of all should have gone to the other.
    assert data["workload"]["values"]["misallocated"] == pytest.approx(0.25, abs=0.01)


def test_open_waits_count_at_the_end(program: Path, tmp_path: Path) -> None:
    body = group("hog", '{ do = "run", time = "1s" }', 'count = 1\nloop = "forever"')
    body += group("v", '{ do = "run", time = "1s" }', 'role = "victim"\nloop = "forever"')
    data = simulate(program, made(body, "victim_longest", "15ms"), tmp_path)
    assert data["workload"]["values"]["victim_longest"] == 15 * MS
    assert data["workload"]["values"]["victim_share"] == 0


def test_cpus_own_and_lists(program: Path, tmp_path: Path) -> None:
    body = group("own", '{ do = "run", time = "1ms" }, { do = "count" }',
                 'per = "cpu"\naffinity = "own"\nloop = "forever"')
    body += group("one", '{ do = "run", time = "1ms" }, { do = "count", what = "forks" }',
                  'affinity = [1]\nloop = "forever"')
    data = simulate(program, made(body, "forks", "400ms", 2), tmp_path, 2)
    values = data["workload"]["values"]
    # The one shares cpu 1 with that cpu's own; cpu 0's has its cpu alone.
    assert values["forks"] == pytest.approx(500, rel=0.1)
    assert values["throughput"] == pytest.approx(1500, rel=0.1)


def test_a_task_without_work_is_no_endless_loop(program: Path, tmp_path: Path) -> None:
    data = simulate(program, made(group("a", '{ do = "count" }'), "throughput"), tmp_path)
    # An empty turn costs a microsecond.
    assert 50_000 <= data["workload"]["values"]["throughput"] <= 2_100_000


@pytest.mark.parametrize("damage", ["rubbish", "schedc-plan 1\n", "schedc-plan 1\nseed x\n"])
def test_bad_plans_are_refused(program: Path, tmp_path: Path, damage: str) -> None:
    (tmp_path / "plan").write_text(damage)
    done = subprocess.run([program, "--scheduler", "fifo", "--plan", tmp_path / "plan"],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("schedc-sim: ") and done.stderr.count("\n") == 1
