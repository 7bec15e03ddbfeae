"""The loader on a real kernel: what it loads, what it refuses, and who runs after whatever befalls
it. Each part is one job in the guest (`loader_drive.py`), as starting Python there takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import schedc.cli
from schedc.toolchain import find_compiler
from schedc.toolchain.find import Compiler
from schedc.vm.job import Job
from schedc.vm.machine import Machine
from tests.load.forge import forge
from tests.vm import inside
from tests.vm.objects import fixture_object

pytestmark = [
    pytest.mark.vm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not isinstance(find_compiler(), Compiler), reason="no C compiler for BPF"),
]

guest = inside.fixture()
DRIVE = Path(__file__).with_name("loader_drive.py")
LIBRARY = Path(__file__).parents[2] / "stdlib_policies"
PATIENCE_S = 400.0
STARVELING = b"#!/bin/sh\nwhile :; do :; done\n"

# Schedulers that misbehave, each with a certificate that nobody checked by a solver.
BAD = {"starve": "STARVE", "refused": "REFUSED", "badinit": "BAD_INIT", "wrong": "WRONG_QUEUE"}


def marked(*macros: str) -> Callable[[str], bytes]:
    return lambda mark: fixture_object("marked", *macros, f'SCHEDC_MARK="{mark}"')


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("made")
    found: dict[str, bytes] = {"drive.py": DRIVE.read_bytes(), "starveling": STARVELING}
    for name in ("fair", "fifo"):
        policy = str(LIBRARY / f"{name}.sched")
        assert schedc.cli.run(["compile", policy, "--emit", "obj,cert", "-o", f"{folder}/"]) == 0
        for suffix in ("o", "cert"):
            found[f"{name}.{suffix}"] = (folder / f"{name}.{suffix}").read_bytes()
    for name, macro in BAD.items():
        data, certificate = forge(name, marked(macro))
        found |= {f"{name}.o": data, f"{name}.cert": certificate.encode()}
    found["unproven.o"] = marked()("unproven")
    found["unproven.cert"] = found["fifo.cert"]
    return found


def steps(guest: Machine, files: dict[str, bytes], *parts: str) -> dict[str, Any]:
    """What each step of these parts came to."""
    script = f"python3 drive.py {' '.join(parts)} >out/steps 2>out/errors\n"
    done = guest.run(Job(files, script), PATIENCE_S)
    lines = [json.loads(line) for line in done.out["steps"].splitlines()]
    found = {line["step"]: line["value"] for line in lines}
    return {**found, "status": done.status, "errors": done.out["errors"].decode()[-2000:]}


@pytest.fixture(scope="module")
def lived(guest: Machine, files: dict[str, bytes]) -> dict[str, Any]:
    return steps(guest, files, "life")


@pytest.fixture(scope="module")
def ended(guest: Machine, files: dict[str, bytes], lived: dict[str, Any]) -> dict[str, Any]:
    return steps(guest, files, "ends")


def test_to_the_end(lived: dict[str, Any], ended: dict[str, Any]) -> None:
    assert (lived["status"], lived["errors"]) == (0, "")
    assert (ended["status"], ended["errors"]) == (0, "")


def test_loaded_and_counting(lived: dict[str, Any]) -> None:
    assert lived["empty"]["policy"] is None and lived["empty"]["kernel"]["state"] == "disabled"
    assert lived["load"]["stage"] == "confirmed"
    status = lived["running"]
    assert (status["kernel"]["state"], status["kernel"]["ops"]) == ("enabled", "fair")
    assert status["policy"]["bounds"][0]["class"] == "everyone"
    (waits,) = status["waits"]
    assert waits["class"] == "everyone" and sum(waits["histogram"]) > 0
    assert 0 < waits["p50"] <= waits["p99"] <= waits["max"]
    assert {"fair_enqueue", "fair_dispatch"} <= {one["name"] for one in status["programs"]}
    assert all(one["insns"] > 1 for one in status["programs"])
    assert status["counters"]["queues"][0]["name"] == "all"
    assert status["kernel"]["events"]
    assert lived["grown"][0] > 0


def test_few_rights_are_kept(lived: dict[str, Any]) -> None:
    both = f"{1 << 38 | 1 << 39:016x}"
    assert lived["supervisor"] == {
        "CapEff": "0" * 16, "CapPrm": both, "CapBnd": both, "NoNewPrivs": "1",
    }  # fmt: skip
    assert lived["holder"] == {
        "CapEff": both, "CapPrm": both, "CapBnd": both, "NoNewPrivs": "1",
    }  # fmt: skip
    assert lived["classes"] == [1, 1]  # SCHED_FIFO: no policy schedules its own loader
    assert lived["oom"] == -900


@pytest.mark.parametrize(("step", "code"), [
    ("altered", "E0835"), ("stale", "E0840"), ("unproven", "E0837"), ("refused", "E0801"),
])  # fmt: skip
def test_refused(lived: dict[str, Any], step: str, code: str) -> None:
    assert lived[step]["code"] == code, lived[step]


def test_what_is_refused_does_not_touch_what_runs(lived: dict[str, Any]) -> None:
    assert lived["after refusals"] == {"seq": 0, "ops": "fair"}
    assert "map_value_or_null" in lived["refused"]["text"]


def test_a_success_that_is_none(lived: dict[str, Any]) -> None:
    """`init` fails after the verifier said yes: what ran before is back."""
    assert lived["badinit"]["code"] in ("E0802", "E0843")
    assert "(-12)" in lived["badinit"]["text"]
    assert lived["after badinit"] == {"state": "enabled", "ops": "fair", "policy": "fair"}


def test_a_trial_that_is_aborted(lived: dict[str, Any]) -> None:
    assert lived["on trial"] == {"ops": "fifo", "poll": True}
    assert lived["aborted"]["policy"] == "fair"
    assert lived["after abort"] == {"ops": "fair", "state": "enabled"}


def test_a_holder_that_is_killed(lived: dict[str, Any]) -> None:
    assert lived["fallen back"] is True and lived["come back"] is True


def test_ejections_are_told_with_the_kernels_reason(ended: dict[str, Any]) -> None:
    assert ended["wrong queue"][0] == "E0804" and "non-existent DSQ" in ended["wrong queue"][1]
    assert ended["after wrong"] is True
    code, text = ended["starved"]
    assert code == "E0803" and "starveling" in text and "failed to run for" in text
    history = ended["history"]
    ejected = [line for line in history if line["what"] == "ejected"]
    assert [line["policy"] for line in ejected] == ["wrong", "starve", "wrong"]
    assert "starveling" in ejected[1]["why"] and all(line["why"] for line in ejected)
    assert ("loader-died", "fair") in [(line["what"], line["policy"]) for line in history]
    assert ended["quarantined"]["code"] == "E0841"


def test_the_service_ends_and_starts(ended: dict[str, Any]) -> None:
    assert ended["stopped"] is True and ended["started"] is True
    assert ended["second"]["status"] == 2 and "E0846" in ended["second"]["said"]
    assert ended["unloaded"] == "disabled"


@pytest.fixture(scope="module")
def righted(guest: Machine, files: dict[str, bytes]) -> dict[str, Any]:
    return steps(guest, files, "rights")


def test_without_rights(righted: dict[str, Any]) -> None:
    assert righted["no rights"]["status"] == 2
    assert "E0832: no rights to load a scheduler: CAP_BPF" in righted["no rights"]["said"]


def test_as_a_user_with_two_capabilities(righted: dict[str, Any]) -> None:
    assert righted["as a service"]["stage"] == "confirmed", righted["as a service"]
    assert righted["as a service runs"]["state"] == "enabled"
    assert righted["as a service runs"]["uid"]["Uid"].split() == ["1000"] * 4
    assert righted["socket"] == ["0o140660", 990]
    assert righted["both killed"] is True


def test_another_scheduler_is_left_alone(righted: dict[str, Any]) -> None:
    assert righted["other"]["code"] == "E0833" and "fifo" in righted["other"]["text"]
    assert righted["other stays"] == "fifo"


@pytest.fixture(scope="module")
def tooled(guest: Machine, files: dict[str, bytes]) -> dict[str, Any]:
    return steps(guest, files, "bpftool")


def test_bpftool_alone_succeeds_falsely(tooled: dict[str, Any]) -> None:
    assert tooled["false success"]["status"] == 0
    assert tooled["false success"]["state"] == "disabled"


def test_by_bpftool(tooled: dict[str, Any]) -> None:
    assert tooled["bpftool settings"]["code"] == "E0842"
    assert tooled["bpftool load"]["stage"] == "confirmed", tooled["bpftool load"]
    status = tooled["bpftool status"]
    assert status["kernel"]["ops"] == "fair" and status["loader"]["backend"] == "bpftool"
    assert status["counters"] == {"classes": [], "queues": []}


def test_what_is_weaker_with_bpftool(tooled: dict[str, Any]) -> None:
    """Pinned links outlive two killed processes; the next start takes them away."""
    assert tooled["bpftool killed"] == "enabled"
    assert tooled["bpftool again"] == {"policy": "fair", "state": "enabled"}
    assert tooled["bpftool unloaded"] == "disabled"
