"""docs/measuring.md: its example file reads, and it names every parser and phase."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from schedc.source import Source
from schedc.workload.phases import PHASES
from schedc.workload.read import read_workload
from schedc.workload.results import PARSERS

PAGE = (Path(__file__).parents[2] / "docs" / "measuring.md").read_text(encoding="utf-8")


def test_the_example_is_a_workload() -> None:
    block = re.search(r"^    format = 1\n(?:    .*\n|\n)+", PAGE, re.MULTILINE)
    assert block is not None
    workload, found = read_workload(Source.from_text("mine.toml", textwrap.dedent(block[0])))
    assert found == ()
    assert workload is not None and workload.name == "pings"


def test_all_parsers_and_phases_are_named() -> None:
    for name in (*PARSERS, *PHASES):
        assert f"`{name}`" in PAGE
