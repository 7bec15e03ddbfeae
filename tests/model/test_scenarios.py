"""Short scenes of the shipped policies, event by event, as files for people.

`pytest tests/model --update` rewrites them; read the difference before you commit it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schedc.model import Event, Machine, Profile, Topology
from schedc.prove.parameters import declared
from tests.model.machines import MS, ROOT, shipped, slice_out

HERE = ROOT / "tests" / "model" / "scenarios"


def stage(name: str, cpus: int = 1) -> Machine:
    policy = shipped(ROOT / "stdlib_policies" / f"{name}.sched")
    m = Machine(policy, Topology((0,) * cpus), parameters=declared(policy))
    m.advance(1_000 * MS)
    m.events.clear()
    return m


def fair() -> Machine:
    """Three weights share a cpu; one of them sleeps a while and comes back with little credit."""
    m = stage("fair")
    for weight in (50, 100, 200):
        m.fork(Profile(weight=weight))
    for _ in range(6):
        slice_out(m)
    while m.running(0) != 2:
        slice_out(m)
    m.end_at(0, m.now + MS, "sleep")
    for _ in range(5):
        slice_out(m)
    m.wake(2)
    for _ in range(3):
        slice_out(m)
    return m


def interactive() -> Machine:
    """A hog on each cpu; a short sleeper becomes interactive and ends a hog's stint; so does a
    kernel thread, which waits for nobody."""
    m = stage("interactive", cpus=2)
    for cpu in (0, 1):
        m.fork(Profile(), cpu)
    sleeper = m.fork(Profile(), 0)
    for _ in range(8):
        while m.tasks[sleeper].state == "queued":
            slice_out(m, min((0, 1), key=m.slice_end))
        m.end_at(m.tasks[sleeper].cpu, m.now + MS // 2, "sleep")
        m.advance(5 * MS // 4)
        m.wake(sleeper)
    m.fork(Profile(kthread=True, allowed=frozenset({1})), 1)
    for _ in range(3):
        slice_out(m, min((0, 1), key=m.slice_end))
    return m


def budgeted() -> Machine:
    """What was earned asleep is spent first, four stints for one of the rest."""
    m = stage("budgeted")
    hog, saver = m.fork(Profile()), m.fork(Profile())
    slice_out(m)
    m.end_at(0, m.now + MS, "sleep")
    assert m.tasks[saver].state == "sleeping"
    for _ in range(15):
        slice_out(m)
    m.wake(saver)
    for _ in range(9):
        slice_out(m)
    assert m.running(0) in (hog, saver)
    return m


def bands() -> Machine:
    """An urgent band spends its share of a full bucket, then the others get theirs."""
    m = stage("bands")
    for weight in (1000, 300, 100, 10):
        m.fork(Profile(weight=weight))
    for _ in range(16):
        slice_out(m)
    return m


def _line(event: Event) -> str:
    what = f"{event.at / MS:9.3f} ms"
    where = f"cpu {event.cpu}" if event.cpu >= 0 else ""
    who = f"task {event.task}" if event.task >= 0 else ""
    queue = f"{event.queue}/{event.domain} key {event.key}" if event.queue else ""
    line = f" line {event.line}" if event.line >= 0 else ""
    return f"{what}  {where:6} {event.kind:8} {who:7} {queue} {event.value}{line}".rstrip()


@pytest.mark.parametrize("scene", [fair, interactive, budgeted, bands], ids=lambda s: s.__name__)
def test_scenes(scene: Callable[[], Machine], update: bool) -> None:
    m = scene()
    about = " ".join((scene.__doc__ or "").split())
    text = "".join(f"{line}\n" for line in [f"# {about}", *map(_line, m.events)])
    path = HERE / f"{scene.__name__}.txt"
    if update:
        path.write_text(text)
    assert path.read_text() == text
