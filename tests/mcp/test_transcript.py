"""The example goes its whole way, from a profile to a plan."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from schedc.load import plan as plans
from tests.mcp.session import Home, Session

EXAMPLE = Path(__file__).parents[2] / "examples" / "mcp" / "transcript.py"
TARGET = {"release": "6.18.9-test", "boot_id": "0123-4567", "state": "disabled", "enable_seq": 3}


def test_from_a_profile_to_a_plan(
    session: Session, shared_home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("transcript", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    agent = module.Agent(session.client, module.Transcript())
    with module.running_load() as pid:
        name = session.portal.call(module.from_profile_to_plan, agent, pid, TARGET)
    plan = plans.parse((shared_home.root / "data/schedc/plans" / name).read_bytes())
    assert (plan.policy.name, plan.by) == ("answers", "mcp")
    told = capsys.readouterr().out
    for line in ("by proc", "agent> simulate", "error[E0108]: a time without its unit",
                 "answers 1.0.0 is proved", "answers against eevdf:",
                 "It changes nothing."):  # fmt: skip
        assert line in told, told
