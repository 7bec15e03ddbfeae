"""`schedc apply` and `load` against the real server: confirmed, taken back, refused, and why."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import schedc.cli
from schedc.load.client import Client
from schedc.load.errors import LoadError
from tests.deploy.machine import Place, environment, history, loader, write_policy


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = schedc.cli.run(arguments)
    out, err = capfd.readouterr()
    return code, out, err


def planned(capfd: pytest.CaptureFixture[str], name: str = "calm") -> str:
    code, _, err = run(capfd, "plan", write_policy(name), "-o", f"{name}.json")
    assert code == 0, err
    return f"{name}.json"


def test_confirmed(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    guards = ("p99 < 20ms", "p50 of everyone < 20ms", "cmd:echo 3 < 5")
    options = [word for one in guards for word in ("--guard", one)]
    code, out, err = run(capfd, "apply", planned(capfd), "--for", "3s", *options)
    assert code == 0, err
    assert re.fullmatch(r"calm 1.0.0 is confirmed: it stayed for \d+ s, 3 guards held\n", out)
    assert "calm 1.0.0 on trial, 0 of 3 s" in err
    assert [one[0] for one in history(machine)] == ["loaded", "confirmed"]
    code, out, _ = run(capfd, "status")
    assert out.startswith("calm 1.0.0 runs for ")
    assert re.search(r"everyone +\d+ +\d+ us +1 ms +1 ms +17 s \(N = 64\)", out), out


def test_without_a_canary_it_must_stay_for_some_seconds(
    machine: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    code, out, _ = run(capfd, "apply", planned(capfd))
    assert code == 0 and "it stayed for " in out
    assert time.monotonic() - began >= 3


def test_a_guard_takes_it_back(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    machine.wait(50_000_000)
    code, out, err = run(capfd, "apply", planned(capfd), "--for", "20s", "--guard", "p99 < 20ms")
    assert (code, out) == (4, "")
    assert "error[E0912]: calm 1.0.0 was taken back: `p99 < 20ms` does not hold: 50 ms" in err
    assert "s on trial" in err and "now: the kernel's own scheduler" in err
    events = history(machine)
    assert [one[0] for one in events] == ["loaded", "aborted"]
    assert events[1][2].startswith("`p99 < 20ms` does not hold")
    assert (machine.kernel / "state").read_text() == "disabled\n"


def test_one_odd_look_ends_nothing(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """Two looks in a row, or the last one."""
    numbers = Path("numbers")
    numbers.write_text("9\n1\n1\n1\n1\n1\n")
    script = Path("next.sh")
    script.write_text("#!/bin/sh\nhead -n1 numbers; sed -i 1d numbers\n")
    script.chmod(0o755)
    code, out, _ = run(capfd, "apply", planned(capfd), "--for", "5s", "--guard",
                       f"cmd:{script.absolute()} < 5")  # fmt: skip
    assert code == 0, out
    numbers.write_text("1\n1\n9\n9\n9\n")
    code, _, err = run(capfd, "apply", planned(capfd), "--for", "20s", "--guard",
                       f"cmd:{script.absolute()} < 5")  # fmt: skip
    assert code == 4 and "does not hold: 9" in err


def test_a_command_that_fails_before_the_load(
    machine: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capfd, "apply", planned(capfd), "--guard", "cmd:false < 5")
    assert code == 4 and "error[E0913]: the command of `cmd:false < 5` failed" in err
    assert "nothing was loaded" in err
    assert not (machine.state / "history.jsonl").exists()


def test_a_command_that_hangs(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    Path("first").write_text("")
    script = Path("hang.sh")
    script.write_text("#!/bin/sh\nif rm first 2>/dev/null; then echo 1; else sleep 60; fi\n")
    script.chmod(0o755)
    began = time.monotonic()
    code, _, err = run(capfd, "apply", planned(capfd), "--for", "50s", "--guard-timeout", "2s",
                       "--guard", f"cmd:{script.absolute()} < 5")  # fmt: skip
    assert code == 4 and "error[E0913]" in err
    assert "did not end within 2 s and was killed" in err
    assert time.monotonic() - began < 15
    assert [one[0] for one in history(machine)] == ["loaded", "aborted"]


def test_what_can_not_be_measured(
    machine: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    name = planned(capfd)
    code, _, err = run(capfd, "apply", name, "--guard", "p99 of nobody < 1ms")
    assert code == 2 and "error[E0911]" in err and "there is `everyone`" in err
    assert (machine.kernel / "state").read_text() == "disabled\n"
    name = planned(capfd, "other")
    monkeypatch.setattr("schedc.deploy.host.PSI", tmp_path / "none")
    code, _, err = run(capfd, "apply", name, "--guard", "psi < 60%")
    assert code == 2 and "CONFIG_PSI" in err and "nothing was loaded" in err


def test_throughput(
    machine: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Context switches a second: a thousand before, then four hundred."""
    clock = time.monotonic
    loaded = machine.kernel / "state"

    def switches() -> int:
        now = clock()
        if loaded.read_text() == "disabled\n":
            switches.at, switches.base = now, 1000 * now  # type: ignore[attr-defined]
        since = now - switches.at  # type: ignore[attr-defined]
        return int(switches.base + 400 * since)  # type: ignore[attr-defined]

    monkeypatch.setattr("schedc.deploy.host.switches", switches)
    monkeypatch.setattr("schedc.deploy.canary.BASELINE_S", 0.5)
    code, _, err = run(capfd, "apply", planned(capfd), "--for", "20s", "--guard",
                       "throughput > 90%")  # fmt: skip
    assert code == 4 and "error[E0912]" in err
    assert re.search(r"`throughput > 90%` does not hold: \d\d\.\d+%", err), err
    assert "switches/s)" in err
    code, _, err = run(capfd, "apply", planned(capfd, "other"), "--for", "3s", "--guard",
                       "throughput > 10%")  # fmt: skip
    assert code == 0, err


