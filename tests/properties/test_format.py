"""What `fmt` promises, over policies that are made from the grammar and comments put anywhere.

Formatting again changes nothing; the tree is the same but for places; comments stay, in order.
"""

import dataclasses
import random
from typing import Any

import lark
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from hypothesis.extra.lark import from_lark

from schedc.data import data_root, read_data
from schedc.source import Source, Span
from schedc.syntax.format import format_source
from schedc.syntax.lex import lex
from schedc.syntax.parse import parse

GRAMMAR = read_data("grammar/policy.lark")
LARK = lark.Lark(GRAMMAR, parser="lalr", lexer="contextual", strict=True, start=["start", "item"])
CORPUS = [
    path.read_text(encoding="utf-8")
    for folder in ("stdlib_policies", "examples")
    for path in sorted((data_root() / folder).rglob("*.sched"))
]

# Words are drawn short, as else a name of 32 letters stands wherever one may stand.
_NAME = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
_SCOPE = st.sampled_from(("task", "cpu", "llc", "node", "class", "cgroup", "comm", "global"))
EXPLICIT = {
    "NAME": _NAME | st.sampled_from(("when", "slice", "fifo", "key", "in", "to", "take", "or")),
    "REF": st.builds(lambda scope, name: f"{scope}.{name}", _SCOPE, _NAME),
    "TIME": st.sampled_from(("1ms", "20ms", "100us", "0ns", "2s")),
    "PERCENT": st.sampled_from(("5%", "80%")),
    "INT": st.sampled_from(("0", "1", "64", "100")),
    "MODULE": st.just("stdlib/fair@1"),
    "STRING": st.sampled_from(('"a"', '"/usr/bin/x"', '"a longer text, of some words"', '"q\\"#"')),
    "COMMENT": st.just("# x\n"),
    "WHITESPACE": st.just(" "),
}
ITEMS = from_lark(LARK, start="item", explicit=EXPLICIT, alphabet=st.characters(codec="ascii"))
SETTINGS = settings(
    max_examples=120, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much,
                           HealthCheck.data_too_large, HealthCheck.large_base_example],
)  # fmt: skip


def without_spans(node: Any) -> Any:
    """A tree as plain values: two that say the same are equal."""
    if isinstance(node, Span):
        return None
    if isinstance(node, tuple):
        return tuple(without_spans(part) for part in node)
    if dataclasses.is_dataclass(node):
        fields = (getattr(node, field.name) for field in dataclasses.fields(node))
        return (type(node).__name__, *(without_spans(value) for value in fields))
    return node


def spaced(text: str, seed: int) -> str:
    """The same tokens with random white space and numbered comments between them."""
    draw = random.Random(seed)
    source = Source.from_text("drawn.sched", text)
    pieces = []
    for number, token in enumerate(lex(source).tokens):
        gap = draw.choice((" ", " ", " ", " ", "\n", "  ", "\n\n\n", "\t", "#"))
        if gap == "#":
            lead, end = draw.choice((" ", "\n", "")), draw.choice(("\n", "\n\n", "\n  "))
            gap = f"{lead}#{draw.choice(('', ' '))}comment {number}{draw.choice(('', '  '))}{end}"
        pieces += [gap, token.text]
    return "".join(pieces)


def check(text: str) -> None:
    source = Source.from_text("drawn.sched", text)
    tree, problems = parse(source)
    assert not problems
    once, _ = format_source(source)
    assert once is not None
    formatted = Source.from_text("drawn.sched", once)
    again, _ = format_source(formatted)
    assert again == once
    assert without_spans(parse(formatted)[0]) == without_spans(tree)
    before = [comment.text.rstrip() for comment in lex(source).comments]
    assert [comment.text for comment in lex(formatted).comments] == before
    assert all(line == line.rstrip() for line in once.split("\n"))
    assert "\n\n\n" not in once and not once.startswith("\n") and once.endswith("\n")


@SETTINGS
@given(ITEMS, ITEMS, st.integers(0, 2**32))
def test_drawn_policies(first: str, second: str, seed: int) -> None:
    # Drawn tokens may touch (`idleinllc`), which Lark takes and schedc doesn't: set them apart.
    texts = ["policy p 1.0.0"]
    for item in (first, second):
        try:
            parser = LARK.parse_interactive(item, start="item")
            texts += parser.exhaust_lexer()
            parser.feed_eof()  # a drawn comment may hide the end of the item
        except lark.exceptions.UnexpectedInput:
            assume(False)
    check(spaced(" ".join(texts), seed))


@pytest.mark.parametrize("number", range(len(CORPUS)))
def test_policies_with_comments_anywhere(number: int) -> None:
    for seed in range(6):
        check(spaced(CORPUS[number], seed))


def test_the_layout() -> None:
    """The sample of the design, squeezed and formatted again."""
    sample = (data_root() / "examples" / "mixed" / "mixed.sched").read_text(encoding="utf-8")
    squeezed = "\n".join(" ".join(line.split()) for line in sample.split("\n"))
    assert squeezed != sample
    assert format_source(Source.from_text("mixed.sched", squeezed))[0] == sample


def test_a_broken_source_is_refused() -> None:
    source = Source.from_text("broken.sched", "policy p 1.0.0\nqueue a fifo;\n")
    text, problems = format_source(source)
    assert text is None
    assert [found.code for found in problems] == ["E0113"]
