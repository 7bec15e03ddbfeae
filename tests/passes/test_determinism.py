"""The same source gives the same diagnostics, whatever the seed of Python's hashes is."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from schedc.diagnostics.model import CODES, Diagnostic, sort_key
from schedc.passes.report import MAX_OF_ONE_CODE, Report
from schedc.pipeline import analyze
from schedc.source import Source, Span

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from schedc.diagnostics.render import Format, render
from schedc.pipeline import analyze
from schedc.source import Source
for name in sys.argv[1:]:
    source = Source.from_text(name, open(name, encoding="utf-8").read())
    print(render(analyze(source).diagnostics, source, Format.concise))
"""


@cache
def everything_seen() -> tuple[Diagnostic, ...]:
    """The diagnostics of all cases of `tests/ui` together."""
    paths = sorted((ROOT / "tests" / "ui").glob("*/*.sched"))
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return tuple(one for text in texts for one in analyze(Source.from_text("p", text)).diagnostics)


def test_two_seeds_agree() -> None:
    cases = sorted(str(path) for path in (ROOT / "tests" / "ui").glob("*/*.sched"))
    assert cases
    shown = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, *cases],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert shown[0] == shown[1] and shown[0]


def test_diagnostics_are_in_the_order_of_the_source() -> None:
    text = (ROOT / "tests/ui/types/mixing.sched").read_text(encoding="utf-8")
    found = analyze(Source.from_text("p", text)).diagnostics
    assert list(found) == sorted(found, key=sort_key) and len(found) > 3


def test_a_report_takes_a_finding_once_and_not_too_many_of_a_kind() -> None:
    report = Report()
    for at in range(2 * MAX_OF_ONE_CODE):
        for _ in range(2):
            report.add("E0201", "no state is called `task.x`", Span(at, at + 1), help="…")
    report.add("W0206", "`task.x` is never used", Span(0, 1))
    found = report.diagnostics()
    assert sum(one.code == "E0201" for one in found) == MAX_OF_ONE_CODE
    assert [one for one in found if one.notes][-1].span == Span(
        MAX_OF_ONE_CODE - 1, MAX_OF_ONE_CODE
    )
    assert sum(one.code == "W0206" for one in found) == 1


def test_nothing_is_said_where_the_parser_guessed() -> None:
    text = "policy p 1.0.0\nqueue q by vtime within tune.a..3ms\n"
    found = analyze(Source.from_text("p", text)).diagnostics
    assert [one.code for one in found if one.span and one.span.start > 15] == ["E0105"]


@pytest.mark.parametrize("code", [code for code in CODES if code[1:3] in ("02", "03", "04")])
def test_every_help_of_an_error_says_what_to_write(code: str) -> None:
    """The goldens of `tests/ui` hold every message of these codes: each has a line of help."""
    if not CODES[code].needs_policy:
        pytest.skip("not to be had from a text alone")
    found = [one for one in everything_seen() if one.code == code]
    assert found
    assert [one.message for one in found if not one.help] == []
