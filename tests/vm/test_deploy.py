"""Deployment on a real kernel: the commands as a person types them, in a guest as root and not.

The guest has neither solver nor compiler: the object and its certificate are made here.
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
    pytest.mark.skipif(not isinstance(find_compiler(), Compiler), reason="no C compiler for BPF"),
]

guest = inside.fixture()
LIBRARY = Path(__file__).parents[2] / "stdlib_policies"

# Every command with its exit code, and what it said.
HEAD = """
step() {
    name=$1; shift; echo "$name at $(cut -d' ' -f1 /proc/uptime)"
    "$@" >out/$name.out 2>out/$name.err; echo $? >out/$name.code
}
now() { cat /sys/kernel/sched_ext/state >out/$1.state; cat /sys/kernel/sched_ext/root/ops \
>out/$1.ops 2>/dev/null; true; }
rm -rf /run/schedc /var/lib/schedc
"""
TAIL = """
kill $(jobs -p) 2>/dev/null
kill $(cat /run/schedc/loader.lock) 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /run/schedc/loader.sock ] || break; sleep 0.2; done
true
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two policies of the library as objects with their certificates."""
    folder = tmp_path_factory.mktemp("made")
    found = {}
    for name in ("fair", "fifo"):
        code = schedc.cli.run(
            ["compile", str(LIBRARY / f"{name}.sched"), "--emit", "obj,cert", "-o", f"{folder}/"]
        )
        assert code == 0
        for suffix in ("o", "cert"):
            found[f"{name}.{suffix}"] = (folder / f"{name}.{suffix}").read_bytes()
    return found


class Told:
    """What the steps of a job left."""

    def __init__(self, result: JobResult) -> None:
        self._out = {name: data.decode() for name, data in result.out.items()}
        self.console = result.console

    def code(self, step: str) -> int:
        assert f"{step}.code" in self._out, f"no end of {step}: {self.console[-3000:]}"
        return int(self._out[f"{step}.code"])

    def out(self, step: str) -> str:
        return self._out[f"{step}.out"]

    def err(self, step: str) -> str:
        return self._out[f"{step}.err"]

    def kernel(self, step: str) -> tuple[str, str]:
        """sched_ext's state, and the scheduler's name."""
        return self._out[f"{step}.state"].strip(), self._out.get(f"{step}.ops", "").strip()


def told(guest: Machine, files: dict[str, bytes], script: str) -> Told:
    return Told(guest.run(Job(files, HEAD + script + TAIL), inside.PATIENCE_S))


def test_the_whole_way(guest: Machine, files: dict[str, bytes]) -> None:
    """plan -> apply --canary -> status -> top -> metrics of /sys -> rollback; nothing by hand."""
    found = told(guest, files, """
    sysctl -q kernel.bpf_stats_enabled=1 || echo 1 >/proc/sys/kernel/bpf_stats_enabled
    step plan schedc plan fair.o
    step apply schedc apply plan.json --canary --for 6s --guard 'p99 < 5s' --guard 'psi <= 100%'
    now applied
    step status schedc status
    step json schedc status --json
    step top schedc top --once --interval 2s
    step second schedc load fifo.o --yes --for 3s
    now second
    step rollback schedc rollback --reason 'enough of it'
    now rollback
    step unload schedc unload
    now unload
    step history schedc history --json
    """)
    assert found.code("plan") == 0, found.err("plan")
    assert "fair 1.0.0 would run on this machine" in found.out("plan")
    assert found.code("apply") == 0, found.err("apply")
    assert re.fullmatch(
        r"fair 1\.0\.0 is confirmed: it stayed for \d+ s, 2 guards held\n", found.out("apply")
    )
    assert found.kernel("applied") == ("enabled", "fair")
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
    assert found.kernel("second") == ("enabled", "fifo")
    assert found.code("rollback") == 0 and found.out("rollback").startswith("fair is back")
    assert found.kernel("rollback") == ("enabled", "fair")
    assert found.code("unload") == 0 and found.kernel("unload") == ("disabled", "")
    lines = [json.loads(line) for line in found.out("history").splitlines()]
    assert [(one["what"], one["policy"]) for one in lines] == [
        ("loaded", "fair"), ("confirmed", "fair"), ("loaded", "fifo"), ("confirmed", "fifo"),
        ("rolled-back", "fifo"), ("loaded", "fair"), ("unloaded", "fair"),
    ]  # fmt: skip
    assert lines[4]["why"] == "enough of it"


def test_a_guard_rolls_back_and_two_quarantine(guest: Machine, files: dict[str, bytes]) -> None:
    """p99 of 1 us holds under no scheduler that is shared by busy tasks."""
    found = told(guest, files, """
    for i in 1 2; do
        step plan$i schedc plan fair.o -o p.json
        step apply$i schedc apply p.json --for 30s --guard 'p99 < 1us'
        now apply$i
    done
    step history schedc history
    step third schedc plan fair.o
    step listed schedc quarantine list --json
    hash=$(sed -n 's/.*"source": "\\([0-9a-f]*\\)".*/\\1/p' out/listed.out | head -n1)
    step clear schedc quarantine clear $hash
    step fourth schedc load fair.o --yes --for 3s
    now fourth
    """)
    for step in ("apply1", "apply2"):
        assert found.code(step) == 4, found.err(step)
        assert "error[E0912]: fair 1.0.0 was taken back: `p99 < 1us` does not hold" in (
            found.err(step)
        )
        assert "now: the kernel's own scheduler" in found.err(step)
        assert found.kernel(step) == ("disabled", "")
    assert found.out("history").count("aborted") == 2
    assert found.out("history").count("`p99 < 1us` does not hold: ") == 2
    assert found.code("third") == 4 and "error[E0841]" in found.err("third")
    assert found.code("clear") == 0, found.err("clear")
    assert found.code("fourth") == 0, found.err("fourth")
    assert found.kernel("fourth") == ("enabled", "fair")


def test_refused(guest: Machine, files: dict[str, bytes]) -> None:
    """Stale, altered, expired, unproven: each with its code; the kernel's own runs on."""
    found = told(guest, files, """
    step old schedc plan fair.o -o old.json
    step short schedc plan fifo.o -o short.json --expires 1s
    sed 's/"by": "root"/"by": "mallory"/' old.json >altered.json
    step altered schedc apply altered.json
    sleep 1
    step expired schedc apply short.json
    now before
    step other schedc load fifo.o --yes --for 3s
    step stale schedc apply old.json
    step unload schedc unload
    tr '\\001' '\\002' <fair.o >bad.o
    step bad schedc plan bad.o --certificate fair.cert
    now after
    """)
    for step, error in (
        ("altered", "E0835"), ("expired", "E0838"), ("stale", "E0840"), ("bad", "E0836"),
    ):
        assert found.code(step) == 4 and f"error[{error}]" in found.err(step), found.err(step)
    assert found.kernel("before") == ("disabled", "")
    assert found.code("other") == 0, found.err("other")
    assert found.kernel("after") == ("disabled", "")


