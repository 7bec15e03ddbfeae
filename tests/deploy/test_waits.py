"""Histograms of waits: quantiles within their buckets, and differences over a window."""

import bisect

import pytest
from hypothesis import given, strategies as st

from schedc.deploy.waits import BUCKETS, Window, edges, quantile, total


def counted(waits: list[int]) -> list[int]:
    """The buckets that the policy's own counters would have (backends/bpf/include/counters.h)."""
    buckets = [0] * BUCKETS
    for wait in waits:
        log2 = max(wait, 1).bit_length() - 1
        buckets[min(max(log2 - 6, 0), BUCKETS - 1)] += 1
    return buckets


@given(
    st.lists(st.integers(0, 2**37), min_size=1, max_size=300), st.floats(0.001, 1.0)
)
def test_a_quantile_is_in_the_bucket_of_the_true_one(waits: list[int], share: float) -> None:
    found = quantile(counted(waits), share)
    waits.sort()
    # The smallest wait that at least this share doesn't pass.
    ranks = [(i + 1) / len(waits) for i in range(len(waits))]
    true = waits[min(bisect.bisect_left(ranks, share), len(waits) - 1)]
    bucket = counted([true]).index(1)
    low, high = edges(bucket)
    assert found is not None and low <= found <= high


def test_no_waits() -> None:
    assert quantile([0] * BUCKETS, 0.99) is None


def test_total() -> None:
    assert total([[1, 2], [3, 4]]) == (4, 6)
    assert total([]) == (0,) * BUCKETS


def test_a_window_holds_what_happened_within_it() -> None:
    window = Window(10)
    for second in range(30):
        window.add(second, {"a": [second * 5, 0], "b": [0, second]})
    assert window.counts("a") == (50, 0)
    assert window.counts() == (50, 10)
    assert sum(window.counts("none")) == 0


def test_a_policy_that_was_attached_anew_begins_at_nothing() -> None:
    window = Window(10)
    window.add(0, {"a": [100]})
    window.add(1, {"a": [200]})
    window.add(2, {"a": [3]})
    assert sum(window.counts()) == 0
    window.add(3, {"a": [10]})
    assert window.counts() == (7,)


@pytest.mark.parametrize("bucket", range(BUCKETS))
def test_edges_meet(bucket: int) -> None:
    low, high = edges(bucket)
    assert low < high
    assert bucket == 0 or edges(bucket - 1)[1] == low
