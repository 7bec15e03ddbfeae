"""`examples/closed_loop` in short: profile, synthesis, canary, confirmed, drift, the default again.

Times are not judged, as the machine may be busy; `examples/closed_loop/output.txt` has them.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from schedc.toolchain import find_compiler
from schedc.vm.machine import Machine
from tests.vm import inside

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "closed_loop" / "run.py"

guest = inside.fixture()


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("closed_loop", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_loop_closes(guest: Machine) -> None:
    if not hasattr(find_compiler(), "kind"):
        pytest.skip("no compiler for BPF")
    module = example()
    told = module.Told(lambda line: None)
    found = module.closed_loop(module.SHORT, told, guest)
    said = "\n".join(told.lines)
    assert found.confirmed, said
    assert found.noticed, said
    assert "unloaded: the kernel's default scheduler is back" in found.watch, said
    history = [one["what"] for one in found.history]
    assert history == ["loaded", "confirmed", "unloaded"], said
    assert str(found.history[-1]["why"]).startswith("watch: drift "), said
    assert "is proved: no task that could run is left waiting" in said
    # The service was served under both, and its figures are told apart.
    default, policy = module.p99s(found.figures)
    assert default and policy, said
