"""Workload files: the shipped ones are sound; every mistake gets its code and its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from schedc.source import Source
from schedc.workload import registry
from schedc.workload.metrics import METRICS
from schedc.workload.model import Workload
from schedc.workload.plan import plan_text
from schedc.workload.read import read_workload

SHIPPED = (
    "audio", "batch", "compile", "cyclictest", "forkstorm", "game", "hackbench", "mixed", "pinned",
    "priority", "request", "schbench", "shares", "stress", "sysbench", "wakeup",
)

GOOD = """\
format = 1
name = "tiny"
description = "a ping"
metrics = ["wakeup_p50"]

[params.nap]
default = "1ms"
max = "1s"
doc = "how long"

[channels.ping]

[groups.waker]
loop = "forever"
phases = [
  { do = "sleep", time = "$nap" },
  { do = "wake", on = "ping" },
]

[groups.sleeper]
loop = "forever"
phases = [
  { do = "wait", on = "ping", measure = "wakeup" },
  { do = "run", time = { dist = "exponential", mean = "100us" } },
]

[[command]]
program = "wl-wakeup"
parser = "wakeup"
args = ["--think-us", "{nap:us}"]
"""


def read(text: str) -> tuple[Workload | None, list[tuple[str, int, str]]]:
    """The workload, and code, line and help of every diagnostic."""
    source = Source.from_text("w.toml", text)
    workload, found = read_workload(source)
    return workload, [
        (one.code, source.position(one.span.start)[0] if one.span else 0, one.help or "")
        for one in found
    ]


def test_the_names_that_are_promised_are_there() -> None:
    assert registry.names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_workload_is_sound(name: str) -> None:
    workload, _, found = registry.find(name)
    assert not found
    assert workload is not None
    assert workload.name == name
    assert set(workload.metrics) <= set(METRICS)
    values, wrong = registry.settings(workload, [])
    assert not wrong
    assert set(values) == set(workload.params)


def test_a_small_file_reads() -> None:
    workload, found = read(GOOD)
    assert found == []
    assert workload is not None
    assert list(workload.groups) == ["waker", "sleeper"]


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "help"),
    [
        ("format = 1", "format = ", "E1201", 1, ""),
        ("format = 1", "format = 2", "E1205", 1, ""),
        ("format = 1\n", "format = 1\nspeed = 3\n", "E1202", 2, ""),
        ('doc = "how long"', 'doc = "how long"\ndefalt = "1ms"', "E1202", 10, "default"),
        ('description = "a ping"\n', "", "E1203", 0, "description ="),
        ('metrics = ["wakeup_p50"]', "metrics = []", "E1203", 4, "metrics ="),
        ('name = "tiny"', "name = 3", "E1204", 2, ""),
        ('name = "tiny"', 'name = "Tiny!"', "E1204", 2, "small letter"),
        ('"wakeup_p50"', '"wakeup_p5"', "E1206", 4, "wakeup_p50"),
        ('"wakeup_p50"', '"wakeup_p50", "wakeup_p50"', "E1207", 4, ""),
        ('default = "1ms"', 'default = "1.5ms"', "E1204", 7, ""),
        ('default = "1ms"', 'default = "2s"', "E1205", 7, ""),
        ('max = "1s"', "max = 1", "E1204", 8, ""),
        ("$nap", "$nop", "E1206", 16, "nap"),
        ('time = "$nap"', 'time = "soon"', "E1204", 16, ""),
        ('do = "sleep"', 'do = "slep"', "E1204", 16, "sleep"),
        ('do = "wake", on = "ping"', 'do = "wake", on = "pong"', "E1206", 17, "ping"),
        ('do = "wake", on = "ping"', 'do = "run", time = "1us"', "E1210", 23, "wake"),
        ('measure = "wakeup"', 'measure = "wakup"', "E1206", 23, "wakeup"),
        ('dist = "exponential"', 'dist = "expo"', "E1204", 24, "exponential"),
        ('mean = "100us"', "mean = -1", "E1204", 24, ""),
        ('parser = "wakeup"', 'parser = "wake"', "E1206", 29, "wakeup"),
        ('parser = "wakeup"\n', "", "E1203", 27, "parser"),
        ("{nap:us}", "{nap}", "E1204", 30, "{nap:us}"),
        ("{nap:us}", "{nap:m}", "E1204", 30, "ns, us"),
        ("{nap:us}", "{knap:us}", "E1206", 30, "nap"),
        ('"wl-wakeup"', '"sh -c"', "E1204", 28, ""),
        ('loop = "forever"\nphases = [\n  { do = "sleep"', 'affinity = "own"\nphases = [\n'
         '  { do = "sleep"', "E1204", 14, "per = "),
        ("[params.nap]", "[params.seed]", "E1207", 6, ""),
    ],
)
def test_a_mistake_has_its_code_place_and_help(
    old: str, new: str, code: str, line: int, help: str
) -> None:
    assert old in GOOD
    workload, found = read(GOOD.replace(old, new, 1))
    assert workload is None
    assert (code, line) in [(one[0], one[1]) for one in found], found
    assert any(one[0] == code and help in one[2] for one in found), found


def test_several_mistakes_show_at_once() -> None:
    text = GOOD.replace("$nap", "3 ms").replace('"wl-wakeup"', '"A"').replace("format = 1", "")
    _, found = read(text)
    assert {code for code, _, _ in found} == {"E1203", "E1204"}
    assert len(found) == 3


def test_waiting_for_a_fork_that_never_comes_is_found() -> None:
    text = GOOD + '\n[groups.child]\nstart = "forked"\nphases = [{ do = "run", time = "1ms" }]\n'
    _, found = read(text)
    assert [code for code, _, _ in found] == ["E1210"]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_text_makes_the_reader_fail(data: st.DataObject) -> None:
    """Mutations of a good file: diagnostics or a workload, never an exception."""
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(at, min(len(text), at + 12)))
        piece = data.draw(
            st.sampled_from(['"', "[", "]", "{", "}", "=", "\n", "-1", "9" * 30, "$", "1979-05-27",
                             "true", "inf", "[[groups]]", "x", "é", "'", "#"])
        )
        text = text[:at] + piece + text[end:]
    workload, found = read(text)
    assert (workload is None) == bool(found)


def test_deep_nesting_is_an_error() -> None:
    workload, found = read("a = " + "[" * 20000)
    assert workload is None
    assert [code for code, _, _ in found] == ["E1201"]


class TestSettings:
    def of(self, *given: str) -> tuple[dict[str, object], list[str]]:
        workload, _, _ = registry.find("wakeup")
        assert workload is not None
        values, found = registry.settings(workload, given)
        return dict(values), [one.code for one in found]

    def test_are_read_by_kind(self) -> None:
        values, found = self.of("think=2ms", "hogs=7", "spread=10%", "hog_nice=-5")
        assert found == []
        assert values["think"] == 2_000_000
        assert (values["hogs"], values["spread"], values["hog_nice"]) == (7, 10, -5)

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("hogs", "E1204"), ("hog=1", "E1206"), ("hogs=-1", "E1205"), ("hogs=many", "E1205"),
            ("think=1", "E1205"), ("think=99999s", "E1205"), ("spread=50", "E1205"),
            ("hogs=" + "9" * 5000, "E1205"), ("hogs=¹", "E1205"), ("=", "E1206"),
        ],
    )
    def test_that_make_no_sense_are_refused(self, text: str, code: str) -> None:
        assert self.of(text)[1] == [code]


def test_an_unknown_workload_is_refused_with_a_proposal() -> None:
    _, _, found = registry.find("wakup")
    assert [one.code for one in found] == ["E1208"]
    assert "wakeup" in (found[0].help or "")


def test_a_file_of_the_users_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    workload, _, found = registry.find(str(path))
    assert not found
    assert workload is not None and workload.name == "tiny"
    assert [one.code for one in registry.find(str(tmp_path / "none.toml"))[2]] == ["E1208"]
    path.write_bytes(b"\xff\xfe")
    assert registry.find(str(path))[0] is None


def test_every_code_of_a_workload_is_provoked_here() -> None:
    """The codes 1201..1210 that a file can cause appear in this module's cases."""
    text = Path(__file__).read_text(encoding="utf-8")
    for number in (*range(1201, 1209), 1210):
        assert re.search(rf'"E{number}"', text)