def test_without_privileges(guest: Machine, files: dict[str, bytes]) -> None:
    """A member of the group asks the loader; nobody starts one; guards' commands hold nothing."""
    found = told(guest, files, """
    U="/usr/bin/setpriv --reuid user --regid user --init-groups"
    chmod 755 .; chmod 644 *.o *.cert; chmod 777 out
    mkdir -p /tmp/u; chmod 777 /tmp/u; cp *.o *.cert /tmp/u
    step plan $U schedc plan /tmp/u/fair.o -o /tmp/u/p.json
    step alone $U schedc apply /tmp/u/p.json
    setsid python3 -I -m schedc.load serve >/dev/null 2>&1 &
    for i in $(seq 100); do [ -S /run/schedc/loader.sock ] && break; sleep 0.2; done
    (echo '#!/bin/sh'; echo 'grep CapEff /proc/self/status >/tmp/u/caps'
     echo 'id -u >>/tmp/u/caps; echo 1') >/tmp/u/guard
    chmod 755 /tmp/u/guard
    step again $U schedc plan /tmp/u/fair.o -o /tmp/u/p.json
    step apply $U schedc apply /tmp/u/p.json --for 3s --guard 'cmd:/tmp/u/guard < 2'
    now apply
    cp /tmp/u/caps out/user; rm /tmp/u/caps
    step unload $U schedc unload
    step rootplan schedc plan fair.o
    step root schedc apply plan.json --for 3s --guard 'cmd:/tmp/u/guard < 2'
    cp /tmp/u/caps out/root; rm /tmp/u/caps
    step sudo env SUDO_UID=1000 SUDO_GID=1000 SUDO_USER=user schedc load fifo.o --yes --for 3s \
--guard 'cmd:/tmp/u/guard < 2'
    cp /tmp/u/caps out/sudo
    """)
    assert found.code("plan") == 0, found.err("plan")
    assert found.code("alone") == 2 and "error[E0830]" in found.err("alone")
    assert "only root" in found.err("alone") or "systemctl start" in found.err("alone")
    assert found.code("apply") == 0, found.err("apply")
    assert found.kernel("apply") == ("enabled", "fair")
    assert found.code("root") == 0, found.err("root")
    assert found.code("sudo") == 0, found.err("sudo")
    nothing = "CapEff:\t0000000000000000"
    assert found._out["user"].splitlines() == [nothing, "1000"]
    assert found._out["root"].splitlines() == [nothing, "0"]
    assert found._out["sudo"].splitlines() == [nothing, "1000"]


def test_another_scheduler(guest: Machine, files: dict[str, bytes]) -> None:
    """Loaded by another program: shown by `plan` and `status`, and never touched."""
    found = told(guest, files, """
    : >settings
    schedc-load --object fifo.o --settings settings --report out/other.json --hold 60 &
    other=$!
    for i in $(seq 100); do grep -q enabled /sys/kernel/sched_ext/state && break; sleep 0.1; done
    step plan schedc plan fair.o
    step status schedc status
    now during
    kill $other; wait $other
    """)
    assert found.code("plan") == 4 and "error[E0833]" in found.err("plan")
    assert "- another scheduler (fifo)" in found.out("plan")
    assert found.out("status").startswith("another scheduler (fifo) runs")
    assert found.kernel("during") == ("enabled", "fifo")
