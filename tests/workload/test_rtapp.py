"""rt-app's files: what is taken over, and that nothing is left out without a word."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from schedc.source import Source
from schedc.workload import registry
from schedc.workload.check import check_references
from schedc.workload.locate import scan
from schedc.workload.model import (
    Barrier,
    Count,
    Fixed,
    Fork,
    Lock,
    Phase,
    Run,
    Sleep,
    Unlock,
    Wait,
    Wake,
    Workload,
    Yield,
)
from schedc.workload.plan import plan_text
from schedc.workload.rtapp import read_rtapp
from schedc.workload.table import Findings

PLAYER = """\
{
    /* a player: a tick, an output and a decoder that shares a queue with its helper */
    "tasks" : {
        "Tick" : {
            "priority" : -19, "loop" : -1, "cpus" : [0],
            "phases" : {
                "p1" : { "loop" : 1, "resume" : "Out",
                         "timer" : { "ref" : "tick", "period" : 6000 } },
                "p2" : { "loop" : 3, "timer" : { "ref" : "tick", "period" : 6000 } }
            }
        },
        "Out" : { "priority" : -16, "loop" : -1, "run" : 275, "run" : 725, "suspend" : "" },
        "decoder.1" : {
            "loop" : -1, "delay" : 1500,
            "lock" : "m", "sync" : { "ref" : "queue", "mutex" : "m" }, "unlock" : "m",
            "run1" : 150, // microseconds
        },
        "helper" : {
            "loop" : -1, "instance" : 2,
            "lock" : "m", "wait" : { "ref" : "queue", "mutex" : "m" }, "unlock" : "m",
            "run" : 300, "broad" : "queue", "yield" : ""
        }
    },
    "global" : { "duration" : 2, "default_policy" : "SCHED_OTHER", "calibration" : "CPU0" }
}
"""


def load(text: str, name: str = "player.json") -> Workload:
    workload, found = read_rtapp(Source.from_text(name, text))
    assert found == () and workload is not None, found
    return workload


def one(events: str, others: str = "", general: str = "{}") -> Workload:
    return load(f'{{"tasks": {{"a": {{{events}}}{others}}}, "global": {general}}}')


def us(time: int) -> Fixed:
    return Fixed(1000 * time)


def test_tasks_become_groups() -> None:
    workload = load(PLAYER)
    tick, out, decoder, helper = workload.groups.values()
    assert [group.comm for group in workload.groups.values()] == [
        "Tick", "Out", "decoder.1", "helper",
    ]
    timer = Sleep(us(6000), True, "wakeup", True)
    assert tick.phases == (
        Wake("s_out", "all", "now"), timer, timer, timer, timer, Count("throughput"),
    )
    assert (tick.nice, tick.affinity, tick.loop) == (-19, (0,), None)
    # Repeated keys are events in their order.
    assert out.phases == (
        Run(us(275)), Run(us(725)), Wait("s_out", 1, "wakeup"), Count("throughput"),
    )
    wait: tuple[Phase, ...] = (Wait("c_queue", 1, "wakeup", "m_m"), Lock("m_m"))
    assert decoder.phases == (
        Lock("m_m"), Wake("c_queue", 1, "now"), *wait, Unlock("m_m"), Run(us(150)),
        Count("throughput"),
    )
    assert decoder.delay == 1_500_000
    assert helper.phases == (
        Lock("m_m"), *wait, Unlock("m_m"), Run(us(300)), Wake("c_queue", "all", "now"), Yield(),
        Count("throughput"),
    )
    assert helper.count == 2
    # A condition variable has no memory: who signals nobody wakes nobody.
    assert not any(channel.keep for channel in workload.channels.values())
    assert workload.params["duration"].default == 2_000_000_000
    assert "wakeup_p99" in workload.metrics and "throughput" in workload.metrics


def test_what_is_made_of_it_holds_together(phases: Path) -> None:
    for text in (PLAYER, '{"tasks": {"a": {"loop": 3, "run": 10}}}'):
        workload = load(text)
        findings = Findings(scan(Source.from_text("x", "")))
        check_references(workload, findings)
        assert findings.found == []
        plan = plan_text(workload, registry.settings(workload, [])[0], 1, 4).encode()
        done = subprocess.run([phases, "fuzz"], input=b"%d\n%s" % (len(plan), plan),
                              capture_output=True, check=True)
        assert done.stdout.startswith(b"0 "), done.stdout


def test_tasks_that_end_are_jobs() -> None:
    workload = one('"loop": 5, "phases": {"p": {"loop": 4, "run": 10}}')
    (group,) = workload.groups.values()
    assert (group.loop, group.role) == (20, "job")
    assert "makespan" in workload.metrics and "duration" not in workload.params


def test_a_duration_of_none_that_does_not_end_gets_one() -> None:
    assert one('"run": 10').params["duration"].default == 3_000_000_000


def test_forked_tasks_and_barriers() -> None:
    workload = one('"loop": 1, "fork": "b", "barrier": "B 1"',
                   ', "b": {"instance": 0, "loop": 1, "run": 5}, "c": {"barrier": "B 1"}')
    first, _, _, forked = workload.groups.values()
    assert first.phases[:2] == (Fork(forked.name, 1), Barrier("b_b_1"))
    assert (forked.start, forked.count, forked.comm) == ("forked", 1, "b")


def test_an_absolute_timer_keeps_its_schedule() -> None:
    workload = one('"timer": {"ref": "unique", "period": 5, "mode": "absolute"}')
    (group,) = workload.groups.values()
    assert group.phases[0] == Sleep(us(5), True, "wakeup", False)


@pytest.mark.parametrize(
    ("events", "said", "at"),
    [
        ('"iorun": 5', "`iorun` has no counterpart", '"iorun"'),
        ('"mem": 5', "`mem` has no counterpart", '"mem"'),
        ('"runtime": 5', "`runtime` has no counterpart", '"runtime"'),
        ('"run": -5', "`run` must be a whole number", '"run"'),
        ('"run": "5"', "`run` must be a whole number", '"run"'),
        ('"run": 5, "policy": "SCHED_FIFO"', "only SCHED_OTHER", '"policy"'),
        ('"run": 5, "priority": 50', "`priority` must be", '"priority"'),
        ('"run": 5, "util_min": 50', "`util_min` has no counterpart", '"util_min"'),
        ('"fork": "nobody"', "no task is called `nobody`", '"fork"'),
        ('"suspend": ""', "nothing wakes those who wait for `a`", '"tasks"'),
        ('"timer": {"ref": "x", "period": 1}, "timer2": {"ref": "y", "period": 1}',
         "a task can have one timer", '"ref"'),
        ('"timer": 5', "`timer` must be an object", '"timer"'),
        ('"wait": {"ref": "x"}', "`mutex` must be text", '"wait"'),
        ('"run": 5, "cpus": []', "`cpus` must be a list", '"cpus"'),
        ('"phases": {"p": {"cpus": [1], "run": 1}}', "`cpus` of a single phase", '"cpus"'),
        ('"phases": {"p": {"loop": -1, "run": 1}, "q": {"run": 1}}', "too long", '"loop"'),
        ('"loop": 3', "does nothing", '"a"'),
    ],
)
def test_what_has_no_counterpart_is_told_at_its_place(events: str, said: str, at: str) -> None:
    text = f'{{"tasks": {{"a": {{{events}}}}}}}'
    workload, (found,) = read_rtapp(Source.from_text("x.json", text))
    assert workload is None
    assert found.code == "E1213"
    assert said in found.message
    assert found.span is not None
    assert text[found.span.start : found.span.end] == at


@pytest.mark.parametrize(
    "text",
    ["{", "{]", "[1]", "{}", '{"tasks": []}', '{"tasks": 5}', "{" * 9999, '{"tasks": {"a": 5}}',
     '{"x": 1}', '{"tasks": {"a": {"run": 1e3}}}'],
)
def test_rubbish_is_one_diagnostic(text: str) -> None:
    workload, found = read_rtapp(Source.from_text("x.json", text))
    assert workload is None
    assert [one.code for one in found] == ["E1213"]


def test_a_file_is_known_by_its_contents(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("// rt-app\n" + json.dumps({"tasks": {"a": {"run": 5}}}), encoding="utf-8")
    workload, _, found = registry.find(str(path))
    assert not found and workload is not None and workload.name == "mine"
