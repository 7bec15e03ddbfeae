"""The README's simulated figures are those that its command gives: the same anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import schedc.cli

README = Path(__file__).parents[2] / "README.md"
FIGURE = re.compile(r"[a-z0-9 ]+ ×[0-9.]+ \[[0-9.]+\.\.[0-9.]+\]")


def test_the_figures_are_those_of_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    text = README.read_text(encoding="utf-8").partition("interactive against eevdf:")[2]
    quoted = [one.strip() for one in FIGURE.findall("\n".join(text.splitlines()[:3]))]
    assert len(quoted) == 4
    command = ["sim", "interactive", "--workload", "wakeup", "--against", "eevdf,fair"]
    assert schedc.cli.run(command) == 0
    shown = " ".join(capfd.readouterr().out.split())
    assert [one for one in quoted if one not in shown] == []
