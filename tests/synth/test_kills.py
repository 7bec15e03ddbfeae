"""Whatever ends a run half way, at whatever point: it goes on, pays for nothing twice, stores once.

The runs kill themselves with SIGKILL at a chosen point (`killed.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

import schedc.cli
from schedc.repository.git import Git
from schedc.repository.library import Library
from schedc.repository.place import Place, RepositoryError
from schedc.synth.engine.llm import prompt
from schedc.synth.journal import FILE, Journal
from schedc.synth.messages import encode
from tests.synth.model_server import Odd, Script, serving
from tests.synth.test_cli_synth import BROKEN, DEADLINE, LATENCY, SMALL

KEY = "sk-very-secret"
ROOT = Path(__file__).parents[2]

OWN = DEADLINE.replace("policy deadline", "policy own").replace("5 * tune", "4 * tune")
"""Decides as no shipped policy does."""

GOAL = ("--goal", "low p99", *SMALL, "--engine", "llm", "--model", "test", "--prices", "test=2,8")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SCHEDC_REPOSITORY", str(tmp_path / "kept"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    yield tmp_path / "kept"


class Forks:
    """Runs of `schedc synth`, in forks of a process without threads."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.running = subprocess.Popen(
            [sys.executable, "-m", "tests.synth.killed"], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip

    def run(self, *args: str, at: tuple[object, ...] = ()) -> int:
        """The exit status of one, negative for a signal; what it says is in `said`."""
        return self.together([args], at)[0]

    def together(self, every: Sequence[tuple[str, ...]], at: tuple[object, ...] = ()) -> list[int]:
        wanted = [{"args": args, "log": f"{self.log}{number}", "at": at}
                  for number, args in enumerate(every)]
        assert self.running.stdin is not None and self.running.stdout is not None
        print(json.dumps(wanted), file=self.running.stdin, flush=True)
        found: list[int] = json.loads(self.running.stdout.readline())
        return found

    @property
    def said(self) -> str:
        return Path(f"{self.log}0").read_text()


def folder_in(home: Path) -> Path:
    (folder,) = home.glob("runs/*")
    return folder


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Script, Forks]]]:
    """A server with these answers, and forks that ask it (its address is in their environment)."""
    with ExitStack() as stack:
        def begin(tmp_path: Path, *answers: str | Odd) -> tuple[Script, Forks]:
            script = Script([*answers])
            monkeypatch.setenv("OPENAI_BASE_URL", stack.enter_context(serving(script)))
            forks = Forks(tmp_path / "log")
            stack.callback(forks.running.wait, 30)
            stack.callback(forks.running.kill)
            return script, forks

        yield begin


Serve = Callable[..., tuple[Script, Forks]]


def test_killed_at_every_message(home: Path, tmp_path: Path, serve: Serve) -> None:
    phases = ("before", "within", "after")
    script, forks = serve(tmp_path, BROKEN, DEADLINE, LATENCY)
    assert forks.run(*GOAL, "--max-rounds", "3", at=("message", 1, "after")) == -9
    for kills in range(1, 200):
        name, lines = folder_in(home).name, lines_of(home)
        status = forks.run("--resume", name, at=("message", 2, phases[kills % 3]))
        if status != -9:  # fewer than two messages were left
            break
        assert lines_of(home) > lines
    assert status == 0, forks.said
    assert kills > 12
    assert script.given == 3, "each answer is made once"
    assert "3600 tokens" in forks.said
    assert len(Library(Place(home)).results.on("wakeup_p99:min", "wakeup")) == 1


def lines_of(home: Path) -> int:
    return (folder_in(home) / FILE).read_bytes().count(b"\n")


def test_killed_while_it_simulates(home: Path, tmp_path: Path, serve: Serve) -> None:
    pid = tmp_path / "pid"
    _, forks = serve(tmp_path, DEADLINE)
    assert forks.run(*GOAL, "-p", "duration=20s", "--max-rounds", "1",
                     at=("simulation", str(home), str(pid))) == -9  # fmt: skip
    until = time.monotonic() + 20
    while Path(f"/proc/{pid.read_text()}").exists():
        assert time.monotonic() < until, "a simulation outlives its caller"
        time.sleep(0.01)


