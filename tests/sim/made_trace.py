"""Traces made by hand, in the byte format of the simulator's --trace."""

from __future__ import annotations

import random

from schedc.sim import trace as records
from schedc.sim.trace import HEADER, MAGIC, NO_KEY, RECORD

LOCAL_ON = 1 << 63 | 1 << 62
INTERACTIVE, BATCH = 1 << 16, 2 << 16 | 1
"""DSQs of a policy's first queue in domain 0 and of its second in domain 1."""


class MadeTrace:
    """Appends records; `data()` is the file."""

    def __init__(self, nr_cpus: int = 2, hz: int = 250, seed: int = 1) -> None:
        self.parts = [HEADER.pack(MAGIC, RECORD.size, nr_cpus, hz, 0, seed)]
        self.texts = 0
        self.last = 0

    def put(self, at: int, kind: int, cpu: int = -1, a: int = 0, b: int = 0, c: int = 0) -> None:
        self.parts.append(RECORD.pack(at, kind, 0, cpu, a, b, c))
        self.last = at

    def text(self, at: int, text: str) -> int:
        self.texts += 1
        raw = text.encode()
        for start in range(0, max(len(raw), 1), 16):
            piece = raw[start : start + 16]
            head = RECORD.pack(at, records.TEXT, len(piece), -1, self.texts, 0, 0)[:16]
            self.parts.append(head + piece.ljust(16, b"\0"))
        return self.texts

    def task(self, at: int, pid: int, comm: str, group: int = 0) -> None:
        self.put(at, records.TASK, a=pid, b=group, c=self.text(at, comm))

    def group(self, at: int, group: int, name: str) -> None:
        self.put(at, records.GROUP, b=group, c=self.text(at, name))

    def data(self, ended: int | None = None) -> bytes:
        """With an end if `ended` is given, else as a run that was cut off."""
        parts = list(self.parts)
        if ended is not None:
            parts.append(RECORD.pack(ended, records.END, 0, -1, 0, len(parts) - 1, 0))
        return b"".join(parts)


def busy(
    nr_cpus: int = 4,
    seed: int = 1,
    steps: int = 2000,
    names: tuple[str, ...] = ("messenger", "worker", "hog"),
) -> bytes:
    """A machine that schedules at random, consistently: DSQs, sleeps, preemption, forks, exits.

    Each task is in exactly one of: asleep, in one of two DSQs, in a local DSQ, on a cpu.
    """
    draw = random.Random(seed)
    made = MadeTrace(nr_cpus, seed=seed)
    for group, name in enumerate(names):
        made.group(0, group, name)
    asleep = list(range(1, 3 * nr_cpus + 1))
    for pid in asleep:
        made.task(0, pid, f"{names[pid % len(names)][:9]}-{pid}", pid % len(names))
    queued: list[tuple[int, int]] = []
    running: list[int] = [0] * nr_cpus
    now, pids = 0, len(asleep)
    for _ in range(steps):
        now += draw.choice([0, 1_000, 40_000, 250_000])
        cpu = draw.randrange(nr_cpus)
        pid = running[cpu]
        step = draw.random()
        if step < 0.45 and asleep:
            woken = asleep.pop(draw.randrange(len(asleep)))
            made.put(now, records.WAKE, draw.randrange(nr_cpus), woken, pid)
            dsq = draw.choice([INTERACTIVE, BATCH])
            made.put(now, records.QUEUE, -1, woken, dsq, now if dsq == BATCH else NO_KEY)
            queued.append((woken, dsq))
        elif step < 0.8 and queued:
            following, dsq = queued.pop(0)
            made.put(now, records.MOVE, cpu, following, dsq)
            if pid:
                made.put(now, records.KICK, cpu, 1)
                made.put(now, records.QUEUE, -1, pid, INTERACTIVE, NO_KEY)
                queued.append((pid, INTERACTIVE))
            made.put(now, records.RUN, cpu, following)
            running[cpu] = following
        elif step < 0.97 and pid:
            made.put(now, records.SLEEP, cpu, pid)
            asleep.append(pid)
            made.put(now, records.IDLE, cpu)
            running[cpu] = 0
        elif pid:
            made.put(now, records.EXIT, cpu, pid)
            made.put(now, records.IDLE, cpu)
            running[cpu] = 0
            pids += 1
            made.task(now, pids, f"child-{pids}", pids % len(names))
            asleep.append(pids)
    return made.data(now + 1_000_000)
