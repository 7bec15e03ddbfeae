"""Random well-typed policies: what the campaign against the prover is made of.

Input: a number. Output: the text of a policy that compiles; the same number gives the same text.
Most are put together as a careful author would: every line but the last is bounded, shares sum to
less than all. In some, one thing is done carelessly: a share left out, a window or weights too
wide, no drift. What the compiler refuses is drawn anew.

    python -m bench.random_policies 17
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from schedc.ir.nodes import Policy
from schedc.pipeline import Analysis, analyze
from schedc.source import Source

CARELESS = 0.15
"""How many policies have a careless line."""

_NAMES = ("red", "green", "blue", "grey")
_CONDITIONS = (
    "kthread", "pinned", "kthread or pinned", "nice > 0", "nice <= -5", "weight >= {weight}",
    "weight < {weight}", 'comm "red" | "blue*"', 'comm "green"', "uid >= 1000", "tgid == 7",
    "burst < {time}", "slept >= {time}", "wakes >= {many}", "wakings >= {many}", "ran < {time}",
    "busy < {share}", "runnable > {few}", "length({queue}) > {few}", "allowed_cpus == 1",
    "cpus_idle > 0", "sync", "cpus > 1", "cgroup_weight > 100", "cgroup_runnable > {few}",
    "waited >= {time}", "capacity >= 1000", "pid > {many}",
)  # fmt: skip
_DOMAINS = ("", "", " per cpu", " per llc", " per node")
_RUNGS = (
    "idle prev", "idle core prev", "idle fast prev", "idle in llc", "idle core in llc",
    "idle in node", "idle fast anywhere", "idle core anywhere",
)  # fmt: skip

_MOMENTS = (
    "", " + 10ms", " + min(burst, 20ms)", " + min(slept, 50ms)",
    " + min(charge(min(burst, 50ms)), 100ms)",
)  # fmt: skip


@dataclass
class _Queue:
    """`clock`: its name for keyed queues that share one. `classes`: who goes there."""

    name: str
    order: str
    domain: str
    window: str = ""
    clock: str = ""
    classes: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        return f"queue {self.name} {self.order}{self.window}{self.clock}{self.domain}"


class _Author:
    """One policy in the making."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.careless = draw.random() < CARELESS
        self.queues: list[_Queue] = []
        self.tunes: list[str] = []
        self.states: dict[str, str] = {}
        self.lets: list[str] = []
        self.runnable = draw.choice((2, 3, 4, 4, 8, 8, 16, 32))
        self.weights = draw.choice(((100, 100), (50, 200), (50, 200), (20, 500)))
        if self.careless and draw.random() < 0.3:
            self.weights = (1, 10_000)

    def chance(self, of_one: float) -> bool:
        return self.draw.random() < of_one

    def text(self, name: str) -> str:
        self._queues()
        classes = self._classes()
        rules = [self._rule(cls, queue) for cls, queue in classes]
        dispatch = self._dispatch()
        low, high = self.weights
        lines = [
            f"policy {name} 1.0.0", f"assume runnable <= {self.runnable} per cpu",
            f"assume weight in {low}..{high}",
        ]  # fmt: skip
        if any("cgroup" in queue.domain for queue in self.queues):
            lines.append("assume cgroups <= 4")
        if self.chance(0.15):
            lines.append(f"promise wait <= {self.draw.choice((5, 10, 20, 30))}s")
        lines += self.tunes
        lines += self._cpu_sets
        lines += [queue.line for queue in self.queues]
        lines += self.states.values()
        lines += self.lets
        lines += self._class_lines
        lines += self._caps()
        lines += self._events()
        lines += self._places()
        lines += rules
        return "\n".join([*lines, *dispatch]) + "\n"

    # --- queues ----------------------------------------------------------------------------------

    def _queues(self) -> None:
        draw = self.draw
        self._cpu_sets: list[str] = []
        kind = draw.choice(("lines", "lines", "lines", "one", "lowest", "share"))
        self.kind = kind
        several = {"one": 1, "lines": draw.choice((2, 2, 3))}.get(kind, 2)
        if draw.random() < 0.3:
            self.queues.append(_Queue("own", "fifo", " per cpu"))
        for i in range(several):
            self.queues.append(self._queue(f"q{i}", kind))
        self.main = self.queues[-several:]
        if kind == "lowest":
            clock, drift = f" clock {draw.choice(('all', 'both'))}", self._drift()
            for queue in self.main:
                queue.order = f"by vtime within {self._span()}{drift}"
                queue.window, queue.clock = "", clock

    def _queue(self, name: str, kind: str) -> _Queue:
        draw = self.draw
        domain = draw.choice(_DOMAINS)
        if kind == "lowest":
            return _Queue(name, "", draw.choice(("", "", " per cgroup")))
        if kind == "share":
            domain = ""
        order = draw.choice(("fifo", "fifo", "moment", "vtime", "vtime"))
        if order == "fifo":
            return _Queue(name, "fifo", domain)
        if order == "moment":
            high = draw.choice(("20ms", "100ms", "200ms", "1s"))
            return _Queue(name, f"by moment within 0ms..{high}", domain)
        if draw.random() < 0.1 and kind != "share":
            domain = " per cgroup"
        drift = self._drift()
        if not drift and domain not in ("",) and not self.careless:
            domain = ""
        return _Queue(name, f"by vtime within {self._span()}{drift}", domain)

    def _drift(self) -> str:
        shift = self.draw.choice((0, 2, 4, 5, 6, 6, 6, 8))
        if self.careless and self.chance(0.4):
            shift = self.draw.choice((0, 10, 12))
        return f" drift 1/{1 << shift}" if shift else ""

    def _span(self) -> str:
        draw = self.draw
        back, ahead = draw.choice((0, 5, 20, 20, 40)), draw.choice((50, 100, 100, 200))
        if self.weights[0] < 50:
            ahead *= 2
        if self.careless and draw.random() < 0.4:
            ahead *= 20
        return f"{'-' if back else ''}{back}ms..{ahead}ms"

    # --- classes ---------------------------------------------------------------------------------

    def _classes(self) -> list[tuple[str, _Queue]]:
        draw = self.draw
        found: list[tuple[str, _Queue]] = []
        self._class_lines: list[str] = []
        for queue in self.queues:
            if queue.name == "own":
                found.append(("kernel", queue))
                self._class_lines.append("class kernel when kthread or pinned")
        targets = [*self.main, *(draw.choice(self.main) for _ in range(draw.choice((0, 0, 1))))]
        draw.shuffle(targets)
        for i, queue in enumerate(targets):
            name = f"c{i}"
            when = f" when {self._condition()}" if i + 1 < len(targets) else ""
            self._class_lines.append(f"class {name}{when}{self._cpus(queue, bool(when))}")
            found.append((name, queue))
        for cls, queue in found:
            queue.classes.append(cls)
        return found

    def _cpus(self, queue: _Queue, conditional: bool) -> str:
        """`prefer` or `confine`, sometimes."""
        if not self.chance(0.07):
            return ""
        confines = conditional and not queue.domain and not queue.classes and self.chance(0.5)
        name = f"set{len(self._cpu_sets)}"
        which = self.draw.choice(("llc 0", "fast", '"0"'))
        self._cpu_sets.append(f"cpus {name} = {which}")
        return f" {'confine' if confines else 'prefer'} {name}"

    def _condition(self) -> str:
        parts = [self._atom() for _ in range(self.draw.choice((1, 1, 1, 2)))]
        text = self.draw.choice((" and ", " or ")).join(parts)
        return f"not ({text})" if self.chance(0.1) else text

    def _atom(self) -> str:
        draw = self.draw
        if self.chance(0.2):
            return self._of_state()
        return draw.choice(_CONDITIONS).format(
            weight=draw.choice((40, 100, 150)),
            time=draw.choice(("100us", "1ms", "2ms", "4ms", "10ms", "50ms")),
            many=draw.choice((5, 20, 200)), few=draw.choice((0, 1, 3)), share=draw.choice(
                ("30%", "75%")), queue=draw.choice(self.queues).name,
        )  # fmt: skip

    def _of_state(self) -> str:
        """A condition on something that tasks, or all, are remembered by."""
        draw = self.draw
        scope = draw.choice(("task", "task", "task", "comm", "cpu", "llc", "global"))
        kind = draw.choice(("typical", "budget", "seen", "often"))
        name = f"{scope}.{kind}"
        types = {
            "typical": "time in 0ms..100ms = 8ms", "budget": "time in 0ms..50ms = 0ms",
            "seen": "count in 0..100 = 0", "often": "bool = false",
        }  # fmt: skip
        self.states[name] = f"state {name} : {types[kind]}"
        limit = draw.choice(("1ms", "4ms", "20ms"))
        return {"typical": f"{name} < {limit}", "budget": f"{name} > 0ms",
                "seen": f"{name} > {draw.choice((0, 3, 50))}", "often": name}[kind]  # fmt: skip

    # --- where tasks go --------------------------------------------------------------------------

    def _rule(self, cls: str, queue: _Queue) -> str:
        key, draw = "", self.draw
        if "moment" in queue.order:
            key = f" key now{draw.choice(_MOMENTS)}"
        elif "vtime" in queue.order:
            key = f" key {self._vtime(queue)}{self._lead()}"
        preempt = ""
        others = [c for q in self.queues for c in q.classes if c != cls]
        if others and self.chance(0.25):
            victim, ran = draw.choice(others), draw.choice(("100us", "1ms", "2ms"))
            preempt = f" preempt {victim} when ran >= {ran}"
        perf = f" perf {draw.choice(('low', 'high', '512'))}" if self.chance(0.05) else ""
        return f"enqueue {cls} to {queue.name}{key}{self._slice(queue)}{preempt}{perf}"

    def _vtime(self, queue: _Queue) -> str:
        name = "task.used" if self.kind == "lowest" else f"task.used_{queue.name}"
        self.states.setdefault(name, f"state {name} : vtime of {queue.name}")
        return name

    def _lead(self) -> str:
        draw = self.draw
        if self.chance(0.5):
            return ""
        if self.chance(0.3) and not any(t.startswith("tune lead") for t in self.tunes):
            self.tunes.append("tune lead = 10ms in 0ms..20ms")
            return " - tune.lead"
        return draw.choice((" - 5ms", " - 20ms", " + min(burst, 50ms)", " + 5ms",
                            " - min(slept, 10ms)", " - min(waited, 10ms)"))  # fmt: skip

    def _slice(self, queue: _Queue) -> str:
        draw = self.draw
        kind = draw.random()
        if queue.name == "own":
            return " slice 4ms"
        if kind < 0.1:
            return ""
        if kind < 0.16:
            return f" slice unlimited contended {draw.choice(('5ms', '10ms', '20ms'))}"
        if kind < 0.35:
            name = f"slice{len(self.tunes)}"
            high = draw.choice((8, 20, 40))
            self.tunes.append(f"tune {name} = 8ms in 4ms..{high}ms")
            return f" slice tune.{name}"
        if kind < 0.45:
            return " slice clamp(scale(8ms, weight), 4ms, 16ms)"
        if kind < 0.55:
            return f" slice clamp(20ms / max(length({queue.name}), 1), 4ms, 20ms)"
        if kind < 0.62:
            name = f"turn{len(self.lets)}"
            self.lets.append(f"let {name} = table(burst | 2ms: 4ms | 10ms: 8ms | else 16ms)")
            return f" slice let.{name}"
        return f" slice {draw.choice(('4ms', '5ms', '6ms', '8ms', '10ms', '20ms', '30ms'))}"

    def _caps(self) -> list[str]:
        """A cap or `pack`, sometimes; a capped class has a queue of its own."""
        made = []
        alone = [q.classes[0] for q in self.main if len(q.classes) == 1 and not q.domain]
        if alone and len(self.main) > 1 and self.kind == "lines" and self.chance(0.08):
            self.capped = self.draw.choice(alone)
            made.append(f"cap {self.capped} at {self.draw.choice((30, 50))}% every 200ms")
        if self.chance(0.03):
            made.append(f"pack until {self.draw.choice((50, 80))}%")
        return made

    # --- what happens to tasks -------------------------------------------------------------------

    def _events(self) -> Iterator[str]:
        draw = self.draw
        lines: dict[str, list[str]] = {}
        for name in self.states:
            if ".used" in name:
                lines.setdefault("stop", []).append(f"{name} += charge(ran)")
                if self.careless and self.chance(0.2):
                    lines.setdefault("wake", []).append(f"{name} -= 10ms")
                elif self.chance(0.1):
                    lines.setdefault("sleep", []).append(f"{name} += charge(min(burst, 20ms))")
            elif name.endswith("typical"):
                part = draw.choice(("1/2", "1/4", "1/8"))
                lines.setdefault("sleep", []).append(f"{name} = ewma({name}, burst, {part})")
            elif name.endswith("budget"):
                earned = draw.choice(("slept / 4", "slept / 2", "min(slept, 5ms)"))
                lines.setdefault("wake", []).append(f"{name} += {earned}")
                lines.setdefault("stop", []).append(f"{name} -= ran")
            elif name.endswith("seen"):
                where = draw.choice(("wake", "run", "enqueue"))
                lines.setdefault(where, []).append(f"{name} += 1")
                lines.setdefault("sleep", []).append(f"{name} = 0 when burst < 1ms")
            else:
                lines.setdefault("stop", []).append(f"{name} = ran >= 4ms")
                lines.setdefault(draw.choice(("enable", "wake")), []).append(f"{name} = false")
        for event, body in lines.items():
            yield f"on {event} {{"
            yield from (f"  {line}" for line in body)
            yield "}"

    def _places(self) -> Iterator[str]:
        for of_class in ["", *([f" {self.queues[-1].classes[0]}"] if self.chance(0.1) else [])]:
            if self.chance(0.2):
                continue
            rungs = self.draw.sample(_RUNGS, self.draw.choice((0, 1, 2, 2, 3)))
            if rungs and self.chance(0.15):
                rungs[0] += " when busy < 75%"
            yield f"place{of_class} {{"
            yield from (f"  {rung}" for rung in [*rungs, "idle anywhere"])
            yield "}"

    # --- what a cpu runs next --------------------------------------------------------------------

    def _dispatch(self) -> list[str]:
        lines = ["dispatch {"]
        if self.chance(0.1):
            short = f"length({self.main[0].name}) < 2"
            condition = self.draw.choice(("ran < 2ms", "weight > 100", short))
            lines.append(f"  keep at most {self.draw.choice((1, 1, 2))} when {condition}")
        lines += self._lines()
        for queue in self.queues:
            if queue.domain in (" per cpu", " per llc", " per node"):
                pick = " pick 2" if self.chance(0.2) else ""
                lines.append(f"  steal {queue.name}{pick}")
        return [*lines, "}"]

    def _lines(self) -> Iterator[str]:
        draw, above = self.draw, 0
        limited = [q for q in self.queues if q not in self.main]
        if self.kind in ("lines", "one"):
            limited += self.main[:-1]
        left, period = 85, draw.choice((40, 60, 100))
        for at, queue in enumerate(limited):
            careless = self.careless and self.chance(0.3)
            if careless and self.chance(0.6):
                yield f"  take {queue.name}"
                continue
            counted = "vtime" not in queue.order and at == len(limited) - 1 and self.chance(0.25)
            if counted and not above:
                yield f"  take {queue.name} at most {draw.choice((1, 2, 4))}"
                continue
            percent = draw.choice((10, 20, 25, 30, 40))
            percent = 48 if careless else min(percent, left - 10 * (len(limited) - at))
            left -= percent
            above += 1
            after = ""
            if queue.order == "fifo" and queue.name != "own" and self.chance(0.15):
                after = f" after {draw.choice((20, 50, 100))}ms"
            yield f"  take {queue.name}{after} at most {max(percent, 5)}% every {period}ms"
            if after:
                yield f"  take {queue.name} at most {max(percent, 5)}% every {period * 2}ms"
                left -= percent
            period *= draw.choice((2, 3, 4))
        names = [queue.name for queue in self.main]
        if self.kind == "lowest":
            yield f"  lowest {', '.join(names)}"
        elif self.kind == "share":
            parts = ", ".join(f"{name} {draw.choice((1, 1, 2, 3))}" for name in names)
            yield f"  share {parts}"
        else:
            yield f"  take {names[-1]}"


@dataclass(frozen=True)
class Drawn:
    """`tries`: how many texts were drawn until one compiled. `careless`: it may have a careless
    line. The rest, so that nothing is compiled twice."""

    text: str
    tries: int
    careless: bool
    policy: Policy
    source: Source
    analysis: Analysis


def drawn(number: int) -> Drawn:
    """The policy of a number."""
    for attempt in count():
        author = _Author(random.Random(f"policy {number} {attempt}"))
        text = author.text(f"random_{number}")
        source = Source.from_text(f"random_{number}.sched", text)
        analysis = analyze(source)
        if analysis.policy is not None:
            return Drawn(text, attempt + 1, author.careless, analysis.policy, source, analysis)
    raise AssertionError("unreachable")


if __name__ == "__main__":
    print(drawn(int(sys.argv[1])).text, end="")
