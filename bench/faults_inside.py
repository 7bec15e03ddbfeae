"""Faults, done to the real loader inside a guest: sent there by `bench/faults.py`, run as root.

    python3 -m bench.faults_inside SEED CASE=RUNS...

Input: good.o/.cert (confirmed), trial.o/.cert (put on trial) and starver.o/.cert (its certificate
forged) in /job. Output: a line of JSON for each run in out/runs.jsonl. Each run sets the
machine up, waits a random moment, does the damage, and follows the kernel's own files every few
milliseconds: `safe_s` is how long it took until the default or the policy of before was in charge,
`back_s` until that policy was (None where it isn't expected). Nothing here helps the loader but
what a service manager does: a supervisor that is gone is started again.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from bench.faults_suspend import suspend_to_idle
from bench.faults_world import (
    GUARD_TIMEOUT_S,
    JOB,
    PATIENCE_S,
    Run,
    World,
    forked,
    on_default,
    until,
)
from schedc.load import kernel
from schedc.load.client import Client
from schedc.load.errors import LoadError

LIMIT_S = 5.0
WRITTEN_S = 2.0
"""For the loader to write down what the kernel has done."""

# --- each case sets up, does the damage, measures, and says which words it wants


def expect(run: Run, world: World, known: int, *wanted: str) -> None:
    """The history since its first `known` lines must have each of these, in this order; soon, for
    the loader writes down what the kernel has done already."""
    until(lambda: missing(world.history()[known:], wanted) is None, WRITTEN_S)
    run.words = world.history()[known:]
    if (lacks := missing(run.words, wanted)) is not None:
        run.problem = run.problem or f"the history has no `{lacks}`: {run.words}"


def missing(words: list[str], wanted: tuple[str, ...]) -> str | None:
    """The first of the patterns that isn't there, after those before it."""
    at = 0
    for one in wanted:
        found = next((i for i, w in enumerate(words[at:], at) if re.search(one, w)), None)
        if found is None:
            return one
        at = found + 1
    return None


def damage(run: Run, world: World, name: str, harm: Callable[[], object], *, back: bool) -> None:
    """Do harm, then time how long until something safe is in charge (and the policy is back)."""
    before = kernel.enable_seq()
    began = time.monotonic()
    harm()
    follow(run, world, name, before, began, back=back)


def follow(
    run: Run, world: World, name: str, before: int, began: float, *, back: bool
) -> None:
    if not until(world.safe(name, before)):
        run.problem = f"after {PATIENCE_S:g} s: {kernel.read_current()}"
        return
    run.safe_s = time.monotonic() - began
    if back:
        restart_if_gone(world)
        is_back = world.runs(name)
        if not until(lambda: is_back() and kernel.enable_seq() > before):
            run.problem = f"the policy did not come back: {kernel.read_current()}"
            return
        run.back_s = time.monotonic() - began
    run.restored = "the policy" if world.runs(name)() else "the default"


def restart_if_gone(world: World) -> None:
    if world.loader is not None and world.loader.gone():
        world.start()


def moment(rng: random.Random, most: float = 0.4) -> None:
    time.sleep(rng.uniform(0.0, most))


def ready(world: World, rng: random.Random) -> int:
    """A loader with a confirmed policy, that of the run before if it is in order; how long its
    history is."""
    if world.loader is None or world.loader.gone():
        world.start()
    if "good" not in world.names or not world.runs("good")():
        world.confirmed("good")
    moment(rng)
    return len(world.history())


def killed_holder(world: World, run: Run, rng: random.Random) -> None:
    known = ready(world, rng)
    _, holder = world.pids()
    damage(run, world, "good", lambda: os.kill(holder, signal.SIGKILL), back=True)
    expect(run, world, known, "^loader-died: the process that held it killed by SIGKILL",
           "^reattached: ")  # fmt: skip


def killed_supervisor(world: World, run: Run, rng: random.Random) -> None:
    known = ready(world, rng)
    supervisor, _ = world.pids()

    def harm() -> None:
        os.kill(supervisor, signal.SIGKILL)
        assert world.loader is not None
        world.loader.wait()

    damage(run, world, "good", harm, back=True)
    expect(run, world, known, "^loader-died: ", "^reattached: the loader started")


def killed_both(world: World, run: Run, rng: random.Random) -> None:
    known = ready(world, rng)
    both = list(world.pids())
    rng.shuffle(both)

    def harm() -> None:
        for pid in both:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert world.loader is not None
        world.loader.wait()

    damage(run, world, "good", harm, back=True)
    expect(run, world, known, "^loader-died: ", "^reattached: the loader started")


