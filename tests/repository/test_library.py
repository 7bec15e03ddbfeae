"""Policies kept: what goes in, what is refused, and that nothing else is lost by it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from schedc.data import read_data
from schedc.pipeline import analyze
from schedc.repository.entry import Entry, entry
from schedc.repository.library import Library
from schedc.repository.meaning import meaning
from schedc.repository.place import Place, RepositoryError
from schedc.repository.results import Figure, Lesson, Measured, Results
from schedc.source import Source

FAIR = read_data("stdlib_policies/fair.sched")


def policy(name: str, version: str = "1.0.0", slice_: str = "7ms") -> Source:
    text = FAIR.replace("policy fair 1.0.0", f"policy {name} {version}")
    text = text.replace("tune slice = 20ms", f"tune slice = {slice_}")
    return Source.from_text(f"{name}.sched", text)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("SCHEDC_REPOSITORY", str(tmp_path / "kept"))
    return Library()


def refused(library: Library, source: Source) -> str:
    with pytest.raises(RepositoryError) as caught:
        library.add(source)
    return caught.value.diagnostic.code


def names(library: Library) -> list[str]:
    return [one.name for one in library.entries()[0] if one.origin == "mine"]


# --- adding -------------------------------------------------------------------------------------


def test_a_policy_is_proved_and_kept_with_its_history(library: Library) -> None:
    added = library.add(policy("web"), "a shorter slice")
    assert added.commit and added.proof.verdict.value == "proved"
    assert library.find("web").text == policy("web").raw
    library.add(policy("web", "1.1.0", "5ms"))
    history = library.history("web")
    assert [one.version for one in history] == ["1.1.0", "1.0.0"]
    assert history[1].commit.subject == "web 1.0.0: a shorter slice"
    assert library.find("web@1.0.0").text == policy("web").raw
    assert library.find("mine/web").version == "1.1.0"


def test_the_same_again_changes_nothing(library: Library) -> None:
    library.add(policy("web"))
    assert library.add(policy("web")).commit == ""
    assert len(library.history("web")) == 1


def test_one_that_means_the_same_is_refused_by_name(library: Library) -> None:
    text = FAIR.replace("policy fair", "policy other") + "\n# !\n"
    source = Source.from_text("other.sched", text)
    with pytest.raises(RepositoryError) as caught:
        library.add(source)
    assert caught.value.diagnostic.code == "E1004"
    assert "stdlib/fair 1.0.0" in caught.value.diagnostic.message
    assert names(library) == []


def test_a_version_is_never_replaced(library: Library) -> None:
    library.add(policy("web", "1.10.0"))
    assert refused(library, policy("web", "1.10.0", "6ms")) == "E1005"
    assert refused(library, policy("web", "1.9.0", "6ms")) == "E1005"
    assert library.add(policy("web", "1.11.0", "6ms")).commit


def test_the_names_of_shipped_policies_are_theirs(library: Library) -> None:
    assert refused(library, policy("fair", "2.0.0")) == "E1005"


def test_what_is_not_proved_is_not_kept(library: Library) -> None:
    starving = (Path(__file__).parents[2] / "examples/refuted/strict_priority/flawed.sched")
    source = Source.from_text("flawed.sched", starving.read_text())
    assert refused(library, source) == "E1006"
    assert names(library) == [] and library.history("flawed") == ()


def test_a_policy_with_errors_is_refused(library: Library) -> None:
    assert refused(library, Source.from_text("x.sched", "policy x 1.0.0\nqueue\n")) == "E1003"


# --- meaning ------------------------------------------------------------------------------------


def meaning_of(text: str) -> str:
    found = analyze(Source.from_text("x.sched", text)).policy
    assert found is not None
    return meaning(found)


def test_names_and_layout_mean_nothing() -> None:
    text = (Path(__file__).parents[2] / "examples/first/first.sched").read_text()
    typed = analyze(Source.from_text("x.sched", text)).policy
    assert typed is not None
    queue = typed.queues[0].name
    other = text.replace(queue, "elsewhere").replace("\n", "\n# a comment\n")
    assert meaning_of(other) == meaning_of(text)


def test_every_shipped_policy_means_something_else() -> None:
    found = {one.meaning for one in Library().entries()[0] if one.origin == "stdlib"}
    assert len(found) == 14


def test_another_number_means_something_else() -> None:
    other = FAIR.replace("tune slice = 20ms", "tune slice = 19ms")
    assert other != FAIR
    assert meaning_of(other) != meaning_of(FAIR)


# --- damage, hostility, accidents ---------------------------------------------------------------


def test_damaged_entries_are_named_and_hide_nothing(library: Library, tmp_path: Path) -> None:
    library.add(policy("web"))
    folder = library.place.policies
    (folder / "bytes.sched").write_bytes(b"\xff\xfe\x00garbage")
    (folder / "empty.sched").write_bytes(b"")
    (folder / "other.sched").write_bytes(policy("web2").raw)
    (folder / "link.sched").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_bytes(policy("link").raw)
    os.mkfifo(folder / "pipe.sched")
    (folder / "big.sched").write_bytes(b"#" * 70_000)
    (folder / "a\nb.sched").write_bytes(b"policy")
    (folder / "folder.sched").mkdir()
    entries, damaged = library.entries()
    assert [one.name for one in entries if one.origin == "mine"] == ["web"]
    assert {one.name for one in damaged} == {
        "bytes", "empty", "other", "link", "pipe", "big", "a\\nb", "folder",
    }  # fmt: skip
    with pytest.raises(RepositoryError) as caught:
        library.find("other")
    assert caught.value.diagnostic.code == "E1003"
    assert library.add(policy("web", "1.0.1", "6ms")).commit


def test_a_repository_of_somebody_elses_runs_nothing(library: Library, tmp_path: Path) -> None:
    library.add(policy("web"))
    folder, mark = library.place.policies, tmp_path / "ran"
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    script.chmod(0o755)
    for name in ("pre-commit", "post-commit", "reference-transaction", "post-index-change"):
        hook = folder / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(script.read_text())
        hook.chmod(0o755)
    with open(folder / ".git/config", "a") as config:
        config.write(f"[core]\nfsmonitor = {script}\nhooksPath = {folder}/.git/hooks\n"
                     f"pager = {script}\n"
                     f"[filter \"evil\"]\nclean = {script}\nsmudge = {script}\n"
                     f"[diff]\nexternal = {script}\n[gpg]\nprogram = {script}\n"
                     f"[commit]\ngpgSign = true\n[log]\nshowSignature = true\n")
    (folder / ".gitattributes").write_text("* filter=evil diff=evil\n")
    assert library.add(policy("web", "1.1.0", "6ms")).commit
    assert len(library.history("web")) == 2
    assert library.find("web@1.0.0").text == policy("web").raw
    assert not mark.exists()


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b/c", "x;rm", "--help", "", "mine/../x", "\n"]
)
def test_a_hostile_name_is_no_path(library: Library, name: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        library.find(name)
    assert caught.value.diagnostic.code == "E1002"


def test_no_git_is_said(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(RepositoryError) as caught:
        Library().add(policy("web"))
    assert caught.value.diagnostic.code == "E1001"
    assert "apt-get install git" in (caught.value.diagnostic.help or "")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RepositoryError) as caught:
        Library(Place(tmp_path / "file" / "x")).add(policy("web"))
    assert caught.value.diagnostic.code == "E1001"


ADD = """
import sys
from schedc.repository.library import Library
from schedc.source import Source
for path in sys.argv[1:]:
    Library().add(Source.from_text(path, open(path).read()))
    print(path, flush=True)
