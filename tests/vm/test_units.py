"""The units of `schedc service` under systemd: hardened as they are, they do their work.

systemd is the first process of a namespace in a guest (its own, not the host's, is what would need
a whole Debian); the kernel, the sandbox it makes for a service, and sched_ext are real.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from schedc.toolchain import find_compiler
from schedc.toolchain.find import Compiler
from schedc.vm.job import Job
from schedc.vm.machine import Machine
from tests.vm import inside

pytestmark = [
    pytest.mark.vm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not isinstance(find_compiler(), Compiler), reason="no C compiler for BPF"),
]

guest = inside.fixture("systemd")
LIBRARY = Path(__file__).parents[2] / "stdlib_policies"
PATIENCE_S = 400.0

# `wait SECONDS COMMAND`: until it succeeds. `of UNIT PROPERTY`: what systemd says.
# `wait_for SECONDS COMMAND`: until it succeeds. `of UNIT PROPERTY`: what systemd says.
PRELUDE = """\
exec 2>out/trace
set -x
inside() { /usr/bin/nsenter -t "$first" -p -m "$@"; }
wait_for() {
	n=$(($1 * 5)); shift
	set +x
	until "$@" >/dev/null 2>&1; do
		n=$((n - 1)); [ $n -gt 0 ] || { echo "gave up: $*" >>out/late; break; }
		usleep 200000
	done
	set -x
}
of() { inside systemctl show --value -p "$2" "$1"; }
is() { [ "$(of "$1" "$2")" = "$3" ]; }
runs() { [ "$(cat /sys/kernel/sched_ext/state)" = "$1" ]; }
now() {
	{
		cat /sys/kernel/sched_ext/state /sys/kernel/sched_ext/root/ops
		of schedc-loader.service ActiveState
		of schedc.service ActiveState
	} >"out/$1" 2>/dev/null
}
mkdir -p /etc/schedc
schedc service install >out/install
systemd-sysusers
cp policy.o policy.cert /etc/schedc/
sed -i 's/^SCHEDC_FLAGS=.*/SCHEDC_FLAGS=--for 2s/' /etc/default/schedc
container=schedc-test /usr/bin/unshare --fork --pid --mount --mount-proc \\
	/usr/lib/systemd/systemd --system >out/boot 2>&1 &
wait_for 60 pidof systemd
first=$(pidof systemd | tr ' ' '\\n' | sort -n | tail -n 1)
wait_for 60 inside systemctl list-units
"""

WHOLE = """\
inside systemctl start schedc.service
now started
for pid in $(pidof python3); do
	tr '\\0' ' ' </proc/$pid/cmdline
	grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$pid/status | tr -s '\\t\\n' ' '
	echo
done >out/processes

before=$(cat /sys/kernel/sched_ext/enable_seq)
again() { runs enabled && [ "$(cat /sys/kernel/sched_ext/enable_seq)" -gt "$before" ]; }
inside kill -9 "$(of schedc-loader.service MainPID)"
wait_for 60 again
# The service of the policy is started again with the loader's, so there may be a trial first.
wait_for 90 is schedc.service ActiveState active
now killed

inside systemctl stop schedc.service
now stopped

sed -i 's/policy[.]o$/none.o/' /etc/default/schedc
inside systemctl start schedc.service
of schedc.service Result >out/none
now failed

sed -i 's/none[.]o$/policy.o/' /etc/default/schedc
inside systemctl start schedc.service
now second
inside systemctl stop schedc-loader.service
now ended
inside systemctl start schedc-loader.service
wait_for 20 schedc status
schedc history --json >out/history
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A policy of the library, and its certificate."""
    folder = tmp_path_factory.mktemp("made")
    subprocess.run(
        [sys.executable, "-m", "schedc", "compile", str(LIBRARY / "fair.sched"),
         "--emit", "obj,cert", "-o", f"{folder}/policy"],
        check=True, capture_output=True,
    )  # fmt: skip
    return {f"policy{end}": (folder / f"policy{end}").read_bytes() for end in (".o", ".cert")}


def test_from_the_start_to_the_end(guest: Machine, files: dict[str, bytes]) -> None:
    """Started, its loader killed, stopped, with a policy that isn't there, its loader stopped."""
    result = guest.run(Job(files, PRELUDE + WHOLE), PATIENCE_S)
    told = {name: data.decode(errors="replace") for name, data in result.out.items()}
    trace = told["trace"][-3000:]
    assert "late" not in told, told["late"] + trace

    def seen(name: str) -> list[str]:
        return told[name].split()

    assert seen("started") == ["enabled", "fair", "active", "active"], trace
    supervisor_and_holder(told["processes"])
    assert seen("killed") == ["enabled", "fair", "active", "active"], trace
    assert seen("stopped") == ["disabled", "active", "inactive"], trace
    assert seen("none") == ["exit-code"]
    assert seen("failed") == ["disabled", "active", "failed"], trace
    assert seen("second") == ["enabled", "fair", "active", "active"], trace
    assert seen("ended") == ["disabled", "inactive", "inactive"], trace
    history = [json.loads(line) for line in told["history"].splitlines()]
    assert {"schedc.service was stopped"} <= {one["why"] for one in history}
    # The policy's service is no user of the loader's, which could reach into it.
    loads = [one["by"] for one in history if one["what"] == "loaded"]
    assert len(loads) >= 2 and all(is_dynamic(by) for by in loads), loads
    assert any("loader" in one["why"] for one in history if one["what"] != "loaded"), history


def is_dynamic(by: str) -> bool:
    """Of the range that systemd gives to services with DynamicUser."""
    found = re.fullmatch(r"uid (\d+)", by)
    return found is not None and 61184 <= int(found[1]) <= 65519


def supervisor_and_holder(processes: str) -> None:
    """Two processes of the loader's user, within the two capabilities; one holds them."""
    lines = processes.splitlines()
    assert len(lines) == 2, processes
    for line in lines:
        assert "-m schedc.load serve" in line and "Uid: 990 990 990 990" in line, line
        assert "CapBnd: 000000c000000000" in line, line
        assert "NoNewPrivs: 1" in line and "Seccomp: 2" in line, line
    held = sorted(line.partition("CapEff: ")[2].split()[0] for line in lines)
    assert held == ["0000000000000000", "000000c000000000"], processes
