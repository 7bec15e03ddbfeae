"""`schedc profile`, as a user types it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import schedc.cli
from schedc.profile import file
from tests.profile.made import burner, group, profile


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = schedc.cli.run(["profile", *args])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def kept(tmp_path: Path) -> str:
    path = tmp_path / "p.json"
    made = profile(group("worker", 512, nice=5), group("hog", 2, hogs=2, hog_share=1.0),
                   wakes=(("hog", "worker", 300), ("-", "worker", 20)))  # fmt: skip
    file.write_profile(made, path)
    return str(path)


def test_a_command_is_profiled_kept_and_made_a_workload(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept, load = tmp_path / "p.json", tmp_path / "w.toml"
    code, out, err = run(
        capsys, "--collector", "proc", "--for", "30s", "-o", str(kept), "--workload", str(load),
        "--", *burner(0.004, 0.02, 0.7),
    )  # fmt: skip
    assert code == 0 and "of a command and its children, by proc" in out
    assert f"wrote {kept}" in err and f"wrote {load}" in err
    assert run(capsys, "show", str(kept))[1] == out
    assert run(capsys, "workload", str(kept))[1] == load.read_text()
    assert schedc.cli.run(["sim", "--workload", str(load), "--runs", "1", "-p", "duration=200ms",
                           "stdlib_policies/latency.sched"]) == 0  # fmt: skip


def test_the_page(capsys: pytest.CaptureFixture[str], kept: str) -> None:
    code, out, _ = run(capsys, "show", kept)
    assert code == 0
    assert "not by bcc: there is none" in out
    assert "machine   4 cpus, 1.50 busy; 1000/s switches, 10/s migrations; Linux 6.18.0" in out
    words = " ".join(out.split())
    assert "512 worker, nice 5: each wakes 0.8/s and runs" in words
    assert "2 never sleep and take 1.00 cpus" in words
    assert "hog -> worker: 30/s" in out and "timers, interrupts, others -> worker: 2.0/s" in out
    assert all(len(line) <= 100 for line in out.splitlines())


def test_json_has_the_profile_its_traits_and_fingerprint(
    capsys: pytest.CaptureFixture[str], kept: str
) -> None:
    code, out, _ = run(capsys, "show", kept, "--json")
    shown = json.loads(out)
    assert code == 0 and len(shown["fingerprint"]) == 16 and len(shown["traits"]) == 3
    del shown["fingerprint"], shown["traits"]
    assert shown == json.loads(Path(kept).read_text())


def test_two_profiles_are_compared(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kept: str
) -> None:
    other = tmp_path / "q.json"
    file.write_profile(profile(group("worker", 64, nice=5)), other)
    code, out, _ = run(capsys, "compare", kept, str(other))
    assert code == 0 and out.startswith("distance 0.") and "hog is gone" in out
    assert run(capsys, "compare", kept, kept)[1] == "distance 0.00\n"
    found = json.loads(run(capsys, "compare", kept, str(other), "--json")[1])
    assert 0.4 < found["distance"] <= 1 and len(set(found["fingerprints"])) == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--pid", "4194305"), "error[E1220]: there is no process 4194305"),
        (("--cgroup", "../../etc"), "error[E1220]: there is no control group `../../etc`"),
        (("--collector", "proc", "--", "/no/such"), "error[E1226]: the command can't be run"),
        (("show", "/no/such"), "error[E1224]: the profile /no/such can't be read"),
        (("--for", "soon"), "`soon` is no time; write 10s or 500ms"),
        (("--pid", "1", "--", "true"), "give one of --pid, --cgroup and a command"),
        (("show",), "missing argument 'PROFILE'"),
    ],
)
def test_what_is_wrong_is_named(
    capsys: pytest.CaptureFixture[str], args: tuple[str, ...], said: str
) -> None:
    code, out, err = run(capsys, *args)
    assert code == 2 and out == ""
    assert said in err and ("help:" in err or "E12" in err)


def test_a_target_that_never_runs_is_no_profile(capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen(["sleep", "60"]) as idle:
        try:
            time.sleep(0.5)
            code, out, err = run(
                capsys, "--collector", "proc", "--for", "50ms", "--pid", str(idle.pid)
            )
        finally:
            idle.kill()
    assert (code, out) == (2, "")
    assert "error[E1227]: nothing of it ran within 0.1 s" in err and "--for 60s" in err


def test_ctrl_c_prints_what_there_is(tmp_path: Path) -> None:
    kept = tmp_path / "p.json"
    words = [sys.executable, "-m", "schedc", "profile", "--collector", "proc", "--for", "300s",
             "-o", str(kept), "--", *burner(0.004, 0.02, 300)]  # fmt: skip
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None and running.stderr.readline() == b"begun\n"
        time.sleep(1)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert b"interrupted after" in out and not file.read_profile(kept).complete


def test_a_damaged_profile_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(b"\xff\x00{")
    for args in (("show", str(bad)), ("workload", str(bad)), ("compare", str(bad), str(bad))):
        code, out, err = run(capsys, *args)
        assert (code, out) == (2, "") and "error[E1224]" in err


def test_bcc_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No bcc, PyPI's package of that name, and the real one without the kernel's headers."""
    import schedc.profile.collect as module
    from schedc.profile import bcc
    from schedc.profile.errors import ProfileError

    monkeypatch.setattr(module, "check_rights", lambda: None)
    for said, words in {
        "none": "has no bcc", "other": "the package of PyPI",
        "yes": "headers of the running kernel",
    }.items():  # fmt: skip
        python = tmp_path / f"python-{said}"
        python.write_text(f"#!/bin/sh\necho {said}\n")
        python.chmod(0o755)
        with pytest.raises(ProfileError) as caught:
            bcc.find_bcc((str(python),), tmp_path)
        assert caught.value.code == "E1228" and words in str(caught.value)
    monkeypatch.setattr(bcc, "PYTHONS", ())
    code, _, err = run(capsys, "--collector", "bcc", "--for", "1s")
    assert code == 2 and "error[E1228]" in err and "python3-bpfcc" in err


@pytest.mark.parametrize("cgroups", [False, True])
def test_the_text_for_bcc_has_nothing_left_of_ours(cgroups: bool) -> None:
    from schedc.profile.bcc import bcc_text

    text = bcc_text(cgroups=cgroups)
    assert text.count("RAW_TRACEPOINT_PROBE(sched_") == 6
    for word in ("bpf_map_", "SEC(", "__uint(", "ctx[", "const volatile", 'include "'):
        assert word not in text
    for name in ("tasks", "names", "groups", "counted", "sums", "buckets", "edges", "machine"):
        assert len(re.findall(rf"^BPF_\w+\(.*\b{name}\b", text, re.M)) == 1, name


def test_bcc_reads_the_headers_of_control_groups_only_for_one() -> None:
    """They double the time until it watches."""
    from schedc.profile.bcc import bcc_request
    from schedc.profile.target import EVERYTHING, Target

    everything = bcc_request(EVERYTHING, 1.0)["text"]
    assert "#define WITHOUT_CGROUPS" in everything and "kernfs.h" not in everything
    one = bcc_request(Target("cgroup", "/x", cgroup_id=7), 1.0)["text"]
    assert "#define WITHOUT_CGROUPS" not in one and "#include <linux/kernfs.h>" in one
