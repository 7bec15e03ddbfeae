"""A policy costs a model many times fewer tokens than the C that it becomes."""

from __future__ import annotations

import statistics

import pytest

pytest.importorskip("bpe_openai", reason="the o200k_base encoding isn't installed")

from bench.cost import as_c, costs, prompt_tokens
from schedc.synth.engine.llm.prompt import MOST_TOKENS


def test_every_shipped_policy_is_ten_times_shorter_than_its_c() -> None:
    """Measured: 10.1 (saved_lag) to 18.0 (tickless), 13.3 in the middle."""
    found = costs()
    assert len(found) >= 14
    assert min(one.ratio for one in found) >= 9
    assert statistics.median(one.ratio for one in found) >= 12


def test_a_scheduler_by_hand_is_longer_too() -> None:
    """With its header: what a reply in C would have to hold. These do less than the policies do:
    no counters, no limits on what they take from others, no care for affinities."""
    hand = [one.by_hand / one.reply for one in costs() if one.by_hand]
    assert len(hand) == 3 and min(hand) >= 6


def test_the_system_text_leaves_room_for_the_question() -> None:
    assert prompt_tokens()["system"] <= MOST_TOKENS * 3 // 4


def test_only_code_is_counted() -> None:
    text = "/* a\n b */\n#line 3 \"x\"\n\nint a; // not\n  // this\nint b;\n"
    assert as_c(text) == "int a; // not\nint b;\n"