PHASED = """\
format = 1
name = "phased"
description = "a job"
metrics = ["makespan"]

[params.comm]
default = "a"
choices = ["a", "b"]
doc = "a name"

[params.length]
default = "1ms"
doc = "a time"

[cases.short]
length = "2ms"

[cases.long]
length = "9ms"

[groups.job]
comm = "$comm"
role = "job"
task = "process"
affinity = [0, 1]
phases = [
  { do = "stamp" },
  { do = "run", time = "$length" },
  { do = "mark", measure = "request" },
]
"""


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ('role = "job"\n', "", "E1212", 4),
        ('["makespan"]', '["makespan", "wakeup_p50"]', "E1212", 4),
        ('["makespan"]', '["missed"]', "E1212", 4),
        ('role = "job"', 'role = "jib"', "E1204", 23),
        ('task = "process"', 'task = "program"', "E1204", 24),
        ("[0, 1]", "[0, 600]", "E1204", 25),
        ("[0, 1]", "[]", "E1204", 25),
        ('"$comm"', '"$length"', "E1204", 22),
        ('"$comm"', '"$nosuch"', "E1206", 22),
        ('"$length" }', '"$comm" }', "E1204", 28),
        ('"request" }', '"wakeup" }', "E1206", 29),
        ('  { do = "stamp" },\n', "", "E1210", 28),
        ('length = "2ms"', 'width = "2ms"', "E1206", 16),
        ('length = "2ms"', 'length = "2"', "E1205", 16),
    ],
)
def test_a_mistake_in_what_the_tasks_do(old: str, new: str, code: str, line: int) -> None:
    assert read(PHASED)[1] == []
    text = PHASED.replace(old, new)
    assert text != PHASED
    workload, found = read(text)
    assert workload is None
    assert [(one[0], one[1]) for one in found] == [(code, line)]


def test_a_case_sets_several_parameters_and_the_rest_differs_from_it() -> None:
    workload, _ = read(PHASED)
    assert workload is not None
    for texts, length in (
        ((), 2_000_000), (("case=long",), 9_000_000), (("length=5ms", "case=long"), 5_000_000),
    ):
        values, wrong = registry.settings(workload, texts)
        assert not wrong
        assert values["length"] == length
    _, wrong = registry.settings(workload, ("case=nosuch",))
    assert [one.code for one in wrong] == ["E1205"]


def test_the_papers_cases_are_there() -> None:
    workload, _, _ = registry.find("batch")
    assert workload is not None and len(workload.cases) == 8
    values, _ = registry.settings(workload, ["case=video_transcode"])
    # 30 s of 320x240 against 70 s of 1080p: 1 : 63.
    assert isinstance(values["long"], int) and isinstance(values["short"], int)
    assert values["long"] / values["short"] == pytest.approx(63, rel=0.01)


def test_a_count_can_be_that_of_the_cpus() -> None:
    workload, _, _ = registry.find("wakeup")
    assert workload is not None
    values, _ = registry.settings(workload, [])
    for cpus in (2, 8):
        lines = plan_text(workload, values, 1, cpus).splitlines()
        assert sum(line.startswith("task 2 ") for line in lines) == cpus
