"""The longest waits under a load that is made to hurt stay below what is proved.

A sample of bench/waits.py, which does it for all shipped policies and for a minute each.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import waits
from bench.subjects import calibrate, subject
from schedc.vm.machine import Machine
from tests.vm.trials import machine

pytestmark = [pytest.mark.vm, pytest.mark.quiet, pytest.mark.timeout(300)]

SECONDS = 6
TICK_MS = 4.0


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[Machine]:
    with machine() as booted:
        yield booted


@pytest.mark.parametrize("name", ["interactive", "bands"])
def test_nobody_waits_longer_than_is_proved(name: str, two_cpus: Machine) -> None:
    row = waits.strain(two_cpus, subject(name), calibrate(two_cpus), TICK_MS, SECONDS)
    assert row.good, row.problem
    # It was a load: dozens of tasks at once, and every class had some.
    assert row.contenders > 30, row
    compared = waits.compare(row)
    assert {one.cls for one in compared} == set(row.classes), row
    assert all(one.below for one in compared), compared
    assert max(row.victims.values()) < max(one.bound_ms or 0 for one in compared), row
