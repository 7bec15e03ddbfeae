"""What the loader remembers, on a disk that tears, fills up and is looked at by others."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from schedc.load.errors import BAD_PLAN, NO_STATE, LoadError
from schedc.load.places import Places, places
from schedc.load.state import ABORTS, State
from tests.load.samples import plan


def fresh(folder: Path) -> State:
    return State(Places(folder / "run", folder / "state"))


@pytest.fixture
def state(tmp_path: Path) -> State:
    return fresh(tmp_path)


def test_a_line_says_what_and_why(state: State) -> None:
    state.tell("aborted", plan(), "p99 was 80 ms", "jo (uid 7)", 12.34)
    (line,) = state.history(10)
    assert (line["what"], line["policy"], line["why"]) == ("aborted", "sample", "p99 was 80 ms")
    assert (line["by"], line["took_ms"]) == ("jo (uid 7)", 12.3)
    assert line["object"] == plan().object_sha256
    assert line["source"] == plan().policy.source_sha256


@given(torn=st.binary(max_size=80))
@settings(max_examples=60, deadline=None)
def test_a_torn_last_line_is_passed_over(tmp_path_factory: pytest.TempPathFactory,
                                         torn: bytes) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("torn")
    state = fresh(folder)
    state.tell("loaded", plan(), "first", "")
    with (folder / "state/history.jsonl").open("ab") as file:
        file.write(torn)
    state.tell("confirmed", plan(), "second", "")
    told = [line["why"] for line in state.history(100)]
    assert told[0] == "first" and told[-1] == "second" and len(told) == 2


def test_every_prefix_of_a_history_is_one(tmp_path: Path) -> None:
    """Where a crash ends the file, the lines before are told and the next one is whole."""
    state = fresh(tmp_path)
    for number in range(3):
        state.tell("loaded", plan(), str(number), "")
    path = tmp_path / "state/history.jsonl"
    data = path.read_bytes()
    for end in range(0, len(data), 7):
        path.write_bytes(data[:end])
        fresh(tmp_path).tell("loaded", plan(), "after", "")
        told = [line["why"] for line in fresh(tmp_path).history(10)]
        whole = data[:end].count(b"\n") + (data[end : end + 1] == b"\n")
        assert told == [*map(str, range(whole)), "after"]


@pytest.fixture
def full(state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """A disk that is full as long as the list holds True."""
    is_full, write = [True], os.write

    def refusing(fd: int, data: bytes) -> int:
        return write(fd, data[: len(data) // 2]) if is_full[0] else write(fd, data)

    monkeypatch.setattr(os, "write", refusing)
    yield is_full


def test_a_full_disk_is_told_and_made_up_for(state: State, full: list[bool]) -> None:
    state.tell("unloaded", plan(), "one", "")
    state.tell("loaded", plan(), "two", "")
    assert state.history(10) == []
    assert "2 lines wait" in state.warnings()[0]
    full[0] = False
    state.retry()
    assert [line["why"] for line in state.history(10)] == ["one", "two"]
    assert state.warnings() == []


def test_no_room_is_said_before_anything_changes(state: State, tmp_path: Path) -> None:
    state.check_room()
    (tmp_path / "state/.room").mkdir()
    with pytest.raises(LoadError) as refused:
        state.check_room()
    assert refused.value.code == NO_STATE


def test_quarantine_after_two(tmp_path: Path, state: State) -> None:
    one, other = plan(), plan("other")
    assert not state.count_against(one, "first")
    assert not state.count_against(other, "another")
    assert state.quarantined() == []
    assert state.count_against(one, "second")
    again = fresh(tmp_path)  # it outlives the process
    assert again.quarantined() == [one.policy.source_sha256]
    (entry,) = again.quarantine()
    assert entry["why"] == ["first", "second"] and entry["count"] == ABORTS


def test_only_a_person_clears_it(tmp_path: Path, state: State) -> None:
    one = plan()
    for why in ("first", "second"):
        state.count_against(one, why)
    hash_ = one.policy.source_sha256
    for wrong in ("", hash_[:7], "0" * 64, hash_ + "0"):
        assert state.clear(wrong) is None
    assert state.clear(hash_[:8]) == hash_
    assert fresh(tmp_path).quarantined() == []
    assert not state.count_against(one, "counted from the start")


@pytest.mark.parametrize("data", ["", "{", "[]", '{"a": 1}', '{"a": {"count": "x"}}'])
def test_a_damaged_quarantine_sets_nobody_free(tmp_path: Path, data: str) -> None:
    fresh(tmp_path)
    (tmp_path / "state/quarantine.json").write_text(data)
    with pytest.raises(LoadError) as refused:
        fresh(tmp_path)
    assert refused.value.code == NO_STATE


def test_what_was_confirmed(tmp_path: Path, state: State) -> None:
    assert state.confirmed() is None
    state.confirm(plan(), plan("other"))
    again = fresh(tmp_path)
    assert again.confirmed() == plan() and again.confirmed("previous") == plan("other")
    path = tmp_path / "state/confirmed/current.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "settings": ""}))
    with pytest.raises(LoadError) as refused:
        again.confirmed()
    assert refused.value.code == BAD_PLAN
    state.confirm(None, None)
    assert again.confirmed() is None


def test_a_folder_that_others_can_write_to(tmp_path: Path) -> None:
    fresh(tmp_path)
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(LoadError) as refused:
        fresh(tmp_path)
    assert refused.value.code == NO_STATE


def test_the_environment_is_believed_only_about_ones_own_folders(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(mine)
    assert places({"SCHEDC_RUN_DIR": str(mine)}).run == mine
    assert places({"SCHEDC_STATE_DIR": str(mine)}).state == mine
    for wrong in (link, tmp_path / "none", Path("mine")):
        assert places({"SCHEDC_RUN_DIR": str(wrong)}) == places({})
    mine.chmod(0o770)
    assert places({"SCHEDC_RUN_DIR": str(mine)}) == places({})


def test_the_next_life_says_how_the_last_one_ended(tmp_path: Path) -> None:
    assert fresh(tmp_path).begin("boot-1") == ""
    assert "killed" in fresh(tmp_path).begin("boot-1")
    assert "machine went down" in fresh(tmp_path).begin("boot-2")
    fresh(tmp_path).end()
    assert fresh(tmp_path).begin("boot-2") == ""
