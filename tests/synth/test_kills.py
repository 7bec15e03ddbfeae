"""Whatever ends a run half way, at whatever point: it goes on, pays for nothing twice, stores once.

The runs are children of this process (forked, so that nothing is imported again), which kill
themselves with SIGKILL at a chosen point.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import schedc.cli
from schedc.repository import git as gits
from schedc.repository.library import Library
from schedc.repository.place import Place
from schedc.repository.results import Results
from schedc.sim import pool
from schedc.synth.journal import FILE, Journal
from schedc.synth.messages import Message, encode
from tests.synth.model_server import Odd, Script, serving
from tests.synth.test_cli_synth import BROKEN, DEADLINE, LATENCY, SMALL

pytestmark = pytest.mark.slow

KEY = "sk-very-secret"
OWN = DEADLINE.replace("policy deadline", "policy own").replace("5 * tune", "4 * tune")
"""Decides as no shipped policy does."""

GOAL = ("--goal", "low p99", *SMALL, "--engine", "llm", "--model", "test", "--prices", "test=2,8")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SCHEDC_REPOSITORY", str(tmp_path / "kept"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    yield tmp_path / "kept"


def start(log: Path, prepare: Callable[[], object], *args: str) -> int:
    """A child that runs `schedc synth`; gives its pid. What it says goes into `log`."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        with log.open("w") as said:
            sys.stdout = sys.stderr = said
            prepare()
            status = schedc.cli.run(["synth", *args])
            said.flush()
    finally:
        os._exit(status)


