"""Goldens of the generated C, for every policy of the library.

`pytest tests/stages --update` rewrites them; read the difference before you commit it. They hold two
promises: the same policy gives the same bytes, and a change of the generator shows in review what it
changes for real policies.
"""

from pathlib import Path

import pytest

from schedc.pipeline import analyze, generate
from schedc.source import Source

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
POLICIES = sorted((ROOT / "stdlib_policies").glob("*.sched"))


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_the_c_text(path: Path, update: bool) -> None:
    source, _ = Source.from_bytes(path.name, path.read_bytes())
    analysis = analyze(source)
    assert analysis.policy is not None
    text = generate(analysis.policy, source, sources=analysis.sources)
    golden = HERE / f"{path.stem}.c"
    if update:
        golden.write_text(text, encoding="utf-8")
    # Not `==` alone: a difference of a thousand lines would be drawn, slowly, by the test runner.
    same = text == golden.read_text(encoding="utf-8")
    assert same, f"{golden.name} differs; run pytest tests/stages --update and read git diff"


def test_every_golden_has_its_policy() -> None:
    assert {path.stem for path in HERE.glob("*.c")} == {path.stem for path in POLICIES}
