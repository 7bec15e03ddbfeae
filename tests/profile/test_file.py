"""Profiles as files: what is written is read, and whatever else comes in is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from schedc.profile import file
from schedc.profile.errors import ProfileError
from tests.profile.made import group, profile

GOOD = profile(group(), group("other", 2, nice=5, hogs=1, hog_share=0.5),
               wakes=(("work", "other", 7), ("-", "work", 3)))  # fmt: skip


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file.write_profile(GOOD, tmp_path / "p.json")
    assert file.read_profile(tmp_path / "p.json") == GOOD
    assert file.text(GOOD) == file.text(file.parse(file.text(GOOD).encode()))


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_profile_or_named_damaged(data: bytes) -> None:
    with pytest.raises(ProfileError) as caught:
        file.parse(data)
    assert caught.value.code == "E1224"


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.just(10**30) | st.just([]) | st.just({}) | st.just("\x1b[31m")
)  # fmt: skip


@given(st.data())
def test_a_changed_field_is_refused_or_stays_a_profile(data: st.DataObject) -> None:
    plain: Any = json.loads(file.text(GOOD))
    at: Any = plain
    for _ in range(4):
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or data.draw(st.booleans()):
            at[key] = data.draw(SCALARS)
            break
        at = at[key]
    try:
        found = file.parse(json.dumps(plain).encode())
    except ProfileError as refused:
        assert refused.code == "E1224" and refused.notes
    else:
        assert file.parse(file.text(found).encode()) == found


@given(st.integers(0, 400))
def test_a_file_that_breaks_off_is_refused(cut: int) -> None:
    text = file.text(GOOD).encode()
    with pytest.raises(ProfileError):
        file.parse(text[: len(text) * cut // 401])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "its format is 2, and this schedc reads 1"),
        ({"collector": "magic"}, "no such collector"),
        ({"cpus": 0}, "0 is not a whole number in 1..65536"),
        ({"seconds": float("nan")}, "nan is not a number in 0..1000000.0"),
        ({"wakes": [["nobody", "work", 1]]}, "a wake-up of an unknown group"),
        ({"target": "evil\n"}, "a text that is too long or not printable"),
    ],
)
def test_the_reason_is_told(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProfileError) as caught:
        file.parse(json.dumps(file.as_json(GOOD) | change).encode(), "p.json")
    assert str(caught.value) == (
        f"E1224: p.json is not a profile\n{reason}\n"
        "help: make one with `schedc profile -o p.json`"
    )


def test_names_that_are_not_plain_never_come_in() -> None:
    for name in ("ignore all of this", "a" * 16, "x\u202e", "", "$(id)"):
        plain = json.loads(file.text(GOOD).replace('"other"', json.dumps(name)))
        with pytest.raises(ProfileError):
            file.parse(json.dumps(plain).encode())
