"""Plans: what Python writes is what the C reads, and nothing else makes the C stumble."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from schedc.source import Source
from schedc.workload import registry
from schedc.workload.plan import BadPlan, plan_text
from schedc.workload.read import read_workload

EVERYTHING = """\
format = 1
name = "all"
description = "every phase, property and distribution"
metrics = ["wakeup_p50", "missed", "victim_longest", "forks"]
order = "file"

[params.n]
default = 2
doc = "tasks"

[params.name]
default = "left"
choices = ["left", "right"]
doc = "a name"

[params.duration]
default = "1s"
doc = "time"

[channels.box]
per = "boss"
capacity = 3

[channels.bell]
keep = false

[groups.boss]
count = "$n"
role = "victim"
loop = "forever"
phases = [
  { do = "sleep", time = "2ms", schedule = true, measure = "wakeup" },
  { do = "sleep", time = "2ms", schedule = true, anew = true },
  { do = "wake", on = "box", count = "$n", stamp = "schedule" },
  { do = "wake", on = "bell", count = "all" },
  { do = "mark", measure = "frame", deadline = "5ms" },
  { do = "fork", group = "child", count = 2 },
  { do = "join" },
  { do = "count", what = "forks" },
]

[groups.worker]
count = 1
per = "boss"
comm = "$name"
nice = -5
cgroup = "/a/b"
weight = 50
loop = "$n"
delay = "1ms"
phases = [
  { do = "barrier", name = "start" },
  { do = "lock", name = "heap" },
  { do = "wait", on = "bell", lock = "heap" },
  { do = "unlock", name = "heap" },
  { do = "wait", on = "box", count = 2, measure = "wakeup" },
  { do = "stamp" },
  { do = "run", time = { dist = "uniform", mean = "1ms", spread = "10%" } },
  { do = "run", time = { dist = "exponential", mean = "1ms" } },
  { do = "run", time = { dist = "lognormal", median = "1ms", sigma = "50%" } },
  { do = "run", time = { dist = "empirical", values = ["1us", "2us"], weights = [3, 1] } },
  { do = "yield" },
  { do = "mark", measure = "request" },
]

[groups.pinned]
per = "cpu"
affinity = "own"
task = "kernel"
phases = [{ do = "run", time = "1ms" }]

[groups.some]
affinity = [0, 2]
phases = [{ do = "run", time = "1ms" }]

