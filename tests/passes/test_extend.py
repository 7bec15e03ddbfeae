"""`extends`: what the child replaces, where new parts go, and bases that can't be had."""

import pytest

from schedc.diagnostics.render import render
from schedc.diagnostics.render.located import Sources
from schedc.passes.extend import MAX_DEPTH, expand, load_from_library
from schedc.passes.report import Report
from schedc.pipeline import analyze
from schedc.source import Source
from schedc.syntax import tree
from schedc.syntax.parse import parse

BASE = """policy base 2.1.0
goal fairness
tune turn = 8ms in 4ms..20ms
queue all fifo
class kernel when kthread
class other
on stop { task.x = ran }
state task.x : time
place { idle prev }
enqueue kernel to all slice 4ms
enqueue other to all slice tune.turn
dispatch { take all }
"""


def expanded(child: str, **library: str) -> tuple[tree.PolicyTree, Report]:
    def load(module: str) -> Source | None:
        text = library.get(module.removeprefix("stdlib/"))
        return Source.from_text(module, text) if text is not None else None

    report = Report()
    parsed, problems = parse(Source.from_text("child", child))
    assert problems == ()
    return expand(parsed, parse, report, load).tree, report


def codes(report: Report) -> list[str]:
    return [one.code for one in report.diagnostics()]


def kinds(policy: tree.PolicyTree) -> list[str]:
    return [type(item).__name__ for item in policy.items]


def test_a_child_without_changes_is_its_base_with_another_header() -> None:
    policy, report = expanded("policy child 1.0.0 extends stdlib/base@2", base=BASE)
    assert codes(report) == []
    assert policy.header is not None and policy.header.name.text == "child"
    assert kinds(policy) == kinds(parse(Source.from_text("base", BASE))[0])
    assert {item.span.file for item in policy.items} == {"stdlib/base"}


def test_what_is_declared_anew_stands_at_the_base_s_place() -> None:
    policy, _ = expanded(
        "policy child 1.0.0 extends stdlib/base@2 "
        "dispatch { take all at most 3 } tune turn = 4ms in 4ms..8ms goal latency",
        base=BASE,
    )
    assert kinds(policy) == kinds(parse(Source.from_text("base", BASE))[0])
    own = {type(item).__name__ for item in policy.items if not item.span.file}
    assert own == {"Dispatch", "Tune", "Goal"}


def test_new_classes_come_before_the_base_s_and_the_rest_after() -> None:
    policy, _ = expanded(
        "policy child 1.0.0 extends stdlib/base@2 "
        "queue mine fifo class first when nice < 0 class second when nice > 0",
        base=BASE,
    )
    classes = [item.name.text for item in policy.items if isinstance(item, tree.Class)]
    assert classes == ["first", "second", "kernel", "other"]
    assert isinstance(policy.items[-1], tree.Queue)


def test_events_places_and_rules_replace_their_like_only() -> None:
    policy, _ = expanded(
        "policy child 1.0.0 extends stdlib/base@2 on sleep { task.x = 0ms } "
        "place kernel { idle anywhere } enqueue other to all",
        base=BASE,
    )
    assert [item.name.text for item in policy.items if isinstance(item, tree.Event)] == [
        "stop",
        "sleep",
    ]
    places = [item.cls and item.cls.text for item in policy.items if isinstance(item, tree.Place)]
    assert places == [None, "kernel"]
    rules = [
        (item.cls.text, item.span.file) for item in policy.items if isinstance(item, tree.Enqueue)
    ]
    assert rules == [("kernel", "stdlib/base"), ("other", "")]


def test_duplicates_in_the_child_are_still_reported() -> None:
    source = Source.from_text(
        "child", "policy child 1.0.0 extends stdlib/fifo@1 goal latency goal fairness"
    )
    assert [one.code for one in analyze(source).diagnostics] == ["E0403"]


def test_a_chain_of_bases() -> None:
    middle = "policy middle 1.0.0 extends stdlib/base@2 tune turn = 5ms in 4ms..8ms"
    policy, report = expanded(
        "policy child 1.0.0 extends stdlib/middle@1", base=BASE, middle=middle
    )
    assert codes(report) == []
    files = {item.span.file for item in policy.items}
    assert files == {"stdlib/base", "stdlib/middle"}


def test_a_policy_that_extends_itself() -> None:
    one = "policy one 1.0.0 extends stdlib/two@1"
    two = "policy two 1.0.0 extends stdlib/one@1"
    _, report = expanded("policy child 1.0.0 extends stdlib/one@1", one=one, two=two)
    assert codes(report) == ["E0208"]
    assert "`stdlib/one` extends itself" in report.diagnostics()[0].message


def test_a_chain_that_is_too_long() -> None:
    chain = {f"p{at}": f"policy p{at} 1.0.0 extends stdlib/p{at + 1}@1" for at in range(20)}
    _, report = expanded("policy child 1.0.0 extends stdlib/p0@1", **chain)
    assert codes(report) == ["E0208"]
    assert f"more than {MAX_DEPTH}" in report.diagnostics()[0].message


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("extends stdlib/bese@2", "E0207"),
        ("extends other/base@2", "E0207"),
        ("extends stdlib/base@3", "E0209"),
        ("extends stdlib/base@2 extends stdlib/base@2", "E0403"),
    ],
)
def test_bases_that_can_t_be_had(line: str, code: str) -> None:
    _, report = expanded(f"policy child 1.0.0 {line}", base=BASE)
    assert codes(report) == [code]


def test_nothing_follows_from_a_missing_base() -> None:
    text = "policy child 1.0.0 extends stdlib/nowhere@1 enqueue other to all slice tune.turn"
    found = analyze(Source.from_text("child", text)).diagnostics
    assert [one.code for one in found] == ["E0207"]


def test_the_library_is_only_the_library() -> None:
    assert load_from_library("stdlib/fair") is not None
    assert load_from_library("stdlib/nowhere") is None
    assert load_from_library("other/fair") is None


def test_a_message_about_the_base_shows_the_base_s_line() -> None:
    text = "policy child 1.0.0 extends stdlib/fifo@1 dispatch { }"
    source = Source.from_text("child.sched", text)
    analysis = analyze(source)
    shown = render(analysis.diagnostics, Sources(source, analysis.sources))
    assert "stdlib_policies/fifo.sched:" in shown
    assert "E0402" in shown
