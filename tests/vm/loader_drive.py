"""Runs in the guest: the loader taken through everything that may befall it; see
`test_loader_python.py`. Prints one line of JSON for each step: what it was, and what came of it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from schedc.load import kernel
from schedc.load.client import Client, command, start_loader
from schedc.load.errors import LoadError
from schedc.load.plan import Plan, make, parse

STATE = "/sys/kernel/sched_ext/state"
START = time.monotonic()
SOCKET = Path("/run/schedc/loader.sock")
SERVE = list(command())


def told(name: str, value: Any) -> None:
    print(json.dumps({"step": name, "value": value}), flush=True)


def attempt(name: str, do: Callable[[], Any]) -> Any:
    """A step whose refusal is an answer, too."""
    try:
        value = do()
    except LoadError as failure:
        told(name, {"code": failure.code, "text": str(failure)})
        return None
    told(name, value if isinstance(value, dict | list | str | int | float) else None)
    return value


def until(what: Callable[[], Any], seconds: float) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def plan(name: str, settings: str = "") -> Plan:
    """For what runs now."""
    with open(f"{name}.o", "rb") as data, open(f"{name}.cert", encoding="ascii") as certificate:
        now = int(time.time())
        return make(data.read(), certificate.read(), kernel=kernel.this_kernel(),
                    current=kernel.read_current(loaded()), made=now, expires=now + 600,
                    by="drive", settings=settings)  # fmt: skip


def loaded() -> str | None:
    policy = status()["policy"]
    return policy["object"] if policy else None


def status() -> dict[str, Any]:
    with Client.connect() as client:
        return client.ask({"do": "status"}, 60.0)


def load(one: Plan) -> dict[str, Any]:
    with Client.connect() as client:
        return client.ask({"do": "load", "plan": one.as_json(), "canary_s": None, "by": "drive"})


def ask(**request: Any) -> dict[str, Any]:
    with Client.connect() as client:
        return client.ask(request)


def state() -> str:
    with open(STATE, encoding="ascii") as file:
        return file.read().strip()


def ops() -> str:
    return kernel.read_current().ops


def words(pid: int, *names: str) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {name: lines[name].strip() for name in names}


def trial(name: str, seconds: float = 120.0) -> tuple[str, str]:
    """A trial that is left alone until something ends it."""
    with Client.connect() as client:
        handle = client.canary(plan(name), seconds, "drive")
        ended = until(handle.poll, seconds)
    return (ended.code, str(ended)) if ended else ("", "")


def refusals() -> None:
    """Plans that must not be loaded: `fair` runs, and goes on."""
    before = kernel.enable_seq()
    good = plan("fifo")
    changed = {**good.as_json(), "by": "somebody else"}
    attempt("altered", lambda: ask(do="load", plan=changed, canary_s=None, by=""))
    old = parse(good.text())
    values = {key: value for key, value in old.as_json().items() if key != "sha256"}
    values["current"] = {**values["current"], "enable_seq": before - 1}
    from schedc.load.plan import _digest

    stale = {**values, "sha256": _digest(values)}
    attempt("stale", lambda: ask(do="load", plan=stale, canary_s=None, by=""))
    attempt("unproven", lambda: load(plan("unproven")))
    attempt("refused", lambda: load(plan("refused")))
    told("after refusals", {"seq": kernel.enable_seq() - before, "ops": ops()})
    attempt("badinit", lambda: load(plan("badinit")))
    told("after badinit", {"state": state(), "ops": ops(), "policy": status()["policy"]["name"]})


def life() -> None:
    """From the first load to the last end."""
    os.system("rm -rf /run/schedc /var/lib/schedc")
    start_loader().close()
    told("empty", status())
    attempt("load", lambda: load(plan("fair", "set tune_slice 5000000\n")))
    first = status()
    hogs = [subprocess.Popen(["/job/starveling"]) for _ in range(3)]
    time.sleep(1.0)
    second = status()
    for hog in hogs:
        hog.kill()
    told("running", second)
    told("grown", [two["run"] - one["run"] for one, two in
                   zip(first["counters"]["classes"], second["counters"]["classes"],
                       strict=True)])  # fmt: skip
    wanted = ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs")
    told("supervisor", words(second["loader"]["pid"], *wanted))
    told("holder", words(second["loader"]["holder"], *wanted))
    told("classes", [os.sched_getscheduler(second["loader"][one]) for one in ("pid", "holder")])
    with open(f"/proc/{second['loader']['pid']}/oom_score_adj", encoding="ascii") as file:
        told("oom", int(file.read()))
    refusals()
    with Client.connect() as client:
        handle = client.canary(plan("fifo"), 120, "drive")
        told("on trial", {"ops": ops(), "poll": handle.poll() is None})
        told("aborted", handle.abort("guard"))
    told("after abort", {"ops": ops(), "state": state()})
    os.kill(status()["loader"]["holder"], signal.SIGKILL)
    told("fallen back", until(lambda: state() == "disabled", 20))
    told("come back", until(lambda: state() == "enabled" and ops() == "fair", 90))


def ends() -> None:
    """Ejections, quarantine, and the service's own end."""
    if status_or_none() is None:
        start_loader().close()
        load(plan("fair"))
    told("wrong queue", trial("wrong"))
    told("after wrong", until(lambda: state() == "enabled" and ops() == "fair", 90))
    victim = subprocess.Popen(["/job/starveling"])
    told("starved", trial("starve"))
    victim.kill()
    until(lambda: status()["policy"], 60)
    told("wrong again", trial("wrong"))
    until(lambda: status()["policy"], 60)
    attempt("quarantined", lambda: load(plan("wrong")))
    told("history", ask(do="history", last=100)["history"])
    pid = status()["loader"]["pid"]
    os.kill(pid, signal.SIGTERM)
    told("stopped", until(lambda: state() == "disabled" and not SOCKET.exists(), 60))
    start_loader().close()
    told("started", until(lambda: state() == "enabled" and ops() == "fair", 90))
    second = subprocess.run(SERVE, capture_output=True, text=True, check=False)
    told("second", {"status": second.returncode, "said": second.stderr})
    ask(do="unload", reason="enough")
    told("unloaded", state())
    stop()


