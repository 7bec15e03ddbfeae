"""In the guest: a scheduler loaded with each set of capabilities, in a process of its own.

    python3 capabilities_inside.py OBJECT CERTIFICATE    -> one line of JSON a set
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time

from schedc.load import kernel, privileges
from schedc.load.errors import LoadError
from schedc.load.plan import make
from schedc.load.scheduler import Scheduler

CAPS = {"SYS_NICE": 23, "SYS_RESOURCE": 24, "SYS_ADMIN": 21, "NET_ADMIN": 12, "PERFMON": 38,
        "BPF": 39}  # fmt: skip
SETS = (
    (0, ("BPF", "PERFMON")), (1000, ("BPF", "PERFMON")), (0, ("PERFMON",)), (0, ("BPF",)),
    (0, ()), (0, ("SYS_ADMIN",)), (0, ("NET_ADMIN",)),
)  # fmt: skip
KEEPCAPS = 8


def become(uid: int, names: tuple[str, ...]) -> None:
    """This user, with exactly these capabilities."""
    libc = ctypes.CDLL(None, use_errno=True)
    if uid:
        libc.prctl(KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    bits = sum(1 << CAPS[name] for name in names)
    privileges._capset(bits, bits)


def attempt(data: bytes, certificate: str) -> dict[str, object]:
    """Load, attach, look, detach; how far it came, and what stopped it."""
    now = int(time.time())
    plan = make(data, certificate, kernel=kernel.this_kernel(), current=kernel.read_current(),
                made=now, expires=now + 600, by="capabilities")  # fmt: skip
    stage = "load"
    try:
        scheduler = Scheduler(plan)
        stage = "attach"
        scheduler.attach()
        stage = "read"
        facts = scheduler.facts()
        assert scheduler.is_current() and facts["programs"] and facts["counters"]["classes"]
        stage = "detach"
        back, _ = scheduler.detach()
        assert back
    except LoadError as failure:
        text = " ".join(str(failure).split())
        return {"stage": stage, "error": text[:300]}
    except Exception as failure:
        return {"stage": stage, "error": repr(failure)[:300]}
    return {"stage": "all", "error": ""}


def in_child(uid: int, names: tuple[str, ...], data: bytes, certificate: str) -> dict[str, object]:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            # Which is a limit's to allow (RLIMIT_RTPRIO), not a capability's.
            privileges.run_first()
            become(uid, names)
            done = attempt(data, certificate)
        except BaseException as failure:
            done = {"stage": "become", "error": repr(failure)[:300]}
        os.write(write, json.dumps(done).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        done = json.loads(file.read())
    os.waitpid(pid, 0)
    return done


def start_without(name: str) -> list[str]:
    """What the service can't do at its start without one of root's capabilities."""
    read, write = os.pipe()
    if os.fork() == 0:
        become(0, tuple(one for one in CAPS if one != name))
        os.write(write, json.dumps(privileges.stay_alive()).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        failed: list[str] = json.loads(file.read())
    os.wait()
    return failed


def main() -> None:
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    with open(sys.argv[2], encoding="ascii") as text:
        certificate = text.read()
    for uid, names in SETS:
        done = in_child(uid, names, data, certificate)
        print(json.dumps({"uid": uid, "caps": names, **done}), flush=True)
    for name in ("SYS_NICE", "SYS_RESOURCE"):
        print(json.dumps({"without": name, "failed": start_without(name)}), flush=True)


if __name__ == "__main__":
    main()