"""


def start(tmp_path: Path, sources: list[Source]) -> subprocess.Popen[str]:
    paths = []
    for source in sources:
        path = tmp_path / f"{source.name}"
        path.write_bytes(source.raw)
        paths.append(str(path))
    return subprocess.Popen([sys.executable, "-c", ADD, *paths], stdout=subprocess.PIPE, text=True)


def test_two_writers_at_once_lose_nothing(library: Library, tmp_path: Path) -> None:
    groups = [[policy(f"web{group}_{i}", slice_=f"{5 + group * 4 + i}ms") for i in range(4)]
              for group in range(2)]  # fmt: skip
    running = [start(tmp_path, group) for group in groups]
    assert [one.wait(120) for one in running] == [0, 0]
    assert len(names(library)) == 8
    assert all(len(library.history(name)) == 1 for name in names(library))
    status = subprocess.run(["git", "-C", library.place.policies, "status", "--porcelain"],
                            capture_output=True, text=True, check=True)  # fmt: skip
    assert status.stdout == ""
    subprocess.run(["git", "-C", library.place.policies, "fsck", "--strict"], check=True,
                   capture_output=True)  # fmt: skip


def test_a_killed_writer_leaves_a_repository_that_works(library: Library, tmp_path: Path) -> None:
    for attempt in range(4):
        sources = [policy(f"k{attempt}_{i}", slice_=f"{4 + attempt * 3 + i}ms") for i in range(3)]
        running = start(tmp_path, sources)
        assert running.stdout is not None
        running.stdout.readline()  # the first one is in
        time.sleep(0.03 * attempt)  # and somewhere in the next
        running.send_signal(signal.SIGKILL)
        running.wait(60)
        assert f"k{attempt}_0" in names(library)
        for source in sources:
            library.add(source)
    assert len(names(library)) == 12
    assert library.entries()[1] == ()


# --- search and results -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "best"),
    [("desktop shells interactive", "interactive"), ("cgroup cells containers", "cells"),
     ("fewest ticks virtual machines", "tickless"), ("NEAR(\"* OR fifo", "fifo")],
)  # fmt: skip
def test_search_by_words(library: Library, words: str, best: str) -> None:
    assert library.search(words)[0].name == best


def test_a_lesson_helps_to_find(library: Library) -> None:
    bands = library.find("bands")
    library.results.learn(Lesson("latency", "wakeup", bands.meaning, "zebra stripes like this"))
    assert library.search("zebra")[0].name == "bands"


def figure(low: float, high: float, finding: str) -> Figure:
    return Figure(1.0, 2.0, ((low + high) / 2, low, high), finding)


def measured(of: Entry, against: str, one: Figure) -> Measured:
    return Measured(of.meaning, of.name, of.version, "latency", "wakeup", "f", "sim:8", against, "",
                    "proved", {"wakeup_p99": one}, at=1_700_000_000)  # fmt: skip


def test_promotion_needs_more_than_noise(library: Library) -> None:
    fair, bands = library.find("fair"), library.find("bands")

    def promote(name: str) -> str:
        try:
            library.promote(name, "latency", "wakeup", "wakeup_p99")
        except RepositoryError as failure:
            return failure.diagnostic.code
        return "promoted"

    assert promote("fair") == "E1007"
    library.results.add(measured(fair, "eevdf", figure(0.8, 1.1, "same")))
    assert promote("fair") == "E1007"
    library.results.add(measured(fair, "eevdf", figure(0.5, 0.7, "better")))
    assert promote("fair") == "promoted"
    library.results.add(measured(bands, "eevdf", figure(0.3, 0.4, "better")))
    assert promote("bands") == "E1007", "it must beat the best known one, not only the default"
    library.results.add(measured(bands, "stdlib/fair 1.0.0", figure(0.6, 0.9, "better")))
    assert promote("bands") == "promoted"
    assert library.results.promoted("latency", "wakeup", "sim:8") == bands.meaning


def test_results_come_back_as_they_were(library: Library) -> None:
    one = replace(measured(library.find("fair"), "eevdf", figure(0.5, 0.7, "better")),
                  cost={"tokens": 12.0}, model="m", engine="llm", run="r1")  # fmt: skip
    number = library.results.add(one)
    assert library.results.of(one.meaning) == (replace(one, id=number),)
    assert library.results.on("latency", "wakeup")[0].id == number
    assert library.results.on("latency", "other") == ()


def test_a_damaged_database_is_named_and_the_policies_stay(library: Library) -> None:
    library.add(policy("web"))
    library.place.results.write_bytes(b"not a database" * 100)
    with pytest.raises(RepositoryError) as caught:
        library.results.on("latency", "wakeup")
    assert caught.value.diagnostic.code == "E1001"
    assert names(library) == ["web"]


def test_a_newer_database_is_not_touched(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "results.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    before = path.read_bytes()
    with pytest.raises(RepositoryError):
        Results(path).learn(Lesson("g", "w", "m", "t"))
    assert path.read_bytes() == before


def test_an_entry_says_what_its_header_says() -> None:
    found = entry(FAIR.encode(), "stdlib")
    assert isinstance(found, Entry)
    assert (found.name, found.version) == ("fair", "1.0.0")
    assert found.title == "stdlib/fair 1.0.0"
