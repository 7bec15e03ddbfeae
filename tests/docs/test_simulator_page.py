"""What docs/simulator.md shows works as it stands there."""

from pathlib import Path

import pytest

import schedc.cli
from schedc.sim.scenario import Options
from tests.sim.conftest import GOOD, SKELETON

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")


def test_the_library_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    block = PAGE.split("## As a library\n\n")[1].split("\n\n`simulate`")[0]
    lines = [line.removeprefix("    ") for line in block.splitlines()]
    exec("\n".join(lines), {"text": SKELETON % ("", GOOD, "")})
    out = capsys.readouterr().out
    assert "throughput" in out and "wakeup_p99" in out


def test_its_options_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    import re

    assert schedc.cli.run(["sim", "--help"]) == 0
    known = set(re.findall(r"--[a-z]+", capsys.readouterr().out))
    # The section about the virtual machine has options of `vm run` and of bench/.
    page = re.sub(r"## Agreement.*?\n(?=## )", "", PAGE, flags=re.DOTALL)
    assert set(re.findall(r"(?<![-\w])--[a-z]+", page)) <= known


def test_the_coverage_it_names_is_that_of_the_default() -> None:
    from schedc.measure.stats import interval

    found = interval([float(i) for i in range(Options().runs)])
    assert found is not None and f"{100 * found.coverage:.1f}%" in PAGE
