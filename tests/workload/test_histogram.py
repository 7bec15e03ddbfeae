"""Histograms: Python's against exact percentiles, and the guest's C against Python's."""

from __future__ import annotations

import json
import shutil
import subprocess
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from schedc.data import data_path
from schedc.workload.histogram import SUB_BITS, BadHistogram, Histogram, index_of, upper_of

VALUES = st.one_of(
    st.integers(0, 100), st.integers(0, 10**6), st.integers(0, 10**10), st.integers(0, 2**64 - 1)
)
SHARES = st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0])


def exact(samples: list[int], share: float) -> int:
    """The percentile of nearest rank, from the sorted samples themselves."""
    return sorted(samples)[max(1, ceil(round(share * len(samples), 6))) - 1]


@given(VALUES)
def test_a_value_lies_in_its_bucket(value: int) -> None:
    index = index_of(value)
    assert value <= upper_of(index)
    assert index == 0 or value > upper_of(index - 1)
    assert upper_of(index) <= value + (value >> SUB_BITS)


@given(st.lists(VALUES, min_size=1, max_size=300), SHARES)
def test_a_quantile_is_never_too_small_and_at_most_a_bucket_too_large(
    samples: list[int], share: float
) -> None:
    got, want = Histogram.of(samples).quantile(share), exact(samples, share)
    assert got is not None
    assert want <= got <= want + (want >> SUB_BITS)
    assert got <= max(samples)


@given(st.lists(VALUES, max_size=50), st.lists(VALUES, max_size=50), SHARES)
def test_merging_is_the_histogram_of_all_samples(
    one: list[int], two: list[int], share: float
) -> None:
    merged = Histogram.of(one).merge(Histogram.of(two))
    whole = Histogram.of(one + two)
    assert dict(merged.counts) == dict(whole.counts)
    assert merged.quantile(share) == whole.quantile(share)


def test_no_samples_have_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"sub_bits": 4, "min": 0, "max": 0, "buckets": []},
        {"sub_bits": 5, "min": 0, "max": 0, "buckets": [[1]]},
        {"sub_bits": 5, "min": 0, "max": 0, "buckets": [[-1, 2]]},
        {"sub_bits": 5, "min": 0, "max": 0, "buckets": [[1, 0]]},
        {"sub_bits": 5, "min": 0, "max": 0, "buckets": [[10**9, 1]]},
        {"sub_bits": 5, "min": 0, "max": 0, "buckets": "x"},
    ],
)
def test_buckets_that_no_program_writes_are_refused(data: object) -> None:
    with pytest.raises(BadHistogram):
        Histogram.from_json(data)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A C program that puts the numbers on its stdin into the guest's histogram."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    folder = tmp_path_factory.mktemp("driver")
    text = folder / "driver.c"
    text.write_text(
        '#include "histogram.h"\n'
        "int main(void) {\n"
        "  static struct histogram h; unsigned long long v;\n"
        '  while (scanf("%llu", &v) == 1) hist_add(&h, v);\n'
        '  putchar(\'{\'); hist_json(stdout, "h", &h); puts("}"); return 0; }\n'
    )
    program = folder / "driver"
    headers = data_path("backends/phases")
    subprocess.run(
        [compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{headers}", str(text),
         "-o", str(program)],
        check=True,
    )
    return program


@given(samples=st.lists(VALUES, max_size=200))
@settings(max_examples=60, deadline=None)
def test_the_guest_counts_as_we_do(driver: Path, samples: list[int]) -> None:
    text = "\n".join(map(str, samples))
    output = subprocess.run(
        [driver], input=text, capture_output=True, text=True, check=True, timeout=20
    ).stdout
    data = json.loads(output)["h"]
    ours, theirs = Histogram.of(samples), Histogram.from_json(data)
    assert dict(theirs.counts) == dict(ours.counts)
    assert data["count"] == len(samples)
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        assert data[name] == (ours.quantile(share) or 0)
