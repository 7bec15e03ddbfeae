"""Goldens of the syntax tree, for every policy of the library and every example.

`pytest tests/stages --update` rewrites them; read the difference before you commit it.
"""

from pathlib import Path

import pytest

from schedc.source import Source
from schedc.syntax.parse import parse
from schedc.syntax.print import print_tree

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
POLICIES = sorted((ROOT / "stdlib_policies").glob("*.sched")) + sorted(
    (ROOT / "examples").glob("*/*.sched")
)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_the_tree(path: Path, update: bool) -> None:
    source = Source.from_text(path.name, path.read_text(encoding="utf-8"))
    tree, diagnostics = parse(source)
    assert diagnostics == ()
    shown = print_tree(tree, source)
    golden = HERE / f"{path.stem}.tree"
    if update:
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")


def test_every_golden_has_its_policy() -> None:
    assert {path.stem for path in HERE.glob("*.tree")} == {path.stem for path in POLICIES}
