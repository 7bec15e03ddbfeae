"""Every example and every shipped policy checks clean: no error, no warning."""

from pathlib import Path

import pytest

from schedc.diagnostics.render import Format, render
from schedc.pipeline import analyze
from schedc.source import Source
from schedc.syntax.format import format_source

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*/*.sched"))
SHIPPED = sorted((ROOT / "stdlib_policies").glob("*.sched"))

THE_FOURTEEN = {
    "fifo", "fair", "bands", "deadline", "flash", "interactive", "locality", "saved_lag",
    "tickless", "budgeted", "cells", "latency", "longest_first", "least_attained",
}  # fmt: skip


def complaints(path: Path) -> str:
    source = Source.from_text(path.name, path.read_text(encoding="utf-8"))
    return render(analyze(source).diagnostics, source, Format.full)


@pytest.mark.parametrize("path", EXAMPLES + SHIPPED, ids=lambda path: path.stem)
def test_it_checks_clean(path: Path) -> None:
    assert complaints(path) == ""


@pytest.mark.parametrize("path", EXAMPLES + SHIPPED, ids=lambda path: path.stem)
def test_the_policy_is_called_as_its_file(path: Path) -> None:
    source = Source.from_text(path.name, path.read_text(encoding="utf-8"))
    policy = analyze(source).policy
    assert policy is not None
    assert policy.name == path.stem
    assert policy.description or path.stem == "first"


def test_all_fourteen_are_shipped() -> None:
    assert {path.stem for path in SHIPPED} == THE_FOURTEEN


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_policy_teaches(path: Path) -> None:
    """It says what it is for, its kin, its bound; each tunable has its reason."""
    text = path.read_text(encoding="utf-8")
    for part in ("# For: ", "# Kin: ", "# Bound (N"):
        assert part in text
    tunes = [line for line in text.splitlines() if line.startswith("tune ")]
    assert tunes
    assert all(line.endswith('"') for line in tunes)
    index = (ROOT / "stdlib_policies" / "README.md").read_text(encoding="utf-8")
    assert f"[{path.stem}]({path.name})" in index


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_a_walkthrough(path: Path) -> None:
    walkthrough = (path.parent / "README.md").read_text(encoding="utf-8")
    assert path.name in walkthrough
    index = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert f"[{path.stem}]({path.stem}/README.md)" in index


@pytest.mark.parametrize("path", EXAMPLES + SHIPPED, ids=lambda path: path.stem)
def test_it_has_the_layout_of_fmt(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_source(Source.from_text(path.name, text)) == (text, ())