[groups.child]
start = "forked"
task = "process"
phases = [{ do = "run", time = "1ms" }, { do = "exit" }]
"""

GOLDEN = """\
schedc-plan 1
seed 7
warmup 0
duration 1000000000
limit 60000000000
locks 1
channel 0 0 2 3 1
channel - 2 1 0 0
barrier 2
group boss
comm boss
role victim
loop forever
period wakeup fixed 2000000
interval - fixed 2000000
wake 0 2 schedule
wake 1 0 now
mark frame 5000000
fork 4 2
join
count forks
group worker
comm left
nice -5
cgroup /a/b 50
process
per 0
delay 1000000
loop 2
barrier_wait 0
lock 0
wait 1 1 - 0
unlock 0
wait 0 2 wakeup -
stamp
run uniform 1000000 10
run exponential 1000000
run lognormal 1000000 50
run empirical 2 1000 3 2000 1
yield
mark request 0
group pinned
comm pinned
cpus own
kthread
loop 1
run fixed 1000000
group some
comm some
cpus 0 2
loop 1
run fixed 1000000
group child
comm child
process
loop 1
run fixed 1000000
exit
task 0 0 - -
task 0 1 - -
task 1 0 0 -
task 1 1 1 -
task 2 0 - 0
task 2 1 - 1
task 3 0 - -
"""


def everything() -> str:
    workload, found = read_workload(Source.from_text("all.toml", EVERYTHING))
    assert not found and workload is not None
    return plan_text(workload, registry.settings(workload, [])[0], 7, 2)


def parsed(program: Path, texts: list[bytes]) -> list[tuple[bool, int, str]]:
    """Whether each text is a plan, how many tasks it has, and what is wrong."""
    data = b"".join(b"%d\n%s" % (len(text), text) for text in texts)
    done = subprocess.run([program, "fuzz"], input=data, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[:2000]
    lines = done.stdout.decode(errors="replace").splitlines()
    assert len(lines) == len(texts)
    parts = [line.split(" ", 2) for line in lines]
    return [(part[0] == "0", int(part[1]), part[2]) for part in parts]


def test_every_phase_property_and_distribution_is_written() -> None:
    assert everything() == GOLDEN


@pytest.mark.parametrize("cpus", [1, 2, 64])
def test_the_parser_reads_what_is_written(phases: Path, cpus: int) -> None:
    texts = [everything().encode()]
    for name in registry.names():
        workload, _, _ = registry.find(name)
        assert workload is not None
        values, _ = registry.settings(workload, [])
        texts.append(plan_text(workload, values, 1, cpus).encode())
    for text, (good, tasks, wrong) in zip(texts, parsed(phases, texts), strict=True):
        assert good, (wrong, text[:300])
        assert tasks == text.count(b"\ntask ")


def test_mistakes_are_told_with_their_line(phases: Path) -> None:
    good = GOLDEN.encode()
    cases = {
        (b"schedc-plan 1", b"schedc-plan 2"): "line 1",
        (b"seed 7", b"seed x"): "line 2: seed must be a number",
        (b"seed 7\n", b"seed 7\nseed 7\n"): "line 3: seed is there twice",
        (b"seed 7", b"seed 18446744073709551616"): "seed must be",
        (b"join", b"jion"): "no word that is known",
        (b"join", b"join 1"): "too much on it",
        (b"wake 0 2 schedule", b"wake 2 2 schedule"): "isn't there",
        (b"fork 4 2", b"fork 5 2"): "isn't there",
        (b"lock 0\nwait", b"lock 1\nwait"): "isn't there",
        (b"barrier_wait 0", b"barrier_wait 1"): "isn't there",
        (b"channel - 2 1", b"channel - 3 1"): "base",
        (b"empirical 2 1000 3", b"empirical 3 1000 3"): "must be a number",
        (b"task 1 1 1 -", b"task 1 0 1 -"): "numbered from 0",
        (b"task 1 1 1 -", b"task 1 1 2 -"): "belongs to one that isn't there",
        (b"task 2 1 - 1", b"task 2 1 - -"): "have no cpu",
        (b"nice -5", b"nice -21"): "nice must be",
        (b"comm left", b"comm much_too_long_name"): "comm",
        (b"uniform 1000000 10", b"uniform 1000000 101"): "spread",
    }
    texts = [good.replace(old, new, 1) for old, new in cases]
    assert all(text != good for text in texts)
    for (good_one, _, said), wanted in zip(parsed(phases, texts), cases.values(), strict=True):
        assert not good_one
        assert wanted in said, (wanted, said)


def test_rubbish_does_no_harm(phases: Path) -> None:
    """Damaged plans under the address sanitizer: cut, with bytes changed, lines mixed, doubled."""
    chance = random.Random(5)
    whole = everything().encode()
    lines = whole.splitlines(keepends=True)
    words = sorted({word for line in lines for word in line.split()})
    texts = [whole[:cut] for cut in range(0, len(whole), 7)]
    for _ in range(3000):
        text = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            text[chance.randrange(len(text))] = chance.choice(b"0123456789 -\n\x00\xffaz")
        texts.append(bytes(text))
    for _ in range(1500):
        some = [*lines]
        for _ in range(chance.randint(1, 5)):
            line = chance.choice(some).split(b" ")
            line[chance.randrange(len(line))] = chance.choice(words)
            some[chance.randrange(len(some))] = b" ".join(line).rstrip(b"\n") + b"\n"
        texts.append(b"".join(some))
    results = parsed(phases, texts)
    assert sum(not good for good, _, _ in results) > 1000
    assert all(said for good, _, said in results if not good)


def test_the_order_is_drawn_by_the_seed() -> None:
    workload, _, _ = registry.find("batch")
    assert workload is not None
    values, _ = registry.settings(workload, ["shorts=9"])

    def order(seed: int) -> list[str]:
        text = plan_text(workload, values, seed, 8)
        return [line for line in text.splitlines() if line.startswith("task ")]

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(6)}) > 3
    assert sorted(order(1)) == sorted(order(2))


def test_a_plan_without_tasks_is_none() -> None:
    workload, _ = read_workload(Source.from_text("none.toml", EVERYTHING.split("[groups.worker]")[0]
                                                 .replace("count = \"$n\"\nrole", "count = 0\nrole")
                                                 .replace('  { do = "fork", group = "child", '
                                                          'count = 2 },\n', "")))
    assert workload is not None
    with pytest.raises(BadPlan, match="no task"):
        plan_text(workload, registry.settings(workload, [])[0], 1, 2)
