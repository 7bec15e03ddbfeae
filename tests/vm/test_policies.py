"""The shipped policies and the examples on real kernels: loaded, kept, released, nobody starved.

The overload is what schedulers are lost to in practice: two hogs pinned to every cpu beside a task
that may run anywhere, more workers than cpus, and a storm of forks, all at once; here for some
seconds, by `python -m bench.survival` for half a minute on all kernels and with both compilers.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from schedc.cli.policy_object import Loaded, load
from schedc.vm.check import check_in
from schedc.vm.errors import VmError
from schedc.vm.job import Job, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store
from tests.vm.live import live

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "stdlib_policies").glob("*.sched"))
EXAMPLES = sorted((ROOT / "examples").glob("*/*.sched"))
KERNELS = ("6.16", "6.18", "7")

pytestmark = pytest.mark.vm


@cache
def compiled(path: Path) -> Loaded:
    return load(str(path))


def boot(kernel: str, image: str, *, parallel: bool = False) -> Machine:
    try:
        found = Kernels(Store.default()).resolve(kernel)
        memory = 256 if image == "small" else 512
        return Machine.boot(Shape(found, 2, memory, image=image, parallel=parallel))
    except VmError as failure:
        pytest.skip(f"no virtual machine: {failure.message}")


@pytest.fixture(scope="module", params=KERNELS)
def checking(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with live(lambda: boot(request.param, "small")) as machine:
        yield machine


@pytest.mark.parametrize("path", SHIPPED + EXAMPLES, ids=lambda path: path.stem)
def test_the_kernel_takes_it_and_gets_it_back(path: Path, checking: Machine) -> None:
    policy = compiled(path).policy
    verdict = check_in(checking, policy.object, settings=policy.settings)
    assert verdict.good, verdict


@pytest.fixture(scope="module")
def overloaded() -> Iterator[Machine]:
    # Cpus that race each other are part of what has to be survived.
    with live(lambda: boot("6.18", "tools", parallel=True)) as machine:
        yield machine


OVERLOAD = """
wl-pinned --hogs-per-cpu 2 --victims 1 --duration-ms {ms} >out/pinned.json &
wl-forkstorm --duration-ms {ms} >out/forkstorm.json &
stress-ng --cpu 6 --switch 2 --pipe 1 --timer 1 -t {s} >/dev/null 2>&1 &
wait
"""


def survives(loaded: Loaded, machine: Machine, seconds: int) -> None:
    files = {
        "policy.o": loaded.policy.object,
        "settings": loaded.policy.settings.encode(),
        "work.sh": OVERLOAD.format(ms=seconds * 1000, s=seconds).encode(),
    }
    script = (
        "schedc-load --object policy.o --settings settings --report out/load.json -- sh work.sh"
    )
    result = machine.run(Job(files, script=script), timeout_s=90 + 4 * seconds)
    report = json.loads(result.out["load.json"])
    assert result.status == 0, (report, result.console[-2000:])
    for name in ("pinned", "forkstorm"):
        measured = json.loads(result.out[f"{name}.json"])
        # Far below the watchdog's 30 s: nobody was near to starving.
        assert 0 < measured["victim_longest_ns"] < 10_000_000_000, measured


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_survives_overload(path: Path, overloaded: Machine) -> None:
    survives(compiled(path), overloaded, 4)
