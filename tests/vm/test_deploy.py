"""Deployment on a real kernel: the commands as a person types them, in a guest as root and not.

The guest has neither solver nor compiler: the object and its certificate are made here. Each part
is one job (`deploy_drive.py`), as starting Python there takes seconds.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import schedc.cli
from schedc.toolchain import find_compiler
from schedc.toolchain.find import Compiler
from schedc.vm.job import Job, JobResult
from schedc.vm.machine import Machine
from tests.vm import inside

pytestmark = [
    pytest.mark.vm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not isinstance(find_compiler(), Compiler), reason="no C compiler for BPF"),
]

guest = inside.fixture()
DRIVE = Path(__file__).with_name("deploy_drive.py")
LIBRARY = Path(__file__).parents[2] / "stdlib_policies"
PATIENCE_S = 400.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two policies of the library as objects with their certificates, and what drives the guest."""
    folder = tmp_path_factory.mktemp("made")
    found = {"drive.py": DRIVE.read_bytes()}
    for name in ("fair", "fifo"):
        policy = str(LIBRARY / f"{name}.sched")
        assert schedc.cli.run(["compile", policy, "--emit", "obj,cert", "-o", f"{folder}/"]) == 0
        for suffix in ("o", "cert"):
            found[f"{name}.{suffix}"] = (folder / f"{name}.{suffix}").read_bytes()
    return found


class Told:
    """What the steps of a job left."""

    def __init__(self, result: JobResult) -> None:
        self.files = {name: data.decode() for name, data in result.out.items()}
        self.console = result.console

    def code(self, step: str) -> int:
        assert f"{step}.code" in self.files, f"no end of {step}: {self.console[-3000:]}"
        return int(self.files[f"{step}.code"])

    def out(self, step: str) -> str:
        return self.files[f"{step}.out"]

    def err(self, step: str) -> str:
        return self.files[f"{step}.err"]

    def kernel(self, step: str) -> str:
        """sched_ext's state, and the scheduler's name."""
        return self.files[f"{step}.kernel"].strip()


def told(guest: Machine, files: dict[str, bytes], steps: str) -> Told:
    steps = "\n".join(line.removeprefix("    ") for line in steps.splitlines())
    job = Job({**files, "steps.py": steps.encode()}, "/usr/bin/python3 drive.py 2>&1")
    return Told(guest.run(job, PATIENCE_S))


def test_the_whole_way(guest: Machine, files: dict[str, bytes]) -> None:
    """plan -> apply --canary -> status -> top -> a second one -> rollback -> unload."""
    found = told(guest, files, """
    Path("/proc/sys/kernel/bpf_stats_enabled").write_text("1")
    step("plan", "plan", "fair.o")
    step("apply", "apply", "plan.json", "--canary", "--for", "6s", "--guard", "p99 < 5s",
         "--guard", "psi <= 100%", "--guard", "throughput > 1%", "--guard", "cmd:/bin/echo 1 < 2")
    now("applied")
    step("status", "status")
    step("json", "status", "--json")
    step("top", "top", "--once", "--interval", "2s")
    step("second", "load", "fifo.o", "--yes", "--for", "3s")
    now("second")
    step("rollback", "rollback", "--reason", "enough of it")
    now("rollback")
    step("unload", "unload")
    now("unload")
    step("history", "history", "--json")
    """)
    assert found.code("plan") == 0, found.err("plan")
    assert "fair 1.0.0 would run on this machine" in found.out("plan")
    assert found.code("apply") == 0, found.err("apply")
    assert re.fullmatch(
        r"fair 1\.0\.0 is confirmed: it stayed for \d+ s, 4 guards held\n", found.out("apply")
    )
    assert found.kernel("applied") == "enabled fair"
    assert found.out("status").startswith("fair 1.0.0 runs for ")
    status = json.loads(found.out("json"))
    (one,) = status["counters"]["classes"]
    assert one["run"] > 100 and sum(one["wait_hist"]) == one["run"]
    # The longest wait that was seen is far below what is proved.
    (bound,) = status["policy"]["bounds"]
    assert one["wait_max_ns"] < bound["wait_ms"] * 1e6
    assert found.code("top") == 0, found.err("top")
    assert re.search(r"the policy itself: [\d.e-]+% of one cpu", found.out("top")), found.out("top")
    assert found.code("second") == 0, found.err("second")
    assert found.kernel("second") == "enabled fifo"
    assert found.code("rollback") == 0 and found.out("rollback").startswith("fair is back")
    assert found.kernel("rollback") == "enabled fair"
    assert found.code("unload") == 0 and found.kernel("unload") == "disabled"
    lines = [json.loads(line) for line in found.out("history").splitlines()]
    assert [(one["what"], one["policy"]) for one in lines] == [
        ("loaded", "fair"), ("confirmed", "fair"), ("loaded", "fifo"), ("confirmed", "fifo"),
        ("rolled-back", "fifo"), ("loaded", "fair"), ("unloaded", "fair"),
    ]  # fmt: skip
    assert lines[4]["why"] == "enough of it"


