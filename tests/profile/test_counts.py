"""What a privileged collector says is checked like anything else that comes from outside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from schedc.profile.counts import read_counts
from schedc.profile.errors import ProfileError
from schedc.profile.names import Namer, common, is_plain


def counts(**more: Any) -> dict[str, Any]:
    """Two groups: eight workers whose names differ in their digits, and one that never sleeps."""
    return {
        "seconds": 2.0,
        "groups": [
            [b"worker-".hex(), b"worker-3".hex(), 0, 1, 8, 0, 10**9, 400, 800, 4],
            [b"hog".hex(), b"hog".hex(), 5, 0, 1, 0, 15 * 10**8, 0, 90, 0],
            [b"idle".hex(), b"idle".hex(), 0, 0, 1, 0, 0, 1, 1, 0],
        ],
        "sums": [[0, 0, 400, 10**9, 5_000_000]],
        "buckets": [[0, 0, 500, 400], [0, 1, 600, 399], [1, 2, 300, 90]],
        "edges": [[0, 1, 100], [2, 1, 300], [1, 77, 5]],
        "tasks": [[1, 15 * 10**8, 1], [0, 1000, 0]],
        "migrations": 4, "dropped": 0, "wakers": True, **more,
    }  # fmt: skip


def test_groups_rates_hogs_and_wakes() -> None:
    found = read_counts(counts())
    hog, worker = found.groups
    assert (hog.name, hog.comm, hog.nice, hog.hogs) == ("hog.n5", "hog", 5, 1)
    assert (hog.share, hog.hog_share) == (0.75, 0.75)
    assert (worker.name, worker.tasks, worker.wakeups_s) == ("worker", 8, 200.0)
    assert (worker.bursts.count, worker.bursts.sum, worker.hogs) == (400, 10**9, 0)
    assert found.wakes == (("hog.n5", "worker", 300), ("-", "worker", 100))


def test_without_knowing_interrupts_no_wakes_are_told() -> None:
    assert read_counts(counts(wakers=False)).wakes == ()


def test_a_burst_that_is_not_over_is_a_hogs_only_if_it_is_long() -> None:
    # 4 ms of 2 s, where the longest that ended took 5 ms: an ordinary burst.
    assert read_counts(counts(tasks=[[0, 4_000_000, 0]])).groups[1].hogs == 0
    assert read_counts(counts(tasks=[[0, 400_000_000, 0]])).groups[1].hogs == 1


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": 0}, {"seconds": "x"}, {"groups": [[1]]}, {"groups": {}}, {"sums": None},
        {"buckets": [[0, 3, 1, 1]]}, {"buckets": [[0, 0, 1920, 1]]}, {"buckets": [[0, 0, -1, 1]]},
        {"edges": [["a", "b", "c"]]}, {"migrations": 1.5}, {"dropped": -1}, {"tasks": 7},
    ],
)  # fmt: skip
def test_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProfileError) as caught:
        read_counts(counts(**change))
    assert caught.value.code == "E1225"


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
))  # fmt: skip
def test_any_value_is_refused_or_read(value: Any) -> None:
    key = ("groups", "sums", "buckets", "edges", "tasks", "migrations", "dropped", "seconds")
    for data in (value, *(counts(**{one: value}) for one in key)):
        try:
            found = read_counts(data)
        except ProfileError:
            continue
        assert all(is_plain(group.name) for group in found.groups)


@given(st.lists(st.tuples(st.binary(max_size=15), st.booleans(), st.integers(-20, 19))))
def test_names_are_plain_and_differ(names: list[tuple[bytes, bool, int]]) -> None:
    namer = Namer()
    found = [namer.name(common(comm, several), nice) for comm, several, nice in names]
    assert all(is_plain(name) for name in found)
    assert len(set(found)) == len(found)


def test_hostile_names_become_numbers() -> None:
    evil = b"`rm -rf ~`; #".hex()
    found = read_counts(counts(groups=[[evil, evil, 0, 0, 1, 0, 10**9, 1, 1, 0]]))
    assert found.groups[0].name == "group0" and found.groups[0].comm == ""
    assert "rm" not in json.dumps([found.groups[0].name, found.groups[0].comm])
