"""The card and its three examples stay below 2,500 tokens.

Counted twice. Exactly, with the o200k_base encoding as the package `bpe-openai` carries it (no
network), where that is installed. And by an estimate that needs nothing but a regular expression:
the number of pieces that text is cut into before byte pairs are merged (words with their leading
space, up to three digits, runs of punctuation, runs of blanks), times 1.10. The factor is safe for
this text: the exact count is below the estimate, which a test holds where it can.
"""

import re
from pathlib import Path

import pytest

CARD = Path(__file__).parents[2] / "docs" / "language" / "card.md"
LIMIT = 2500

PIECE = re.compile(r" ?[A-Za-z]+|\d{1,3}| ?[^\sA-Za-z\d]+|\s+(?!\S)|\s+")


def estimate(text: str) -> int:
    return int(len(PIECE.findall(text)) * 1.10) + 1


def exact(text: str) -> int:
    bpe = pytest.importorskip("bpe_openai", reason="the o200k_base encoding isn't installed")
    return len(bpe.get_encoding("o200k_base").encode(text))


def test_the_estimate_stays_below_the_limit() -> None:
    assert estimate(CARD.read_text(encoding="utf-8")) <= LIMIT


def test_the_exact_count_stays_below_the_limit() -> None:
    assert exact(CARD.read_text(encoding="utf-8")) <= LIMIT


@pytest.mark.parametrize("page", sorted(CARD.parent.glob("*.md")), ids=lambda page: page.stem)
def test_the_estimate_is_no_less_than_the_exact_count(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert estimate(text) >= exact(text)