def test_a_guard_rolls_back_and_two_quarantine(guest: Machine, files: dict[str, bytes]) -> None:
    """p99 of 1 us holds under no scheduler of an emulated machine."""
    found = told(guest, files, """
    for i in "12":
        step(f"plan{i}", "plan", "fair.o", "-o", "p.json")
        step(f"apply{i}", "apply", "p.json", "--for", "30s", "--guard", "p99 < 1us")
        now(f"apply{i}")
    step("history", "history")
    step("third", "plan", "fair.o")
    step("listed", "quarantine", "list", "--json")
    hash = re.search('"source": "([0-9a-f]+)"', Path("out/listed.out").read_text())[1]
    step("clear", "quarantine", "clear", hash)
    step("fourth", "load", "fair.o", "--yes", "--for", "3s")
    now("fourth")
    """)
    for step in ("apply1", "apply2"):
        assert found.code(step) == 4, found.err(step)
        assert "error[E0912]: fair 1.0.0 was taken back: `p99 < 1us` does not hold" in (
            found.err(step)
        )
        assert "now: the kernel's own scheduler" in found.err(step)
        assert found.kernel(step) == "disabled"
    assert found.out("history").count("aborted") == 2
    assert found.out("history").count("`p99 < 1us` does not hold: ") == 2
    assert found.code("third") == 4 and "error[E0841]" in found.err("third")
    assert found.code("clear") == 0, found.err("clear")
    assert found.code("fourth") == 0, found.err("fourth")
    assert found.kernel("fourth") == "enabled fair"


def test_refused(guest: Machine, files: dict[str, bytes]) -> None:
    """Stale, altered, expired, of another object, beside another scheduler: each with its code."""
    found = told(guest, files, """
    step("old", "plan", "fair.o", "-o", "old.json")
    step("short", "plan", "fifo.o", "-o", "short.json", "--expires", "5s")
    altered = Path("old.json").read_text().replace('"by": "root"', '"by": "mallory"')
    Path("altered.json").write_text(altered)
    step("altered", "apply", "altered.json")
    ends = re.search('"expires": ([0-9]+)', Path("short.json").read_text())[1]
    until(lambda: time.time() > int(ends))
    step("expired", "apply", "short.json")
    Path("bad.o").write_bytes(Path("fair.o").read_bytes() + bytes(8))
    step("bad", "plan", "bad.o", "--certificate", "fair.cert")
    now("before")
    step("other", "load", "fifo.o", "--yes", "--for", "2s")
    step("stale", "apply", "old.json")
    step("unload", "unload")
    now("after")
    Path("settings").write_text("")
    foreign = subprocess.Popen(["schedc-load", "--object", "fifo.o", "--settings", "settings",
                                "--report", "out/other.json", "--hold", "60"])
    until(lambda: (STATE / "state").read_text() == "enabled\\n")
    step("beside", "plan", "fair.o")
    step("status", "status")
    now("during")
    foreign.kill()
    foreign.wait()
    """)
    for step, error in (
        ("altered", "E0835"), ("expired", "E0838"), ("stale", "E0840"), ("bad", "E0836"),
        ("beside", "E0833"),
    ):  # fmt: skip
        assert found.code(step) == 4 and f"error[{error}]" in found.err(step), found.err(step)
    assert found.kernel("before") == "disabled"
    assert found.code("other") == 0, found.err("other")
    assert found.kernel("after") == "disabled"
    assert "- another scheduler (fifo)" in found.out("beside")
    assert found.out("status").startswith("another scheduler (fifo) runs")
    assert found.kernel("during") == "enabled fifo"


def test_on_a_busy_machine(guest: Machine, files: dict[str, bytes]) -> None:
    """Hogs on every cpu, and many tasks that are older than they: see `test_attaching_beside_hogs`
    in test_loader.py. The loader is a real-time task when it attaches."""
    found = told(guest, files, """
    loader()
    sleepers = [subprocess.Popen(["sleep", "300"]) for _ in range(1000)]
    hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(4)]
    step("load", "load", "fair.o", "--yes", "--for", "2s")
    now("loaded")
    step("unload", "unload")
    for one in (*hogs, *sleepers):
        one.kill()
        one.wait()
    """)
    assert found.code("load") == 0, found.err("load")
    assert found.kernel("loaded") == "enabled fair"
    assert found.code("unload") == 0


def test_without_privileges(guest: Machine, files: dict[str, bytes]) -> None:
    """A member of the group asks the loader; nobody else starts one; guards' commands, whoever
    called, hold no capability."""
    found = told(guest, files, """
    place = Path("/tmp/u")
    place.mkdir(exist_ok=True)
    place.chmod(0o777)
    for one in ("fair.o", "fair.cert", "fifo.o", "fifo.cert"):
        (place / one).write_bytes(Path(one).read_bytes())
    guard = place / "guard"
    guard.write_text("#!/bin/sh\\n(grep CapEff /proc/self/status; id -u) >/tmp/u/caps; echo 1\\n")
    guard.chmod(0o755)
    options = ("--for", "2s", "--guard", "cmd:/tmp/u/guard < 2")

    def caps(name):
        Path(f"out/{name}.caps").write_text((place / "caps").read_text())
        (place / "caps").unlink()

    step("plan", "plan", "/tmp/u/fair.o", "-o", "/tmp/u/p.json", user=True)
    step("alone", "apply", "/tmp/u/p.json", user=True)
    loader()
    step("user", "apply", "/tmp/u/p.json", *options, user=True)
    now("user")
    caps("user")
    step("unload", "unload", user=True)
    step("again", "plan", "fair.o")
    step("root", "apply", "plan.json", *options)
    caps("root")
    step("sudo", "load", "fifo.o", "--yes", *options, SUDO_UID="1000", SUDO_GID="1000",
         SUDO_USER="user")
    caps("sudo")
    """)
    assert found.code("plan") == 0, found.err("plan")
    assert found.code("alone") == 2 and "error[E0830]" in found.err("alone")
    for step, uid in (("user", "1000"), ("root", "0"), ("sudo", "1000")):
        assert found.code(step) == 0, found.err(step)
        assert found.files[f"{step}.caps"].splitlines() == ["CapEff:\t0000000000000000", uid]
    assert found.kernel("user") == "enabled fair"