def stop() -> None:
    pid = status()["loader"]["pid"]
    os.kill(pid, signal.SIGTERM)
    until(lambda: not SOCKET.exists(), 30)


def serve_as(*wrapper: str) -> dict[str, Any]:
    done = subprocess.run([*wrapper, *SERVE], capture_output=True, text=True, check=False)
    return {"status": done.returncode, "said": done.stderr}


def rights() -> None:
    """Without them; as another user with just the two; with another scheduler there."""
    os.system("rm -rf /run/schedc /var/lib/schedc")
    told("no rights", serve_as("/usr/bin/setpriv", "--bounding-set", "-bpf", "--inh-caps", "-all"))
    os.system("mkdir -p /run/schedc /var/lib/schedc; chown 1000:990 /run/schedc /var/lib/schedc")
    service = subprocess.Popen(
        ["/usr/bin/setpriv", "--reuid", "user", "--regid", "schedc", "--clear-groups",
         "--inh-caps", "+bpf,+perfmon", "--ambient-caps", "+bpf,+perfmon", *SERVE],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_RTPRIO, (1, 1)))  # fmt: skip
    until(lambda: SOCKET.exists(), 60)
    attempt("as a service", lambda: load(plan("fifo")))
    told("socket", [oct(SOCKET.stat().st_mode), SOCKET.stat().st_gid])
    told("as a service runs", {"state": state(), "uid": words(status()["loader"]["holder"], "Uid")})
    service.kill()
    told("both killed", until(lambda: state() == "disabled", 20))
    service.wait()
    os.system("rm -rf /run/schedc /var/lib/schedc")
    other = subprocess.Popen(["schedc-load", "--object", "fifo.o", "--hold", "300"],
                             stdout=subprocess.DEVNULL)  # fmt: skip
    until(lambda: state() == "enabled", 30)
    start_loader().close()
    attempt("other", lambda: load(plan("fair")))
    told("other stays", ops())
    other.terminate()
    other.wait()
    stop()


def bpftool() -> None:
    """Without libbpf: plans without settings, by bpftool; and what a killed one leaves."""
    os.system("rm -rf /run/schedc /var/lib/schedc; mount -t bpf bpf /sys/fs/bpf 2>/dev/null")
    # What bpftool does by itself: it says that all is well, and nothing is.
    done = subprocess.run(["/usr/sbin/bpftool", "struct_ops", "register", "fair.o"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    told("false success", {"status": done.returncode, "state": state(),
                           "said": done.stdout + done.stderr})  # fmt: skip
    service = subprocess.Popen([*SERVE, "--bpftool"])
    until(lambda: SOCKET.exists(), 60)
    attempt("bpftool settings", lambda: load(plan("fair", "set tune_slice 5000000\n")))
    attempt("bpftool load", lambda: load(plan("fair")))
    told("bpftool status", status())
    # Stopped first: else it may see the end of its socket, and detach, before the kernel kills it.
    os.kill(status()["loader"]["holder"], signal.SIGSTOP)
    os.kill(service.pid, signal.SIGKILL)
    service.wait()
    time.sleep(2)
    told("bpftool killed", state())
    service = subprocess.Popen([*SERVE, "--bpftool"])
    until(lambda: status_or_none() is not None, 60)
    attempt("bpftool again", lambda: {"policy": status()["policy"]["name"], "state": state()})
    attempt("bpftool unload", lambda: ask(do="unload", reason="enough"))
    told("bpftool unloaded", state())
    stop()
    service.wait()


def status_or_none() -> dict[str, Any] | None:
    try:
        return status()
    except LoadError:
        return None


if __name__ == "__main__":
    for part in sys.argv[1:]:
        try:
            globals()[part]()
        except BaseException:
            with suppress(LoadError):
                print(*ask(do="history", last=20)["history"], sep="\n", file=sys.stderr)
            raise
        told(f"{part} took", round(time.monotonic() - START, 1))
