"""Templates' code from the cache: the same C, whatever is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from schedc.emit.environment import environment
from schedc.emit.templates import folder
from tests.emit.generated import from_text

POLICY = """\
policy plain 1.0.0
"in turn"
queue all fifo
class everyone
place { idle prev }
enqueue everyone to all slice 5ms
dispatch { take all }
"""


def fresh() -> str:
    environment.cache_clear()
    return from_text(POLICY)[1]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return folder()


def test_the_cache_is_used_and_changes_nothing(cache: Path) -> None:
    first = fresh()
    made = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert made
    assert fresh() == first
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == made


def test_a_spoilt_entry_is_made_again(cache: Path) -> None:
    first = fresh()
    sound = {path: path.read_bytes() for path in cache.iterdir()}
    for path, data in sound.items():
        path.write_bytes(data[: len(data) // 2])
    assert fresh() == first
    for path in sound:
        path.write_bytes(b"not code at all")
    assert fresh() == first
    assert {path: path.read_bytes() for path in sound} == sound


def test_no_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "schedc").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "plain" in fresh()