def test_the_kernel_throws_it_out(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    name = planned(capfd)
    threading.Timer(2.0, machine.eject, ["worker[7] failed to run for 2.4s"]).start()
    code, _, err = run(capfd, "apply", name, "--for", "30s")
    assert code == 4 and "error[E0914]: calm 1.0.0 was taken back" in err
    assert "worker[7] failed to run for 2.4s" in err
    assert [one[0] for one in history(machine)] == ["loaded", "ejected"]


def test_the_loader_goes_away(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    with loader(place) as process:
        name = planned(capfd)
        threading.Timer(2.0, process.send_signal, [signal.SIGKILL]).start()
        code, _, err = run(capfd, "apply", name, "--for", "30s")
    assert code == 4 and "error[E0915]: calm 1.0.0 was taken back" in err


SCHEDC = """
import sys
from pathlib import Path
from tests.deploy.machine import Place
place = Place(Path(sys.argv.pop(1)))
place.adopt()
import schedc.cli
import schedc.cli.apply
schedc.cli.apply.drop_privileges = lambda: None
sys.exit(schedc.cli.run(sys.argv[1:]))
"""
ROOT = Path(__file__).parents[2]


def started(place: Place, *arguments: str) -> subprocess.Popen[str]:
    """schedc in a process of its own, from the same folder."""
    return subprocess.Popen(
        [sys.executable, "-c", SCHEDC, str(place.run.parent), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**environment(place), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def wait_for(place: Place, state: str) -> None:
    end = time.monotonic() + 20
    while (place.kernel / "state").read_text().strip() != state:
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_by_hand(
    machine: Place, capfd: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    process = started(machine, "apply", planned(capfd), "--for", "60s")
    wait_for(machine, "enabled")
    time.sleep(1.0)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 4, err
    assert "error[E0916]: calm 1.0.0 was taken back: ended by hand" in err
    assert "Traceback" not in out + err
    wait_for(machine, "disabled")
    assert history(machine)[-1] == ("aborted", "calm", "ended by hand")


def test_whoever_watches_is_killed(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    process = started(machine, "apply", planned(capfd), "--for", "60s")
    wait_for(machine, "enabled")
    process.kill()
    process.communicate(timeout=20)
    began = time.monotonic()
    wait_for(machine, "disabled")
    while not any(one[0] == "aborted" for one in history(machine)):
        assert time.monotonic() - began < 5
        time.sleep(0.05)
    assert "went away" in history(machine)[-1][2]


def test_settings_of_a_file(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    Path("schedc.toml").write_text('[apply]\nfor = "1s"\nguard = ["p99 < 20ms", "p50 < 1s"]\n')
    code, out, err = run(capfd, "apply", planned(capfd))
    assert code == 0 and "2 guards held" in out, err
    Path("schedc.toml").write_text('[apply]\nguard = ["p99 > 20ms"]\n')
    code, _, err = run(capfd, "apply", "calm.json")
    assert code == 2 and "error[E0910]" in err


def test_json(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "apply", planned(capfd), "--for", "2s", "--guard", "p99 < 20ms",
                       "--json")  # fmt: skip
    assert code == 0
    *looks, ended = map(json.loads, out.splitlines())
    assert [one["type"] for one in looks] == ["look"] * len(looks) and len(looks) >= 3
    assert looks[-1]["guards"][0]["holds"] is True
    assert ended["type"] == "ended" and ended["confirmed"] is True and ended["code"] is None
    assert ended["now"].startswith("calm 1.0.0 (confirmed")


def test_at_a_terminal(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """A table that renews itself, and goes away at the end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCHEDC, str(machine.run.parent), "apply", planned(capfd),
         "--for", "3s", "--guard", "p99 < 20ms", "--guard", "cmd:echo 3 < 5"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, text=True,
        env={**environment(machine), "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:
        pass  # the other end is closed
    out, _ = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 0
    assert re.fullmatch(r"calm 1.0.0 is confirmed: it stayed for \d+ s, 2 guards held\n", out)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"calm 1.0.0 on trial: \d of 3 s, 1 s left; Ctrl-C rolls back", text)
    assert re.search(r"p99 < 20ms +1 ms +\d+ waits", text) and "cmd:echo 3 < 5" in text


def test_of_whom_only_the_loader_knows(
    machine: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that may not ask doesn't call our own scheduler another's."""
    name = planned(capfd)
    assert run(capfd, "apply", name)[0] == 0

    def refused(*_: object) -> None:
        raise LoadError("E0845", "the loader is not for this user", help="join the group")

    monkeypatch.setattr(Client, "connect", refused)
    code, out, err = run(capfd, "plan", "calm.o")
    assert code == 2 and "error[E0845]" in err and out == ""
    code, out, _ = run(capfd, "status")
    assert code == 0 and out.startswith("a scheduler (calm) runs\n")
    assert "the loader is not for this user" in out


def altered(file: str, change: str) -> None:
    values = json.loads(Path(file).read_text())
    values[change] = "somebody"
    Path(file).write_text(json.dumps(values))


def test_refused(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """Stale, expired, altered: each has its code, and nothing is loaded."""
    name = planned(capfd)
    altered(name, "by")
    code, _, err = run(capfd, "apply", name)
    assert code == 4 and "error[E0835]: the plan was changed since it was made" in err
    run(capfd, "plan", "calm.o", "-o", name, "--expires", "1s")
    time.sleep(max(0, json.loads(Path(name).read_text())["expires"] - time.time()) + 0.1)
    code, _, err = run(capfd, "apply", name)
    assert code == 4 and "error[E0838]: the plan expired" in err
    run(capfd, "plan", "calm.o", "-o", name)
    machine.write("disabled", "", 7)
    code, _, err = run(capfd, "apply", name)
    assert code == 4 and "error[E0840]" in err and "make it again" in err
    Path("junk.json").write_text("{]")
    code, _, err = run(capfd, "apply", "junk.json")
    assert code == 4 and "error[E0835]: that is no plan: it is not JSON" in err
    code, _, err = run(capfd, "apply", "none.json")
    assert code == 2 and "error[E0111]" in err
    assert not (machine.state / "history.jsonl").exists()


def test_quarantined_after_two_ends_and_cleared(
    machine: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    machine.wait(50_000_000)
    for _ in range(2):
        name = planned(capfd)
        assert run(capfd, "apply", name, "--for", "20s", "--guard", "p99 < 20ms")[0] == 4
    machine.wait(1_000_000)
    code, out, err = run(capfd, "plan", "calm.o")
    assert code == 4 and "error[E0841]" in err and "this policy is quarantined" in out
    code, out, _ = run(capfd, "quarantine")
    assert code == 0 and out.startswith("calm ") and out.count("`p99 < 20ms` does not hold") == 2
    hash_ = re.search(r"schedc quarantine clear ([0-9a-f]+)", err)
    assert hash_ is not None
    code, out, _ = run(capfd, "quarantine", "clear", hash_[1])
    assert code == 0 and out.startswith("cleared ")
    assert run(capfd, "quarantine", "list", "--json")[1] == "[]\n"
    assert run(capfd, "apply", planned(capfd))[0] == 0
    code, _, err = run(capfd, "quarantine", "clear", "0123456789")
    assert code == 4 and "error[E0848]" in err


def test_load_does_all_of_it(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capfd, "load", write_policy("calm"), "--yes", "--for", "2s")
    assert code == 0, err
    assert "calm 1.0.0 would run on this machine" in out and "is confirmed" in out
    code, out, err = run(capfd, "load", "calm.o", "--yes", "--for", "2s")
    assert code == 0 and "calm 1.0.0 runs on this machine already" in out
    assert [one[0] for one in history(machine)] == ["loaded", "confirmed"]


def test_load_asks_somebody(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capfd, "load", write_policy("calm"))
    assert code == 2 and "error[E0917]: there is nobody to ask" in err and out == ""
    assert answered(machine, "n") == 4
    assert (machine.kernel / "state").read_text() == "disabled\n"
    assert answered(machine, "y") == 0
    assert [one[0] for one in history(machine)] == ["loaded", "confirmed"]


def answered(place: Place, answer: str) -> int:
    """`schedc load` at a terminal where somebody types."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCHEDC, str(place.run.parent), "load", "calm.o", "--for", "2s"],
        stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**environment(place), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, answer.encode() + b"\n")
    _, err = process.communicate(timeout=30)
    os.close(ours)
    assert b"Run it now, on trial? [y/N]" in err, err
    return process.returncode


def test_a_newer_one_and_back(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("calm", "brisk"):
        code, out, err = run(capfd, "apply", planned(capfd, name))
        assert code == 0, err
    assert "a rollback would bring back calm 1.0.0" in run(capfd, "status")[1]
    code, out, _ = run(capfd, "rollback", "--reason", "users\x1b complain")
    assert code == 0 and out.startswith("calm is back, after ")
    code, out, _ = run(capfd, "unload")
    assert code == 0 and out.startswith("the kernel's own scheduler is back")
    code, _, err = run(capfd, "unload")
    assert code == 4 and "error[E0848]: no policy is loaded" in err
    code, out, _ = run(capfd, "history")
    lines = out.splitlines()
    assert [line.split()[3] for line in lines] == [
        "loaded", "confirmed", "loaded", "confirmed", "rolled-back", "loaded", "unloaded",
    ]  # fmt: skip
    assert "users<U+001B> complain; by " in lines[4] and "(uid " in lines[4]
    out = run(capfd, "history", "--json", "--last", "2")[1]
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["what"] for row in rows] == ["loaded", "unloaded"]
    assert run(capfd, "rollback", "--reason", " ")[0] == 2


def test_nobody_to_talk_to(
    place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: place.run.stat().st_uid)
    name = planned(capfd)
    monkeypatch.setattr("schedc.cli.apply._connection", Client.connect)
    for arguments in (["apply", name], ["history"], ["rollback"], ["unload"], ["top", "--once"],
                      ["quarantine"]):  # fmt: skip
        code, out, err = run(capfd, *arguments)
        assert code == 2 and out == "" and "error[E0830]: no loader is running" in err
    code, out, _ = run(capfd, "status")
    assert code == 0 and out.startswith("the kernel's own scheduler runs\n")
    assert "no loader is running" in out
    assert json.loads(run(capfd, "status", "--json")[1])["policy"] is None
