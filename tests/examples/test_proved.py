"""Every shipped policy, every example and every policy of the docs is proved, and says so truly."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest

from schedc.cli.init import STARTER
from schedc.pipeline import analyze
from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.prove.result import WATCHDOG_NS, Proof, Verdict
from schedc.source import Source

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "stdlib_policies").glob("*.sched"))
EXAMPLES = sorted(
    path for path in (ROOT / "examples").glob("*/*.sched") if path.stem == path.parent.name
)
PAGES = sorted((ROOT / "docs" / "language").glob("*.md"))
FENCED = re.compile(r"^```sched\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(match[1], id=f"{page.stem}-{index}")
    for page in PAGES
    for index, match in enumerate(FENCED.finditer(page.read_text(encoding="utf-8")))
]
INDENTED = re.compile(r"^    policy (?:.*\n(?=    |\n))*", re.MULTILINE)


@cache
def proof_of(text: str) -> Proof:
    policy = analyze(Source.from_text("policy.sched", text)).policy
    assert policy is not None
    return prove(policy, declared(policy))


def unproved(proof: Proof) -> list[tuple[str, str]]:
    good = (Verdict.proved, Verdict.waived)
    return [(one.name, one.reason) for one in proof.obligations if one.verdict not in good]


@pytest.mark.parametrize("path", SHIPPED + EXAMPLES, ids=lambda path: path.stem)
def test_it_is_proved(path: Path) -> None:
    proof = proof_of(path.read_text(encoding="utf-8"))
    assert unproved(proof) == []
    assert proof.bounds
    assert all(one.wait_ns(proof.runnable) <= WATCHDOG_NS for one in proof.bounds)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_policy_states_its_bounds(path: Path) -> None:
    """In seconds, for 64 contenders: each class's in the comment, the longest in the table."""
    text = path.read_text(encoding="utf-8")
    proof = proof_of(text)
    assert proof.runnable == 64
    said = text[text.index("# Bound (N = 64") : text.index("\npolicy ")]
    for one in proof.bounds:
        seconds = one.wait_ns(64) / 1e9
        assert re.search(rf"\b({seconds:.1f}|{seconds:.2f}) s\b", said), (one.cls, seconds)
    longest = max(one.wait_ns(64) for one in proof.bounds) / 1e9
    index = (ROOT / "stdlib_policies" / "README.md").read_text(encoding="utf-8")
    row = next(line for line in index.splitlines() if f"[{path.stem}](" in line)
    assert row.endswith(f"| {longest:.1f} s |"), (row, longest)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_walkthrough_states_the_bounds(path: Path) -> None:
    proof = proof_of(path.read_text(encoding="utf-8"))
    said = (path.parent / "README.md").read_text(encoding="utf-8")
    for one in proof.bounds:
        seconds = one.wait_ns(proof.runnable) / 1e9
        assert re.search(rf"\b{seconds:.1f}\ss\b", said), (one.cls, seconds)


@pytest.mark.parametrize("text", BLOCKS)
def test_a_policy_of_the_docs_is_proved(text: str) -> None:
    assert unproved(proof_of(text)) == []


def test_the_policy_of_the_readme_is_proved() -> None:
    found = INDENTED.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found
    assert unproved(proof_of(dedent(found[0]))) == []


def test_the_policy_to_start_from_is_proved() -> None:
    assert unproved(proof_of(STARTER.format(name="mine"))) == []
