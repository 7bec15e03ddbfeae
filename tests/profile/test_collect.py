"""Real profiles of small programs, by /proc and, where this machine lets us, by our own object."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedc.profile import file, target
from schedc.profile.collect import collect
from schedc.profile.distance import ks
from schedc.profile.errors import ProfileError
from schedc.profile.model import Profile
from schedc.profile.page import page
from schedc.profile.proc import ProcCollector
from schedc.profile.target import Command
from schedc.profile.workload import workload_toml
from tests.profile.made import burner, known, known_truth

BURN_S, SLEEP_S, END_S = 0.005, 0.025, 1.5


def of_command(words: list[str], collector: str, seconds: float | None = None) -> Profile:
    with Command(words) as command:
        return collect(command.target, seconds, collector, command=command)


def traced(words: list[str]) -> Profile:
    """By our own object; skips where the kernel, the rights or libbpf don't allow it."""
    try:
        return of_command(words, "bpf")
    except ProfileError as failure:
        if failure.code in ("E1222", "E1223", "E1225"):
            pytest.skip(failure.message)
        raise


@pytest.fixture
def running() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has begun to burn and sleep."""
    with subprocess.Popen(burner(BURN_S, SLEEP_S, 40), stderr=subprocess.PIPE) as process:
        assert process.stderr is not None and process.stderr.readline() == b"begun\n"
        yield process
        process.kill()


# --- /proc --------------------------------------------------------------------------------------


def test_proc_knows_means_of_known_work(running: subprocess.Popen[bytes]) -> None:
    made = collect(target.process(running.pid), END_S, "proc")
    group = made.groups[0]
    assert made.collector == "proc" and made.complete
    assert group.bursts.estimated and group.sleeps.estimated
    assert group.hogs == 0 and group.tasks == 1
    assert BURN_S * 0.8e9 < group.bursts.mean < BURN_S * 1.6e9
    assert SLEEP_S * 0.9e9 < group.sleeps.mean < SLEEP_S * 2e9
    cycle = (group.bursts.mean + group.sleeps.mean + group.runq.sum / group.bursts.count) / 1e9
    assert group.wakeups_s == pytest.approx(1 / cycle, rel=0.3)
    assert any("means between two looks" in note for note in made.notes)
    assert made.wakes == ()


def test_proc_follows_a_command() -> None:
    made = of_command(burner(BURN_S, SLEEP_S, 0.5), "proc")
    assert made.target == "a command and its children" and made.complete
    assert made.groups[0].bursts.count > 3 and made.groups[0].bursts.mean > BURN_S * 0.5e9


def test_proc_sees_a_hog_and_a_process_that_is_there(
    running: subprocess.Popen[bytes],
) -> None:
    made = collect(target.process(running.pid), 0.6, "proc")
    assert made.groups[0].bursts.count > 3 and made.target == f"process {running.pid}"
    with subprocess.Popen(burner(30, 0, 30), stderr=subprocess.PIPE) as hog:
        assert hog.stderr is not None and hog.stderr.readline() == b"begun\n"
        try:
            found = collect(target.process(hog.pid), 0.6, "proc").groups[0]
        finally:
            hog.kill()
    assert found.hogs == 1 and found.bursts.count == 0
    assert found.hog_share == pytest.approx(found.share)


def test_a_target_that_ends_gives_the_profile_so_far() -> None:
    made = collect(target.process(_short().pid), 20.0, "proc")
    assert made.seconds < 10 and not made.complete
    assert made.notes[-1].startswith("what was watched ended after ")


def _short() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(burner(BURN_S, SLEEP_S, 0.8))
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def test_ctrl_c_gives_the_profile_so_far(running: subprocess.Popen[bytes]) -> None:
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    made = collect(target.process(running.pid), 30.0, "proc")
    timer.join()
    assert made.seconds < 20 and not made.complete
    assert made.notes[-1].startswith("interrupted after ")


def test_auto_says_why_no_better_one_ran(
    running: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    import schedc.profile.collect as module

    def refuse(_proc: Path = Path("/proc")) -> None:
        raise ProfileError("E1222", "this user may not trace")

    monkeypatch.setattr(module, "check_rights", refuse)
    made = collect(target.process(running.pid), 0.4)
    assert made.collector == "proc"
    assert made.why_not == (("bcc", "this user may not trace"), ("bpf", "this user may not trace"))
    assert "not by bpf: this user may not trace" in page(made)
    with pytest.raises(ProfileError) as caught:
        collect(target.process(running.pid), 0.4, "bpf")
    assert caught.value.code == "E1222"


def test_proc_survives_tasks_that_vanish(tmp_path: Path) -> None:
    """A folder that is there without its files, one with rubbish, and one that goes away."""
    for number, files in {
        10: {}, 11: {"schedstat": "x y z", "status": "", "stat": "11 (a"},
        12: {"schedstat": "5 5 5", "status": "voluntary_ctxt_switches:\t3\n",
             "stat": "12 (evil) name) S 1 " + " ".join("0" * 40)},
    }.items():  # fmt: skip
        folder = tmp_path / str(number) / "task" / str(number)
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    collector = ProcCollector(target.EVERYTHING, 1, tmp_path)
    assert collector.look() == 1
    assert collector.tasks[12].comm == b"evil) name"
    (tmp_path / "12/task/12/schedstat").unlink()
    assert collector.look() == 0


# --- our own object -----------------------------------------------------------------------------


def test_the_object_knows_bursts_and_sleeps_of_a_child() -> None:
    made = traced(burner(BURN_S, SLEEP_S, END_S))
    group = made.groups[0]
    assert made.collector == "bpf" and not group.bursts.estimated and made.dropped == 0
    assert group.tasks == 1 and group.bursts.count > 10
    assert BURN_S * 0.99e9 < group.bursts.quantile(0.5) < BURN_S * 1.6e9
    assert SLEEP_S * 0.99e9 < group.sleeps.quantile(0.5) < SLEEP_S * 1.6e9
    assert group.share == pytest.approx(group.bursts.sum / 1e9 / made.seconds, rel=0.3)


def test_the_object_follows_children_and_tells_them_apart() -> None:
    script = "import subprocess,time\nfor _ in range(6): subprocess.run(['sleep','0.05'])"
    made = traced([sys.executable, "-S", "-c", script])
    found = made.group("sleep")
    assert found is not None and found.born_s * made.seconds == pytest.approx(6, abs=0.1)
    assert 45e6 < found.sleeps.quantile(0.5) < 150e6


def test_its_histograms_are_those_of_what_was_drawn() -> None:
    group = traced(known(4.0)).groups[0]
    assert group.bursts.count > 80
    runs, sleeps = known_truth(group.bursts.count)
    assert ks(group.bursts.counts, runs.counts, slack=1) <= 0.1
    assert ks(group.sleeps.counts, sleeps.counts, slack=1) <= 0.1


@pytest.mark.parametrize("collector", ["bpf", "proc"])
def test_a_control_group_is_watched_and_nothing_else(collector: str) -> None:
    root = target.CGROUPS / "unified"
    root = root if root.is_dir() else target.CGROUPS
    folder = root / f"schedc-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "below").mkdir()
    except OSError as failure:
        pytest.skip(f"no control group can be made: {failure.strerror}")
    try:
        with subprocess.Popen(burner(BURN_S, SLEEP_S, 40), stderr=subprocess.PIPE) as process:
            try:
                assert process.stderr is not None and process.stderr.readline() == b"begun\n"
                (folder / "below/cgroup.procs").write_text(str(process.pid))
                made = collect(target.cgroup(folder.name), 1.0, collector)
            except ProfileError as failure:
                if failure.code in ("E1222", "E1223", "E1225"):
                    pytest.skip(failure.message)
                raise
            finally:
                process.kill()
        assert [one.tasks for one in made.groups] == [1]
        assert BURN_S * 0.8e9 < made.groups[0].bursts.mean < BURN_S * 1.6e9
    finally:
        (folder / "below").rmdir()
        folder.rmdir()


@pytest.mark.parametrize("collector", ["bpf", "proc"])
def test_names_that_are_not_plain_leave_no_trace(collector: str, tmp_path: Path) -> None:
    evil = tmp_path / "`id`; \x1b[2J"
    evil.symlink_to("/bin/sh")
    words = [str(evil), "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; /bin/sleep 0.2"]
    made = traced(words) if collector == "bpf" else of_command(words, "proc")
    text = file.text(made) + page(made) + workload_toml(made)
    assert "`id" not in text and "\x1b" not in text and "u001b" not in text
    assert any(group.name.startswith("group") and not group.comm for group in made.groups)


# --- targets ------------------------------------------------------------------------------------


def test_a_command_begins_only_when_it_is_told_to(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with Command(["touch", str(mark)]) as command:
        time.sleep(0.2)
        assert not mark.exists()
        command.go()
        command.wait()
    assert mark.exists() and command.status == 0


def test_a_command_that_was_never_let_go_leaves_nothing() -> None:
    with Command(["sleep", "60"]) as command:
        pid = command.pid
    assert command.status is not None and not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("name", ["../../etc", "/sys/fs/cgroup/../../etc", "no/such", "a\0b", ""])
def test_a_control_group_is_below_the_root(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/cgroup.procs").write_text("")
    (tmp_path / "out").symlink_to("/etc")
    for given in (name, "out"):
        with pytest.raises(ProfileError) as caught:
            target.cgroup(given, tmp_path)
        assert caught.value.code == "E1220"
    found = target.cgroup("/mine", tmp_path)
    assert found.cgroup == tmp_path / "mine" and found.cgroup_id > 0


def test_failures_of_the_collector_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from schedc.profile.tracing import Tracer

    for program, said in {
        "import sys; sys.exit('no such luck')": "no such luck",
        "print('[]')": "the collector ended without a result",
        "import json; print(json.dumps({'ok': False, 'message': 'mm\\x1b', 'notes': []}))": "mm?",
    }.items():
        with pytest.raises(ProfileError) as caught:
            Tracer([sys.executable, "-S", "-c", program], {})
        assert said in str(caught.value)
    with pytest.raises(ProfileError) as caught:
        Tracer(["/no/such/program"], {})
    assert caught.value.code == "E1225"