def end(child: int) -> int:
    """Its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def nothing() -> None:
    pass


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_at(append: int, phase: str) -> Callable[[], None]:
    """Die at the so manieth new message: before, in the midst of, or after its line."""
    def prepare() -> None:
        real, count = Journal._append, iter(range(1, 10**6))

        def dying(self: Journal, key: str, message: Message) -> None:
            now = next(count) == append
            if now and phase == "within":
                os.write(self._handle, b"0badc0de [half of a li")
            if now and phase != "after":
                die()
            real(self, key, message)
            if now:
                die()

        Journal._append = dying  # type: ignore[method-assign]
    return prepare


def folder_in(home: Path) -> Path:
    (folder,) = home.glob("runs/*")
    return folder


def test_killed_at_every_message(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script([BROKEN, DEADLINE, LATENCY])
    log, phases = tmp_path / "log", ("before", "within", "after")
    with serving(script) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert end(start(log, dies_at(1, "after"), *GOAL, "--max-rounds", "3")) == -9
        kills = 1
        while True:
            lines = (folder_in(home) / FILE).read_bytes().count(b"\n")
            status = end(start(log, dies_at(2, phases[kills % 3]), "--resume",
                               folder_in(home).name))  # fmt: skip
            if status != -9:
                break
            kills += 1
            assert (folder_in(home) / FILE).read_bytes().count(b"\n") > lines
            assert kills < 200
        # Fewer than two messages were left.
        assert status == 0, log.read_text()
    assert kills > 12
    assert script.given == 3, "each answer is made once"
    assert "3600 tokens" in log.read_text()
    assert len(Library(Place(home)).results.on("wakeup_p99:min", "wakeup")) == 1


def test_killed_while_it_simulates(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"

    def prepare() -> None:
        real = subprocess.Popen

        def dying(command: list[str], **more: object) -> object:
            made = real(command, **more)  # type: ignore[call-overload]
            if command[0].endswith("schedc-sim") and len(list(home.glob("runs/*"))) == 1:
                pid.write_text(str(made.pid))
                die()
            return made

        monkeypatch.setattr(pool.subprocess, "Popen", dying)

    script = Script([DEADLINE])
    with serving(script) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        long = ("-p", "duration=20s")
        assert end(start(tmp_path / "log", prepare, *GOAL, *long, "--max-rounds", "1")) == -9
        until = time.monotonic() + 20
        while Path(f"/proc/{pid.read_text()}").exists():
            assert time.monotonic() < until, "a simulation outlives its caller"
            time.sleep(0.01)


def test_killed_at_every_step_of_the_repository(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies_at_step(wanted: int) -> Callable[[], None]:
        def prepare() -> None:
            count = iter(range(1, 10**6))

            def counted(owner: type, name: str) -> None:
                real = getattr(owner, name)

                def dying(*args: object, **more: object) -> object:
                    if next(count) == wanted:
                        die()
                    return real(*args, **more)

                setattr(owner, name, dying)

            counted(gits.Git, "_start")
            counted(Library, "_write")
            for name in ("add", "learn", "promote"):
                counted(Results, name)
        return prepare

    with serving(Script([OWN])) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        words = (*GOAL, "--max-rounds", "1")
        for step in range(1, 60):
            if step > 1:
                words = ("--resume", folder_in(home).name)
            status = end(start(tmp_path / "log", dies_at_step(step), *words))
            if status != -9:
                break
    assert status == 0 and step > 6, (tmp_path / "log").read_text()
    library = Library(Place(home))
    (mine,) = (one for one in library.entries()[0] if one.origin == "mine")
    (result,) = library.results.on("wakeup_p99:min", "wakeup")
    assert result.meaning == mine.meaning
    assert len(library.history(mine.name)) == 1
    assert len(library.results.lessons()) == 1


def test_two_at_once(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Script([DEADLINE])) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        logs = [tmp_path / "one", tmp_path / "two"]
        children = [start(log, nothing, *GOAL, "--max-rounds", "1") for log in logs]
        assert [end(one) for one in children] == [0, 0], [log.read_text() for log in logs]
    library = Library(Place(home))
    results = library.results.on("wakeup_p99:min", "wakeup")
    assert len({one.run for one in results}) == len(results) == 2
    assert len({one.meaning for one in results}) == 1


def test_a_full_disk_half_way(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    with serving(Script([DEADLINE])) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        full = start(log, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)),
                     *GOAL, "--max-rounds", "1")  # fmt: skip
        assert end(full) == 2, log.read_text()
        said = log.read_text()
        assert "E1104" in said and "--resume" in said and "Traceback" not in said
        assert end(start(log, nothing, "--resume", folder_in(home).name)) == 0, log.read_text()


def test_the_endpoint_goes_away_half_way(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, log = Script([BROKEN, Odd(500)]), tmp_path / "log"
    with serving(script) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert end(start(log, nothing, *GOAL, "--max-rounds", "2")) == 2
        said = log.read_text()
        assert "E1105" in said and f"--resume {folder_in(home).name}" in said
        assert KEY not in said
        script.answers, script.given = [DEADLINE], 0
        assert end(start(log, nothing, "--resume", folder_in(home).name)) == 0
        assert script.given == 1, "only the second question is asked"
        assert "2400 tokens" in log.read_text()


# --- run folders that are none ------------------------------------------------------------------


def line(key: str, value: object) -> bytes:
    body = json.dumps([key, value])
    return f"{zlib.crc32(body.encode()):08x} {body}\n".encode()


JOURNALS = {
    "empty": b"", "noise": bytes(range(256)) * 9 + b"\n", "half": b"00000000 [",
    "newer": line("k", {"kind": "best", "number": 1, "reason": "", "colour": "red"}),
    "kinds": line("k", {"kind": "dream"}), "deep": b"00000000 " + b"[" * 100_000 + b"\n",
    "no beginning": line("k", {"kind": "best", "number": 1, "reason": ""}),
}


@pytest.mark.parametrize("how", ["--resume", "--replay", "show"])
@pytest.mark.parametrize("name", [*JOURNALS, "x" * 300, "\x1b[31m", "a/../..", "folder"])
def test_a_folder_that_is_no_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, how: str
) -> None:
    path = name
    if name in JOURNALS:
        path = str(tmp_path / "a run")
        Path(path).mkdir()
        (Path(path) / FILE).write_bytes(JOURNALS[name])
    if name == "folder":
        path = str(tmp_path)
        (tmp_path / FILE).mkdir()
    status = schedc.cli.run(["synth", how, path])
    _, err = capsys.readouterr()
    assert status == 2, err
    assert "error[E1104]" in err and "help:" in err and "\x1b" not in err


def test_a_run_of_another_version(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another prompt or another search: not mixed with what is recorded, and nothing is paid."""
    script = Script([DEADLINE])
    with serving(script) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert end(start(tmp_path / "log", nothing, *GOAL, "--max-rounds", "1", "--no-keep")) == 0
        path = folder_in(home) / FILE
        with Journal(path.parent, frozen=True) as journal:
            messages = journal._order[:-3]
        written = [(key, encode(one)) for key, one in messages]
        for _, one in written:
            if one["kind"] == "started":
                one["version"] = "0.0.1"
        path.write_bytes(b"".join(line(*one) for one in written))
        from schedc.synth.engine.llm import prompt

        monkeypatch.setattr(prompt, "system", lambda fenced: "another prompt")
        for how in ("--resume", "--replay"):
            status = schedc.cli.run(["synth", how, path.parent.name])
            _, err = capsys.readouterr()
            assert status == 2 and "E1104" in err, err
            assert "question 1 is another one now, it was begun by schedc 0.0.1" in err
    assert script.given == 1
