"""Goldens of the typed policy, for every policy of the library and every example.

`pytest tests/stages --update` rewrites them; read the difference before you commit it.
"""

from pathlib import Path

import pytest

from schedc.ir.print import print_policy
from schedc.pipeline import analyze
from schedc.source import Source

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
POLICIES = sorted((ROOT / "stdlib_policies").glob("*.sched")) + sorted(
    (ROOT / "examples").glob("*/*.sched")
)


def golden_of(path: Path) -> Path:
    return HERE / f"{path.stem}.ir"


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_the_typed_policy(path: Path, update: bool) -> None:
    analysis = analyze(Source.from_text(path.name, path.read_text(encoding="utf-8")))
    assert [one for one in analysis.diagnostics if one.is_error] == []
    assert analysis.policy is not None
    shown = print_policy(analysis.policy)
    if update:
        golden_of(path).write_text(shown, encoding="utf-8")
    assert shown == golden_of(path).read_text(encoding="utf-8")


def test_names_are_unique_and_every_golden_has_its_policy() -> None:
    stems = [path.stem for path in POLICIES]
    assert len(stems) == len(set(stems))
    assert {path.stem for path in HERE.glob("*.ir")} == set(stems)
