"""The fair class under scenarios that nobody thought of: its invariants hold, nobody is left out.

Sleeps, wake-ups, changes of nice and affinity, pinning, higher classes, forks and groups come in
any order. The debug build checks trees, sums, lags and counts after every event.
"""

from __future__ import annotations

import random

import pytest

from tests.sim.eevdf import MS, Played, played

UNTIL = 300 * MS

MACHINES = {
    1: "machine cpus 1",
    3: "machine cpus 3",
    4: "machine cpus 4\n"
    + "\n".join(f"machine cpu {i} core {i // 2} llc 0 node 0 capacity 1024" for i in range(4)),
    8: "machine cpus 8\n"
    + "\n".join(
        f"machine cpu {i} core {i // 2} llc {i // 4} node {i // 4} capacity {1024 - 512 * (i > 5)}"
        for i in range(8)
    ),
}


def acts(rng: random.Random) -> str:
    """What a task does over and over, or to its end."""
    some = []
    for _ in range(rng.randint(1, 4)):
        some.append(f"run:{int(10 ** rng.uniform(3.5, 7.2))}")
        some.append(rng.choice([f"sleep:{int(10 ** rng.uniform(3.5, 7.2))}", "yield", "run:50000"]))
    return " ".join(some) + rng.choice([" loop", " loop", " loop", " run:-", ""])


def change(rng: random.Random, name: str, cpus: int) -> str:
    """Something that happens to a task, or to a cpu, from outside."""
    mask = rng.randint(1, (1 << cpus) - 1)
    cpu = rng.randrange(cpus)
    return rng.choice(
        (
            f"nice:{name}:{rng.randint(-20, 19)}",
            f"cpus:{name}:{mask:x}",
            f"wake:{name}",
            f"resched:{cpu}",
        )
    )


def scenario(seed: int, cpus: int) -> str:
    """A text for the probe."""
    rng = random.Random(seed)
    lines = [MACHINES[cpus]]
    count = rng.randint(2, 5 * cpus)
    for i in range(count):
        mask = rng.choice([(1 << cpus) - 1, rng.randint(1, (1 << cpus) - 1)])
        parent = f"t{rng.randrange(i)}" if i and rng.random() < 0.2 else "-"
        nice = rng.choice([0, 0, 0, rng.randint(-20, 19)])
        lines.append(f"task t{i} {rng.randrange(cpus)} {mask:x} {nice} {parent} {acts(rng)}")
        if parent != "-":
            lines.append(f"at {rng.randint(1, 100 * MS)} start:t{i}")
        if rng.random() < 0.3:
            lines.append(f"slice t{i} {rng.randint(100_000, 100 * MS)}")
        if rng.random() < 0.4:
            group = rng.randint(2, 4)
            lines.append(f"cgroup t{i} {group} {group * 60}")
    alive = [
        line.split()[1] for line in lines if line.startswith("task") and line.split()[5] == "-"
    ]
    for _ in range(rng.randint(0, 20)):
        lines.append(f"at {rng.randint(1, UNTIL)} {change(rng, rng.choice(alive), cpus)}")
    return "\n".join([*lines, f"until {UNTIL}"])


def busy_and_waiting(run: Played) -> None:
    """No negative times; nobody ran for longer than there was time."""
    for group in run.result["groups"]:
        assert group["cpu_ns"] >= 0
    assert run.result["verdict"]["kind"] == 0


@pytest.mark.parametrize("cpus", MACHINES)
@pytest.mark.parametrize("seed", range(10))
def test_invariants_hold_whatever_happens(seed: int, cpus: int) -> None:
    busy_and_waiting(played(scenario(seed * 100 + cpus, cpus)))


@pytest.mark.parametrize("seed", range(5))
def test_the_same_scenario_gives_the_same_run(seed: int) -> None:
    """Determinism: no address, no clock, no hash decides anything."""
    text = scenario(9000 + seed, 8)
    assert played(text) == played(text)


@pytest.mark.parametrize("seed", range(5))
def test_on_one_cpu_no_hog_starves(seed: int) -> None:
    """Everybody's wait is bounded by the weights: at nice 0, by about one slice of each other."""
    rng = random.Random(seed)
    count = rng.randint(2, 8)
    others = "\n".join(f"task s{i} 0 1 0 - {acts(rng)}" for i in range(3))
    hogs = "\n".join(f"task h{i} 0 1 0 - run:-" for i in range(count))
    run = played(f"machine cpus 1\n{hogs}\n{others}\nuntil {UNTIL}")
    for i in range(count):
        times = [call.at for call in run.named("run", f"h{i}")]
        assert max(b - a for a, b in zip(times, [*times[1:], UNTIL], strict=True)) <= (
            (count + 4) * 8 * MS
        )
