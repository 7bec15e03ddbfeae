"""A hard cap holds for every stint: one that begins, and one that goes on with nobody waiting."""

from __future__ import annotations

import re

import pytest

from schedc.pipeline import analyze, generate
from schedc.source import Source

POLICY = """policy capped 1.0.0
queue a fifo
queue b fifo
class busy when nice > 0
class others
cap busy at 30% every 100ms
enqueue busy to a slice unlimited contended 10ms
enqueue others to b slice 8ms
dispatch {
  take b at most 50% every 100ms
  take a
}
"""


@pytest.mark.parametrize("function", ["keep_running", "capped_running"])
def test_an_unlimited_slice_is_cut_by_the_cap(function: str) -> None:
    source = Source.from_text("capped.sched", POLICY)
    policy = analyze(source).policy
    assert policy is not None
    text = generate(policy, source)
    body = re.search(rf"{function}[,(].*?\n}}", text, re.DOTALL)
    assert body is not None
    assert re.search(r"p->scx\.slice > \(u64\)max\(sdiv\(c->cap\[0\]\.credit, 100\)", body[0])
