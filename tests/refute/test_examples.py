"""Each flawed policy is refuted by a run that replays and is told well; each corrected one proves.

`pytest tests/refute --update` rewrites the stories; read the difference before you commit it.
"""

from pathlib import Path

import pytest

from schedc.diagnostics.model import Severity
from schedc.model.replay import why_not
from schedc.pipeline import analyze
from schedc.prove.result import Verdict
from schedc.refute.story import tell
from schedc.syntax.format import format_source
from tests.refute.policies import FOLDERS, policy_of, proof_of, run_of, source_of

folders = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
STORIES = Path(__file__).parent


def flawed(folder: Path) -> str:
    return (folder / "flawed.sched").read_text(encoding="utf-8")


@folders
def test_the_flawed_one_is_refuted_by_a_run_that_replays(folder: Path) -> None:
    run = run_of(flawed(folder))
    assert run is not None
    assert why_not(run, policy_of(flawed(folder))) is None


@folders
def test_the_corrected_one_proves(folder: Path) -> None:
    """With the bound that the walkthroughs' index says."""
    proof = proof_of((folder / "corrected.sched").read_text(encoding="utf-8"))
    assert proof.verdict is Verdict.proved
    worst = max(bound.wait_ns(proof.runnable) for bound in proof.bounds)
    index = (folder.parent / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in index.splitlines() if line.startswith(f"| [{folder.name}]")]
    assert row.split("|")[-2].strip() == f"{worst / 1e9:.1f} s"


@folders
def test_the_story(folder: Path, update: bool) -> None:
    """It is for people: no line is longer than 100 columns."""
    run = run_of(flawed(folder))
    assert run is not None
    source = source_of(folder / "flawed.sched")
    told = tell(run, policy_of(flawed(folder)), source)
    assert max(map(len, told.splitlines())) <= 100
    golden = STORIES / f"{folder.name}.story"
    if update:
        golden.write_text(told, encoding="utf-8")
    same = told == golden.read_text(encoding="utf-8")
    assert same, f"{golden.name} differs; run pytest tests/refute --update and read git diff"


@folders
def test_who_follows_the_help_proves(folder: Path) -> None:
    """The edits are done on the text, as a reader would do them."""
    run = run_of(flawed(folder))
    assert run is not None
    assert run["help"]
    text = flawed(folder)
    (help_,) = run["help"]
    assert help_["proves"]
    for edit in sorted(help_["edits"], key=lambda one: -int(one["span"][0])):
        start, end, file = edit["span"]
        assert not file
        text = text[:start] + edit["replacement"] + text[end:]
    assert text != flawed(folder)
    assert proof_of(text).verdict is Verdict.proved


@folders
def test_blame_points_at_the_policy(folder: Path) -> None:
    run = run_of(flawed(folder))
    assert run is not None
    text = flawed(folder)
    assert run["blame"]
    for one in run["blame"]:
        start, end, _ = one["span"]
        assert 0 <= start < end <= len(text)
        assert one["note"]


@folders
def test_layout_and_findings(folder: Path) -> None:
    for name in ("flawed.sched", "corrected.sched"):
        source = source_of(folder / name)
        assert format_source(source) == (source.text, ())
        found = analyze(source).diagnostics
        assert all(one.severity is not Severity.error for one in found)
        assert name == "flawed.sched" or not found


@folders
def test_the_walkthrough(folder: Path) -> None:
    walkthrough = (folder / "README.md").read_text(encoding="utf-8")
    for name in ("flawed.sched", "corrected.sched"):
        assert f"`{name}`" in walkthrough or f"prove {name}" in walkthrough
    index = (folder.parent / "README.md").read_text(encoding="utf-8")
    assert f"[{folder.name}]({folder.name}/README.md)" in index
