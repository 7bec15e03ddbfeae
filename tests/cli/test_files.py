"""Outputs are whole or not there; inputs are bounded."""

import errno
import os
import stat
from pathlib import Path

import pytest

from schedc.cli.failure import Failure
from schedc.cli.files import expand, read_source, write_output
from schedc.source import MAX_BYTES


def test_writes_and_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "out"
    write_output(str(path), b"one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()
    path.chmod(0o640)
    write_output(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["out"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_output(str(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure) as caught:
        write_output(str(path), b"new")
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == (
        "E0602", f"can't write `{path}`: no space left on device"
    )
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no such file"):
        write_output(str(tmp_path / "none" / "out"), b"x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_devices_are_written_in_place() -> None:
    write_output("/dev/null", b"x")
    with pytest.raises(Failure, match="no space left"):
        write_output("/dev/full", b"x")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero here")
def test_endless_input_is_bounded() -> None:
    source, found = read_source("/dev/zero")
    assert [one.code for one in found] == ["E0103"]
    assert len(source.raw) == MAX_BYTES + 1


def test_folders_are_expanded_once(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/two.sched", "one.sched", "note.txt"):
        (tmp_path / name).write_text("")
    one = str(tmp_path / "one.sched")
    assert expand([str(tmp_path), one, "-"]) == [str(tmp_path / "b/two.sched"), one, "-"]
