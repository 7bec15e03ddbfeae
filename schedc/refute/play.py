"""A machine that is driven by name, and every step of it written down.

Input: a `Program` and what to do. Output: the machine's state and the list of `Step`s that leads
there. Invariant: the steps, done again on a fresh machine, lead to the same state.
"""

from __future__ import annotations

from collections.abc import Sequence

from schedc.model import Machine, Program
from schedc.model.state import ASLEEP, LOCAL, QUEUED
from schedc.model.world import Profile
from schedc.prove.parameters import Parameters
from schedc.refute.run import Act, Step


class Play:
    """`number`: the task that has a name now. `profiles`: those that `fork` was given."""

    def __init__(
        self, program: Program, parameters: Parameters, profiles: Sequence[Profile]
    ) -> None:
        self.machine = Machine(program, parameters=parameters, record=False)
        self.profiles = tuple(profiles)
        self.number: dict[str, int] = {}
        self.names: dict[int, str] = {}
        self.steps: list[Step] = []
        self._last = 0

    def copy(self) -> Play:
        """Another play in the same state."""
        other = object.__new__(Play)
        other.machine, other.profiles = self.machine.copy(), self.profiles
        other.number, other.names = dict(self.number), dict(self.names)
        other.steps, other._last = self.steps[:], self._last
        return other

    @property
    def now(self) -> int:
        return self.machine.now

    # --- what can be done ------------------------------------------------------------------------

    def fork(self, name: str, profile: int, cpu: int = 0) -> None:
        """A new task takes the name, whoever had it."""
        number = len(self.machine.tasks)
        self.number[name], self.names[number] = number, name
        self.machine.fork(self.profiles[profile], cpu)
        self._note("fork", name, cpu, profile=profile)

    def wake(self, name: str) -> None:
        self.machine.wake(self.number[name])
        self._note("wake", name)

    def end(self, cpu: int, at: int, how: str) -> None:
        """The stint on a cpu ends."""
        name = self.runs(cpu)
        self.machine.end_at(cpu, at, how)
        self._note("end", name, cpu, how)

    def rename(self, name: str, comm: bytes) -> None:
        self.machine.set_comm(self.number[name], comm)
        self._note("rename", name, how=comm.decode("latin-1"))

    def pause(self, at: int) -> None:
        """Time passes, until a timer of the policy or a stint needs to be looked at."""
        self.machine.advance(at - self.machine.now)
        self._note("pass", "")

    def advance_to(self, at: int) -> None:
        """Time passes. (It is written down with the next step.)"""
        self.machine.advance(at - self.machine.now)

    # --- what can be seen ------------------------------------------------------------------------

    def runs(self, cpu: int) -> str:
        """Who is on a cpu; empty if nobody."""
        number = self.machine.running(cpu)
        return self.names[number] if number is not None else ""

    def asleep(self, name: str) -> bool:
        return name in self.number and self.machine.task(self.number[name]).state == ASLEEP

    def waits(self, name: str) -> bool:
        """Whether it could run and doesn't."""
        return name in self.number and self.machine.task(self.number[name]).state in (QUEUED, LOCAL)

    def waited_ns(self, name: str) -> int:
        """How long a waiting task has waited."""
        return self.machine.now - self.machine.task(self.number[name]).since

    def _note(self, do: Act, name: str, cpu: int = 0, how: str = "", profile: int = 0) -> None:
        runs = tuple(self.runs(cpu.number) for cpu in self.machine.cpus)
        self.steps.append(Step(self.now - self._last, do, name, cpu, how, profile, runs))
        self._last = self.now