def killed_while_loading(world: World, run: Run, rng: random.Random) -> None:
    """The supervisor, at any moment of a load: while the kernel verifies, between two policies."""
    known = ready(world, rng)
    supervisor, _ = world.pids()
    request = {"do": "load", "plan": world.plan("trial"), "canary_s": None, "by": "faults"}
    client = Client.connect()
    client.send(request)
    moment(rng, 0.6)
    before, began = kernel.enable_seq(), time.monotonic()
    os.kill(supervisor, signal.SIGKILL)
    assert world.loader is not None
    world.loader.wait()
    client.close()
    if not until(on_default):
        run.problem = f"after {PATIENCE_S:g} s: {kernel.read_current()}"
        return
    run.safe_s = time.monotonic() - began
    world.start()
    if not until(lambda: kernel.read_current().state == kernel.ENABLED
                 and kernel.enable_seq() > before):  # fmt: skip
        run.problem = "no policy came back"
        return
    run.back_s, run.restored = time.monotonic() - began, "the policy"
    expect(run, world, known, "^loader-died: ", "^reattached: the loader started")


def killed_watcher(world: World, run: Run, rng: random.Random) -> None:
    """The process that watches a trial (`schedc apply`)."""
    known = ready(world, rng)
    child = world.apply("trial")
    if not trial_runs(world, run):
        return
    moment(rng)
    damage(run, world, "good", child.kill, back=True)
    expect(run, world, known, "^loaded: on trial", "^aborted: the one who watched the trial went",
           "^reattached: what ran before the trial")  # fmt: skip


def trial_runs(world: World, run: Run) -> bool:
    def is_on_trial() -> bool:
        policy = world.ask(do="status")["policy"]
        return policy is not None and policy["stage"] == "canary"

    if not until(is_on_trial):
        run.problem = f"no trial: {Path('/tmp/apply.log').read_text()[-400:]}"
        return False
    return True


def failing_guard(world: World, run: Run, rng: random.Random) -> None:
    kind = rng.choice(("echo 99", "exit 3"))
    wanted = "99" if kind == "echo 99" else "exit code 3"
    guarded(world, run, f"cut -d' ' -f1 /proc/uptime > /tmp/at; {kind}", 0.0,
            rf"^aborted: .*{wanted}", rng)  # fmt: skip


def hung_guard(world: World, run: Run, rng: random.Random) -> None:
    guarded(world, run, "cut -d' ' -f1 /proc/uptime > /tmp/at; sleep 1000", GUARD_TIMEOUT_S,
            "^aborted: .*did not end within", rng)  # fmt: skip


def guarded(
    world: World, run: Run, script: str, allowed_s: float, wanted: str, rng: random.Random
) -> None:
    """A trial whose guard goes wrong; the time is counted from when it ran, or was to have ended.
    """
    known = ready(world, rng)
    guard, at = JOB / "guard", Path("/tmp/at")
    at.unlink(missing_ok=True)
    guard.write_text(f"#!/bin/sh\nn=$(cat /tmp/n); echo $((n+1)) > /tmp/n\n"
                     f"[ $n -lt 2 ] && echo 1 && exit\n{script}\n")  # fmt: skip
    Path("/tmp/n").write_text("0\n")
    guard.chmod(0o755)
    before = kernel.enable_seq()
    world.apply("trial", f"cmd:{guard} < 50")
    if not until(lambda: at.exists() and at.read_text().strip() != ""):
        run.problem = f"the guard never ran: {Path('/tmp/apply.log').read_text()[-400:]}"
        return
    began = float(at.read_text()) + allowed_s
    follow(run, world, "good", before + 1, began, back=True)
    expect(run, world, known, "^loaded: on trial", wanted, "^reattached: what ran before the trial")


def out_of_memory(world: World, run: Run, rng: random.Random) -> None:
    """All of the guest's memory: the loader has to survive it."""
    known = ready(world, rng)
    before, pids = kernel.enable_seq(), world.pids()
    hog = subprocess.run(["tail", "/dev/zero"], stderr=subprocess.DEVNULL, check=False)
    stays(run, world, known, before)
    if hog.returncode != -signal.SIGKILL:
        run.problem = f"the hog ended with {hog.returncode}: nothing was out of memory"
    if world.pids() != pids:
        run.problem = "the loader was killed, not the hog"


def stays(run: Run, world: World, known: int, before: int) -> None:
    """Nothing happened to the policy: it is still the same life of it, so there is no time."""
    run.restored = "the policy, which stayed"
    if kernel.enable_seq() != before or not world.runs("good")():
        run.problem = f"the policy did not stay: {kernel.read_current()}, {world.history()[known:]}"
    run.words = world.history()[known:]


def cgroup_out_of_memory(world: World, run: Run, rng: random.Random) -> None:
    """A group whose members are killed together, the loader among them."""
    known = ready(world, rng)
    root = Path("/sys/fs/cgroup")
    (root / "cgroup.subtree_control").write_text("+memory")
    group = root / "faults"
    group.mkdir(exist_ok=True)
    (group / "memory.max").write_text(str(96 << 20))
    (group / "memory.oom.group").write_text("1")
    for pid in world.pids():
        (group / "cgroup.procs").write_text(str(pid))

    def harm() -> None:
        script = f"echo $$ > {group}/cgroup.procs; exec tail /dev/zero"
        subprocess.run(["sh", "-c", script], stderr=subprocess.DEVNULL, check=False)

    before = kernel.enable_seq()
    harm()
    began = time.monotonic()
    follow(run, world, "good", before, began, back=True)
    expect(run, world, known, "^loader-died: ", "^reattached: the loader started")


