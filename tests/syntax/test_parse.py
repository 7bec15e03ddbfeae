"""The tree of a source: values, places, and what is left of broken statements."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from schedc.diagnostics.model import Diagnostic
from schedc.source import Source, Span
from schedc.syntax import tree as t
from schedc.syntax.actions import MAX_TIME_NS
from schedc.syntax.parse import parse

ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "tests" / "ui" / "syntax").glob("*.sched"))


def parsed(text: str) -> tuple[t.PolicyTree, tuple[Diagnostic, ...]]:
    return parse(Source.from_text("test.sched", text))


def items(text: str) -> tuple[t.Item, ...]:
    tree, problems = parsed("policy p 1.0.0\n" + text)
    assert not problems
    return tree.items


def nodes(value: Any) -> Any:
    """All nodes of a tree that have a place."""
    if isinstance(value, tuple):
        for part in value:
            yield from nodes(part)
    elif dataclasses.is_dataclass(value) and not isinstance(value, Span):
        if hasattr(value, "span"):
            yield value
        for field in dataclasses.fields(value):
            yield from nodes(getattr(value, field.name))


@pytest.mark.parametrize(
    ("text", "value"),
    [("0ns", 0), ("1500us", 1_500_000), ("8ms", 8_000_000), ("20s", 20_000_000_000)],
)
def test_times_are_in_nanoseconds(text: str, value: int) -> None:
    (promise,) = items(f"promise wait <= {text}\n")
    assert isinstance(promise, t.Promise)
    assert (promise.wait.kind, promise.wait.value, promise.wait.text) == ("time", value, text)


def test_a_time_has_an_end() -> None:
    (promise,) = items("promise wait <= 31622400s\n")
    assert isinstance(promise, t.Promise) and promise.wait.value == MAX_TIME_NS
    _, problems = parsed("policy p 1.0.0\npromise wait <= 31622401s\n")
    assert [found.code for found in problems] == ["E0108"]


def test_escapes_give_bytes() -> None:
    (cls,) = items(r'class c when comm "a\"\\\n\t\x7f\x00é"' + "\n")
    assert isinstance(cls, t.Class) and isinstance(cls.when, t.Match)
    assert cls.when.patterns[0].value == b'a"\\\n\t\x7f\x00\xc3\xa9'


def test_a_sign_belongs_to_its_number() -> None:
    (queue,) = items("queue q by vtime within -40ms..100ms drift 1/64 clock k per llc\n")
    assert isinstance(queue, t.Queue) and queue.window is not None and queue.drift is not None
    assert (queue.window.low.value, queue.window.low.text) == (-40_000_000, "-40ms")
    assert (queue.drift.numerator.value, queue.drift.denominator.value) == (1, 64)
    assert queue.clock is not None and (queue.clock.text, queue.domain) == ("k", "llc")


def test_operators_bind_as_in_the_grammar() -> None:
    (let,) = items("let x = not 1 + 2 * 3 < 4 or kthread and pinned\n")
    assert isinstance(let, t.Let) and isinstance(let.value, t.Binary)
    assert let.value.op == "or"
    assert isinstance(let.value.left, t.Not) and isinstance(let.value.right, t.Binary)
    less = let.value.left.operand
    assert isinstance(less, t.Binary) and less.op == "<"
    assert isinstance(less.left, t.Binary) and less.left.op == "+"


def test_words_may_be_names_where_only_names_stand() -> None:
    queue, cls, rule = items("queue fifo fifo\nclass when\nenqueue when to fifo slice 4ms\n")
    assert isinstance(queue, t.Queue) and queue.name.text == "fifo"
    assert isinstance(cls, t.Class) and (cls.name.text, cls.when) == ("when", None)
    assert isinstance(rule, t.Enqueue) and rule.queue.text == "fifo"


def test_spans_begin_with_the_keyword_and_cover_parentheses() -> None:
    text = "policy p 1.0.0\nclass c when (burst + 1ms) < 2ms prefer big\n"
    source = Source.from_text("test.sched", text)
    tree, _ = parse(source)
    (cls,) = tree.items
    assert source.slice(cls.span) == "class c when (burst + 1ms) < 2ms prefer big"
    assert isinstance(cls, t.Class) and cls.when is not None
    assert source.slice(cls.when.span) == "(burst + 1ms) < 2ms"


def test_every_node_lies_within_its_source() -> None:
    for path in sorted((ROOT / "stdlib_policies").glob("*.sched")):
        source = Source.from_text(path.name, path.read_text(encoding="utf-8"))
        tree, problems = parse(source)
        assert not problems
        for node in nodes(tree):
            text = source.slice(node.span)
            assert (text and text == text.strip()) or isinstance(node, t.PolicyTree)
            if isinstance(node, t.Name | t.Fact):
                assert text == (node.text if isinstance(node, t.Name) else node.name)


def test_broken_statements_are_named_and_the_others_stay() -> None:
    tree, problems = parsed(
        "policy p 1.0.0\nqueue a fifo per\nqueue b fifo\nstate task.x : tyme\n"
        "dispatch {\n  take a at\n  take b\n}\nfrobnicate all of it\n"
    )
    assert [found.code for found in problems] == ["E0115", "E0105", "E0115", "E0104"]
    assert [type(item).__name__ for item in tree.items] == ["Queue", "State", "Dispatch"]
    named = [(broken.verb, broken.name) for broken in tree.broken]
    assert named == [("queue", "a"), ("take", "a"), ("*", "all")]


def test_at_most_twenty_diagnostics() -> None:
    tree, problems = parsed("policy p 1.0.0\n" + "queue\n" * 50 + "queue last fifo\n")
    assert len(problems) == 20
    assert tree.broken[-1].verb == "*", "the rest was not read, and passes have to know"


def applied(text: str, found: Diagnostic) -> str:
    assert found.fix is not None
    for edit in sorted(found.fix.edits, key=lambda edit: edit.span, reverse=True):
        text = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    return text


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_fix_makes_its_diagnostic_go_away(case: Path) -> None:
    text = case.read_text(encoding="utf-8")
    _, problems = parsed(text)
    for found in problems:
        if found.fix is None:
            continue
        _, left = parsed(applied(text, found))
        messages = [other.message for other in problems]
        assert len(left) < len(problems) or found.message not in [o.message for o in left], messages


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_same_source_gives_the_same_diagnostics(case: Path) -> None:
    text = case.read_text(encoding="utf-8")
    assert parsed(text) == parsed(text)
