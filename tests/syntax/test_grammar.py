"""One grammar, read by Lark, by llguidance and by the tables: all three take the same texts.

schedc is stricter than Lark in one point: words that run together (`idleinllc`) are an error.
"""

import json
import random
import re
from itertools import pairwise

import lark
import pytest

from schedc.data import data_path
from schedc.source import Source
from schedc.syntax import tables
from schedc.syntax.actions import ACTIONS
from schedc.syntax.lex import lex
from schedc.syntax.machine import MAX_HEIGHT, Machine
from schedc.syntax.recover import MAX_NESTING, Reader
from tests.syntax.walk import GRAMMAR, ROOT, Walker, accepts

LARK = lark.Lark(GRAMMAR, parser="lalr", lexer="contextual", strict=True)
CORPUS = [
    path.read_text(encoding="utf-8")
    for folder in ("stdlib_policies", "examples")
    for path in sorted((ROOT / folder).rglob("*.sched"))
]


def lark_tokens(text: str) -> list[lark.Token] | None:
    """The tokens of a text that Lark takes, or None."""
    try:
        parser = LARK.parse_interactive(text)
        tokens = list(parser.exhaust_lexer())
        parser.feed_eof()
    except lark.exceptions.UnexpectedInput:
        return None
    return tokens


def run_together(text: str, tokens: list[lark.Token]) -> bool:
    return any(
        left.end_pos == right.start_pos
        and re.match(r"\w", text[right.start_pos])
        and re.match(r"\w", text[right.start_pos - 1])
        for left, right in pairwise(tokens)
    )


def ours(text: str) -> bool:
    """Whether the automaton takes a text, the limits of numbers and ranges aside."""
    source = Source.from_text("walk.sched", text)
    lexed = lex(source)
    reader = Reader(source, Machine(tables.load()), lexed.tokens)
    reader.run()
    return not lexed.problems and not reader.problems


def agree(text: str) -> bool:
    """Compare the two; whether Lark takes the text."""
    tokens = lark_tokens(text)
    expected = tokens is not None and not run_together(text, tokens)
    assert ours(text) == expected, text
    return tokens is not None


def test_the_tables_are_those_of_the_grammar() -> None:
    stored = data_path(tables.TABLES).read_text(encoding="utf-8")
    if json.loads(stored)["lark"] != lark.__version__:
        # Another Lark may number the states differently; the other tests compare what they do.
        stored = stored.replace(json.loads(stored)["lark"], lark.__version__)
        assert len(json.loads(stored)["rules"]) == len(json.loads(tables.generate())["rules"])
    else:
        assert stored == tables.generate(), "run python -m schedc.syntax.tables"


def test_every_rule_has_an_action_and_every_action_a_rule() -> None:
    named = {rule.action for rule in tables.load().rules} - {""}
    assert {action for action in named if not action.startswith("__")} == set(ACTIONS)


def test_tables_of_another_grammar_are_not_used(tmp_path, monkeypatch) -> None:
    (tmp_path / "grammar").mkdir()
    document = json.loads(data_path(tables.TABLES).read_text(encoding="utf-8"))
    document["grammar_crc32"] ^= 1
    document["rules"] = []
    (tmp_path / tables.TABLES).write_text(json.dumps(document))
    (tmp_path / tables.GRAMMAR).write_text(GRAMMAR)
    monkeypatch.setattr(tables, "data_root", lambda: tmp_path)
    assert tables.load.__wrapped__().rules == tables.load().rules


def test_the_corpus() -> None:
    assert CORPUS
    for text in CORPUS:
        assert agree(text) and accepts(text)


def walk(first: int, count: int) -> None:
    walker = Walker()
    finished = 0
    seed = first
    while finished < count:
        text = walker.text(seed)
        seed += 1
        if text is not None:
            assert agree(text), f"Lark refuses what llguidance finished: {text!r}"
            finished += 1
    assert seed - first < 2 * count, "most walks should finish"


def test_lark_takes_ten_thousand_texts_that_llguidance_finishes() -> None:
    walk(0, 10_000)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_lark_takes_many_more() -> None:
    walk(1_000_000, 300_000)


PIECE = re.compile(r'"[^"\n]*"|#[^\n]*|[\w.]+%?|\s+|[^\w\s]+')


def mutate(seed: int) -> str:
    """A policy with a few tokens dropped, doubled, swapped or taken from elsewhere."""
    draw = random.Random(seed)
    pieces = PIECE.findall(draw.choice(CORPUS))
    at = draw.randrange(len(pieces))
    pieces = pieces[:6] + pieces[max(6, at - 60) : at + 60]
    pool = PIECE.findall(draw.choice(CORPUS))
    for _ in range(draw.choice((0, 1, 1, 2))):
        at = draw.randrange(len(pieces))
        match draw.randrange(4):
            case 0:
                del pieces[at]
            case 1:
                pieces.insert(at, draw.choice(pool))
            case 2:
                pieces[at] = draw.choice(pool)
            case 3:
                other = draw.randrange(len(pieces))
                pieces[at], pieces[other] = pieces[other], pieces[at]
    return "".join(pieces)


def mutations(first: int, count: int) -> None:
    taken = sum(compare(mutate(seed)) for seed in range(first, first + count))
    assert count * 0.03 < taken < count * 0.97, "both outcomes should be common"


def compare(text: str) -> bool:
    taken = agree(text)
    assert accepts(text) == taken, text
    return taken


def test_mutations_are_taken_or_refused_by_all() -> None:
    mutations(0, 2_000)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_mutations_are_taken_or_refused_by_all() -> None:
    mutations(1_000_000, 100_000)


def test_depth_is_limited_and_said() -> None:
    head = "policy p 1.0.0\nlet deep = "
    fits = head + "(" * (MAX_NESTING - 1) + "burst" + ")" * (MAX_NESTING - 1)
    assert ours(fits)
    assert not ours(head + "(" * (MAX_NESTING + 1) + "burst" + ")" * (MAX_NESTING + 1))
    assert ours(head + "+".join(["ran"] * MAX_HEIGHT))