def cpu_goes(world: World, run: Run, rng: random.Random) -> None:
    cpu(world, run, rng, "0")


def cpu_comes(world: World, run: Run, rng: random.Random) -> None:
    ready(world, rng)
    life = kernel.enable_seq()
    online("0")
    until(lambda: world.runs("good")() and kernel.enable_seq() > life)
    cpu(world, run, rng, "1")


def online(to: str) -> None:
    path = Path("/sys/devices/system/cpu/cpu1/online")
    if path.read_text().strip() != to:
        path.write_text(to)


def cpu(world: World, run: Run, rng: random.Random, to: str) -> None:
    known = ready(world, rng)
    damage(run, world, "good", lambda: online(to), back=True)
    expect(run, world, known, r"^reattached: .*a cpu came or went")
    life = kernel.enable_seq()
    if to == "0":
        online("1")
        until(lambda: world.runs("good")() and kernel.enable_seq() > life)


def stalls(world: World, run: Run, rng: random.Random) -> None:
    """A policy that forgets a task, with a certificate that says it doesn't."""
    known = ready(world, rng)
    trial = world.on_trial("starver")
    victim = str(JOB / "starveling")
    world.children.append(forked(lambda: os.execv(victim, [victim]), "/dev/null"))
    # By its number, not its name: that may be another's too.
    life = kernel.enable_seq()
    if not until(lambda: on_default() or kernel.enable_seq() > life):
        run.problem = "the kernel's watchdog never bit"
        return
    began = time.monotonic()
    follow(run, world, "good", life, began, back=True)
    trial.close()
    expect(run, world, known, "^loaded: on trial", "^ejected: .*stall",
           "^reattached: what ran before the trial")  # fmt: skip


def suspended(world: World, run: Run, rng: random.Random) -> None:
    """All processes are frozen, and the kernel passes the policy by until they are thawed: then it
    has to be the same life of it that places tasks."""
    known = ready(world, rng)
    before, pids = kernel.enable_seq(), world.pids()
    suspend_to_idle()
    began, placed = time.monotonic(), world.placed()
    if not until(lambda: world.placed() > placed):
        run.problem = "awake, but the policy places no task"
    run.safe_s = time.monotonic() - began
    stays(run, world, known, before)
    if world.pids() != pids or run.words:
        run.problem = run.problem or f"the loader did not sleep through it: {run.words}"


def sysrq(world: World, run: Run, rng: random.Random) -> None:
    known = ready(world, rng)
    damage(run, world, "good", lambda: Path("/proc/sysrq-trigger").write_text("S"), back=False)
    expect(run, world, known, "^unloaded: .*(?i:sysrq)")


CASES: dict[str, Callable[[World, Run, random.Random], None]] = {
    "holder killed": killed_holder,
    "supervisor killed": killed_supervisor,
    "both killed": killed_both,
    "killed while loading": killed_while_loading,
    "watcher of a trial killed": killed_watcher,
    "guard fails": failing_guard,
    "guard hangs": hung_guard,
    "guest out of memory": out_of_memory,
    "loader's cgroup out of memory": cgroup_out_of_memory,
    "cpu goes offline": cpu_goes,
    "cpu comes online": cpu_comes,
    "policy starves a task": stalls,
    "suspended to idle": suspended,
    "SysRq-S": sysrq,
}


def one(world: World, case: str, rng: random.Random) -> Run:
    run = Run(case)
    try:
        CASES[case](world, run, rng)
    except (LoadError, OSError, RuntimeError, AssertionError, ValueError) as failure:
        run.problem = run.problem or f"{type(failure).__name__}: {failure}"
    world.tidy()
    if run.safe_s is not None and run.safe_s > LIMIT_S:
        run.problem = run.problem or f"it took {run.safe_s:.1f} s"
    # A loader whose holder died waits longer each time: a new one for the next run.
    if run.problem or case == "holder killed":
        online("1")
        world.clean()
    return run


def main(arguments: list[str]) -> None:
    rng = random.Random(int(arguments[0]))
    wanted = [(name, int(n)) for name, _, n in (word.rpartition("=") for word in arguments[1:])]
    world = World()
    order = [name for name, runs in wanted for _ in range(runs)]
    rng.shuffle(order)
    # Somebody has to be scheduled; all the time would be dear, with a clock made of instructions.
    work = "import time\nwhile True:\n time.sleep(0.004)"
    busy = [subprocess.Popen([sys.executable, "-S", "-c", work]) for _ in range(2)]
    with open(JOB / "out" / "runs.jsonl", "w", encoding="utf-8") as out:
        for name in order:
            began = time.monotonic()
            done = one(world, name, rng)
            out.write(json.dumps({**asdict(done), "took_s": time.monotonic() - began}) + "\n")
            out.flush()
            # For whoever looks at the machine's console meanwhile.
            Path("/dev/console").write_text(f"{name}: {done.problem or done.safe_s}\n")
    world.clean()
    for child in busy:
        child.kill()


if __name__ == "__main__":
    main(sys.argv[1:])
