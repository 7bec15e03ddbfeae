"""A refutation, repeated step by step.

Input: a run as JSON values (`schedc.refute.run`) and the policy. Output: whether the machine does
the same: every task runs where the run says, the victim never after it began to wait, and it waits
as long as is claimed; in a run that repeats for ever, the turn leads back to the form it began
with, time has passed, and a cpu that may run the victim has looked for a task.

Nothing of the search is used here: only the machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

from schedc.ir.nodes import Interval, Policy
from schedc.model.machine import Illegal, Machine
from schedc.model.normal import task_form
from schedc.model.state import ASLEEP, RUNNING
from schedc.model.world import Profile, Topology
from schedc.prove.parameters import Parameters

_MOST_STEPS = 1_000_000


class Differs(Exception):
    """The machine does something else than the run says."""


def replay(run: Mapping[str, Any], policy: Policy) -> bool:
    """Whether the run happens, and shows what it claims."""
    return why_not(run, policy) is None


def why_not(run: Mapping[str, Any], policy: Policy) -> str | None:
    """What is wrong with a run; None if it happens as it says."""
    try:
        _Replay(run, policy).check()
    except (Differs, Illegal) as error:
        return str(error)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        return f"not a run: {error!r}"
    return None


class _Replay:
    """The machine, and which task has which name."""

    def __init__(self, run: Mapping[str, Any], policy: Policy) -> None:
        self.run = run
        parameters = parameters_of(run["parameters"])
        policy = replace(policy, weight=parameters.weight)
        for name, value in run["tunes"].items():
            tune = policy.tune(name)
            _require(tune.low <= value <= tune.high, f"tunable {name} out of its range")
        shape = run["topology"]
        topology = Topology(tuple(shape["llc_of"]), tuple(shape["node_of"]))
        self.machine = Machine(policy, topology, run["tunes"], parameters, record=False)
        self.contenders = parameters.runnable * topology.cpus
        self.profiles = [profile_of(one) for one in run["profiles"]]
        self.number: dict[str, int] = {}
        self.done = 0

    def check(self) -> None:
        """All blocks, then what the run claims."""
        promise = self.run["promise_ns"]
        for block in self.run["blocks"]:
            if block["times"] is None:
                self._turn(block["steps"])
                _require(block is self.run["blocks"][-1], "something comes after for ever")
                _require(self.run["wait_ns"] is None, "a wait for ever has no length")
                return
            _require(block["times"] * len(block["steps"]) <= _MOST_STEPS, "too long a run")
            for _ in range(block["times"]):
                for step in block["steps"]:
                    self._step(step)
        waited = self._waited()
        _require(waited == self.run["wait_ns"], f"the victim waits {waited} ns")
        _require(waited > promise, "the promise is kept")

    def _turn(self, steps: list[dict[str, Any]]) -> None:
        """A turn that repeats for ever."""
        self._waited()
        victim = self.number[self.run["victim"]]
        form, began = self.machine.normal_form(victim), self.machine.now
        looked = False
        for step in steps:
            self._step(step)
            allowed = self.machine.task(victim).allowed
            looked |= step["do"] == "end" and step["cpu"] in allowed
            self._waited()
        _require(looked, "no cpu that may run the victim looks for a task")
        _require(self.machine.now > began, "no time passes")
        _require(self.machine.normal_form(victim) == form, "the turn does not lead back")

    def _waited(self) -> int:
        """How long the victim has waited."""
        task = self.machine.task(self.number[self.run["victim"]])
        waiting = any(one.task == task.id for one in self.machine.waiting())
        _require(waiting, "the victim does not wait")
        return self.machine.now - task.since

    def parts(self) -> dict[Hashable, str]:
        """Names by the places of their tasks; sleepers, where they are alike, by their numbers."""
        machine, victim = self.machine, self.number[self.run["victim"]]
        name = {number: name for name, number in self.number.items()}
        found: dict[Hashable, str] = {}
        for q, domains in enumerate(machine.queues):
            for domain, entries in enumerate(domains):
                for at, (_, task) in enumerate(entries):
                    found["queue", q, domain, at] = name[task]
        for cpu in machine.cpus:
            for at, task in enumerate(cpu.local):
                found["local", cpu.number, at] = name[task]
            if cpu.running >= 0:
                found["on", cpu.number] = name[cpu.running]
        alike: Counter[Hashable] = Counter()
        for one in machine.tasks:
            if one.state == ASLEEP and one.id in name:
                sign = task_form(machine, one, one.id == victim)
                alike[sign] += 1
                found["asleep", sign, alike[sign]] = name[one.id]
        return found

    def _step(self, step: Mapping[str, Any]) -> None:
        machine, name = self.machine, step["task"]
        machine.advance(step["after_ns"])
        match step["do"]:
            case "fork":
                self.number[name] = len(machine.tasks)
                machine.fork(self.profiles[step["profile"]], step["cpu"])
                _require(machine.nr_runnable <= self.contenders, "more contend than is assumed")
            case "wake":
                machine.wake(self.number[name])
                _require(machine.nr_runnable <= self.contenders, "more contend than is assumed")
            case "end":
                on = machine.running(step["cpu"])
                _require(on == self.number[name], f"{name} is not on cpu {step['cpu']}")
                machine.end_at(step["cpu"], machine.now, step["how"])
            case "rename":
                machine.set_comm(self.number[name], step["how"].encode("latin-1"))
            case "pass":
                pass
            case other:
                raise Differs(f"no such step: {other}")
        self._compare(step["runs"])
        self.done += 1
        if self.done > self.run["since"]:
            victim = machine.task(self.number[self.run["victim"]])
            _require(victim.state != RUNNING, "the victim runs")

    def _compare(self, runs: list[str]) -> None:
        _require(len(runs) == len(self.machine.cpus), "not as many cpus")
        for cpu, name in enumerate(runs):
            expected = self.number[name] if name else None
            _require(
                self.machine.running(cpu) == expected, f"step {self.done}: cpu {cpu} runs another"
            )


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise Differs(why)


def profile_of(values: Mapping[str, Any]) -> Profile:
    """A profile from its JSON."""
    return Profile(
        weight=values["weight"], nice=values["nice"], kthread=values["kthread"],
        allowed=frozenset(values["allowed"]), held=values["held"],
        comm=values["comm"].encode("latin-1"), exe=values["exe"],
        within=frozenset(values["within"]), cgroup=values["cgroup"],
        cgroup_weight=values["cgroup_weight"], uid=values["uid"], tgid=values["tgid"],
    )  # fmt: skip


def parameters_of(values: Mapping[str, Any]) -> Parameters:
    """Parameters from their JSON."""
    tunes = tuple((name, Interval(*ends)) for name, ends in values["tunes"].items())
    return Parameters(
        values["runnable"], Interval(*values["weight"]), tunes, values["tick_ns"],
        values["keep_slice_ns"], values["higher_burst_ns"], values["higher_percent"],
        values["changes"],
    )  # fmt: skip


def roles(run: Mapping[str, Any], policy: Policy) -> dict[str, str]:
    """Who has whose part after a turn that repeats for ever: a permutation of the tasks' names.

    A turn leads back to the same state up to the names of tasks: another stands where this one
    stood. Names that nobody has (any more) are those that the next turn's children get. The run is
    one that `replay` repeats.
    """
    replayed = _Replay(run, policy)
    for block in run["blocks"][:-1]:
        for _ in range(block["times"]):
            for step in block["steps"]:
                replayed._step(step)
    before = replayed.parts()
    for step in run["blocks"][-1]["steps"]:
        replayed._step(step)
    after = replayed.parts()
    names = dict.fromkeys(
        step["task"] for block in run["blocks"] for step in block["steps"] if step["task"]
    )
    _require(before.keys() == after.keys(), "the turn does not lead back")
    unused, left = (
        [name for name in names if name not in set(parts.values())] for parts in (before, after)
    )
    return {before[part]: after[part] for part in before} | dict(zip(unused, left, strict=True))
