"""The cache: complete or absent, whoever builds, whatever happens meanwhile."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from schedc.vm.errors import DISK, VmError, disk_errors
from schedc.vm.store import Store, prune


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def fill(into: Path) -> None:
    (into / "x").write_text("x")


def test_the_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/where")
    assert Store.default().root == Path("/some/where/schedc/vm")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert Store.default().root == Path.home() / ".cache/schedc/vm"


def test_an_entry_is_built_once(store: Store) -> None:
    calls: list[Path] = []

    def build(into: Path) -> None:
        calls.append(into)
        fill(into)

    first = store.entry("kind", "name", build)
    assert store.entry("kind", "name", build) == first
    assert (first / "x").read_text() == "x"
    assert len(calls) == 1


def test_a_failed_build_leaves_nothing(store: Store) -> None:
    def build(into: Path) -> None:
        fill(into)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.entry("kind", "name", build)
    assert list((store.root / "kind").iterdir()) == []
    assert (store.entry("kind", "name", fill) / "x").exists()


def _contender(root: Path, log: Path) -> None:
    def build(into: Path) -> None:
        with log.open("a") as file:
            file.write("built\n")
        time.sleep(0.3)
        fill(into)

    Store(root).entry("kind", "name", build)


def test_two_processes_build_one_entry(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_contender, args=(store.root, log)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert log.read_text() == "built\n"


def _hold(root: Path, held: str) -> None:
    with Store(root).lock("x"):
        Path(held).touch()
        time.sleep(60)


def test_a_lock_dies_with_its_process_and_waiting_is_said(store: Store, tmp_path: Path) -> None:
    held = tmp_path / "held"
    child = multiprocessing.get_context("fork").Process(target=_hold, args=(store.root, str(held)))
    child.start()
    while not held.exists():
        time.sleep(0.01)
    said: list[str] = []

    def progress(what: str, fraction: float | None) -> None:
        said.append(what)
        child.kill()

    with store.lock("x", progress):
        pass
    child.join()
    assert said == ["waiting for another schedc (x)"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_what_a_disk_refuses_says_where_and_what_to_do(number: int) -> None:
    with pytest.raises(VmError) as caught, disk_errors(Path("/some/cache")):
        raise OSError(number, os.strerror(number))
    assert caught.value.code == DISK
    assert "/some/cache" in caught.value.message
    assert "XDG_CACHE_HOME" in (caught.value.help or "")


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(FileNotFoundError), disk_errors(Path("/x")):
        raise FileNotFoundError


def test_a_full_disk_while_building_leaves_nothing(store: Store) -> None:
    def build(into: Path) -> None:
        fill(into)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(VmError) as caught:
        store.entry("kind", "name", build)
    assert caught.value.code == DISK
    assert list((store.root / "kind").iterdir()) == []


def test_a_place_that_is_a_file_is_a_diagnostic(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(VmError) as caught:
        Store(tmp_path / "cache").directory("kernels")
    assert caught.value.code == DISK


def test_prune_keeps_the_recent_and_the_young(tmp_path: Path) -> None:
    now = time.time()
    for age, name in enumerate(("a", "b", "c", ".new-crashed", "young")):
        (tmp_path / name).mkdir()
        stamp = now if name == "young" else now - 10_000 - age
        os.utime(tmp_path / name, (stamp, stamp))
    prune(tmp_path, keep=2)
    (tmp_path / "file").write_text("")
    os.utime(tmp_path / "file", (0, 0))
    prune(tmp_path, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "young"]
