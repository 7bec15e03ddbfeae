"""The flawed and the corrected policies of the examples, and how a test proves and refutes one."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from schedc.ir.nodes import Policy
from schedc.pipeline import analyze
from schedc.prove.parameters import declared
from schedc.prove.prove import prove
from schedc.prove.result import Proof
from schedc.refute import refute
from schedc.source import Source

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(
    folder
    for group in ("stalls", "refuted")
    for folder in (ROOT / "examples" / group).iterdir()
    if folder.is_dir()
)


def source_of(path: Path) -> Source:
    return Source.from_text(path.name, path.read_text(encoding="utf-8"))


def typed(source: Source) -> Policy:
    policy = analyze(source).policy
    assert policy is not None
    return policy


def proof_of(text: str) -> Proof:
    policy = typed(Source.from_text("policy.sched", text))
    return prove(policy, declared(policy))


def policy_of(text: str) -> Policy:
    return typed(Source.from_text("policy.sched", text))


@lru_cache
def run_of(text: str) -> dict[str, Any] | None:
    """The run as it is kept: through JSON. Do not change it."""
    policy = policy_of(text)
    parameters = declared(policy)
    run = refute(policy, parameters, prove(policy, parameters))
    return None if run is None else json.loads(json.dumps(run.as_json()))