def test_killed_at_every_step_of_the_repository(
    home: Path, tmp_path: Path, serve: Serve
) -> None:
    _, forks = serve(tmp_path, OWN)
    words = (*GOAL, "--max-rounds", "1")
    for step in range(1, 60):
        status = forks.run(*words, at=("repository", step))
        if status != -9:
            break
        words = ("--resume", folder_in(home).name)
    assert status == 0 and step > 6, forks.said
    library = Library(Place(home))
    (mine,) = (one for one in library.entries()[0] if one.origin == "mine")
    (result,) = library.results.on("wakeup_p99:min", "wakeup")
    assert result.meaning == mine.meaning
    assert len(library.history(mine.name)) == 1
    assert len(library.results.lessons()) == 1


def test_two_at_once(home: Path, tmp_path: Path, serve: Serve) -> None:
    _, forks = serve(tmp_path, OWN)
    words = (*GOAL, "--max-rounds", "1")
    assert forks.together([words, words]) == [0, 0], forks.said
    library = Library(Place(home))
    results = library.results.on("wakeup_p99:min", "wakeup")
    assert len({one.run for one in results}) == len(results) == 2
    assert len({one.meaning for one in results}) == 1


def test_a_full_disk_half_way(home: Path, tmp_path: Path, serve: Serve) -> None:
    _, forks = serve(tmp_path, DEADLINE)
    assert forks.run(*GOAL, "--max-rounds", "1", at=("disk", 6000)) == 2, forks.said
    assert "E1104" in forks.said and "--resume" in forks.said and "Traceback" not in forks.said
    assert forks.run("--resume", folder_in(home).name) == 0, forks.said


def test_the_endpoint_goes_away_half_way(home: Path, tmp_path: Path, serve: Serve) -> None:
    script, forks = serve(tmp_path, BROKEN, Odd(500))
    assert forks.run(*GOAL, "--max-rounds", "2") == 2
    assert "E1105" in forks.said and f"--resume {folder_in(home).name}" in forks.said
    assert KEY not in forks.said
    script.answers, script.given = [DEADLINE], 0
    assert forks.run("--resume", folder_in(home).name) == 0
    assert script.given == 1, "only the second question is asked"
    assert "2400 tokens" in forks.said


def test_a_lock_of_a_git_that_died(tmp_path: Path) -> None:
    """Its power went: the lock that it left is taken away, once no git can be at work any more."""
    folder = tmp_path / "policies"
    folder.mkdir()
    git = Git(folder)
    git.commit("a.sched", b"one", "a")
    (folder / ".git/index.lock").touch()
    assert git.commit("a.sched", b"two", "the index only serves `git status`")
    for name in ("HEAD.lock", "refs/heads/main.lock"):
        path = folder / ".git" / name
        path.touch()
        with pytest.raises(RepositoryError):
            git.commit("a.sched", name.encode(), "a young lock is somebody's")
        os.utime(path, (0, 0))
        assert git.commit("a.sched", f"{name} again".encode(), "a")
    assert len(git.log("a.sched")) == 4


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
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Another prompt or another search: not mixed with what is recorded, and nothing is paid."""
    script, forks = serve(tmp_path, DEADLINE)
    assert forks.run(*GOAL, "--max-rounds", "1", "--no-keep") == 0, forks.said
    path = folder_in(home) / FILE
    with Journal(path.parent, frozen=True) as journal:
        written = [(key, encode(one)) for key, one in journal._order[:-3]]
    for _, one in written:
        if one["kind"] == "started":
            one["version"] = "0.0.1"
    path.write_bytes(b"".join(line(*one) for one in written))
    monkeypatch.setattr(prompt, "system", lambda fenced: "another prompt")
    for how in ("--resume", "--replay"):
        status = schedc.cli.run(["synth", how, path.parent.name])
        _, err = capsys.readouterr()
        assert status == 2 and "E1104" in err, err
        assert "question 1 is another one now, it was begun by schedc 0.0.1" in err
    assert script.given == 1
