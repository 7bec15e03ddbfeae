"""The campaign of bench/survival.py: a sample with the suite, all of it behind `slow`.

That shipped policies survive a few seconds of overload is in test_policies.py; here cpus come and
go, and every policy of the language's card is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import survival
from schedc.vm.check import check_in
from schedc.vm.machine import Machine
from tests.vm.trials import compiled, machine

pytestmark = pytest.mark.vm

CARD = sorted((Path(__file__).parents[1] / "language/policies").glob("*.sched"))


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[Machine]:
    with machine() as booted:
        yield booted


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["fair", survival.library()[-1]], ids=["fair", "mixed"])
def test_cpus_come_and_go(name: str, two_cpus: Machine) -> None:
    restarts, problem = survival.hotplug(two_cpus, survival.subject(name))
    assert (restarts, problem) == (2, "")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kernel", survival.KERNELS)
def test_every_policy_of_the_card_loads(kernel: str) -> None:
    bad = []
    with machine(kernel=kernel) as booted:
        for path in CARD:
            made = compiled(path.read_text())
            verdict = check_in(booted, made.object, settings=made.settings, c_text=made.c_text)
            if not verdict.good:
                bad.append((path.stem, verdict.outcome.name, verdict.refusal or verdict.problem))
    assert bad == []


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_all_survive(tmp_path: Path) -> None:
    assert survival.main(["--out", str(tmp_path / "survival.jsonl")]) == 0
