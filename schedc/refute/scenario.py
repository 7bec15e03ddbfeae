"""One scripted adversary against one victim, played until the victim runs, starves, or time is up.

Input: a `Scenario`: the machine, the victim and what it did before, the competitors and how each
behaves. Output: an `Outcome`. Invariant: everything is a function of the scenario; limits are
steps, not seconds.

How a competitor behaves: it runs for `length_ns` (0: as long as it may), then its slice is over, it
sleeps, forks a child and exits, or yields. Before it sleeps it wakes those that sleep, so that two
such tasks are a pair that hand work to each other.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

from schedc.model import Illegal, Program
from schedc.model.state import FOREVER, QUEUED, RUNNING
from schedc.model.world import Profile
from schedc.prove.parameters import Parameters
from schedc.records import dataclass
from schedc.refute.play import Play

How = Literal["slice", "sleep", "exit", "yield"]
Past = Literal["new", "ran", "slept"]

_FORMS, _PERIOD, _SETTLED = 40, 280, 1200
"""A form that comes back is looked for in some steps; later turns only differ in keys."""
_FOR_EVER = 1 << 62
_COST_OF_FORM, _COST_OF_PLAY = 4, 20
_FEW = 12
"""With more competitors no form comes back soon, and to look for one takes long."""
_OTHERS = 600
_BRIEF_NS = 1_000_000
_NAP_NS = 10_000
_HOPELESS, _LONGEST = 256, 16_000
"""After so many steps a play is given up if at its pace the promise takes more than the second."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """See the module. `comms`: names that the task takes in turn, one a stint."""

    how: How
    length_ns: int = 0
    comms: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """`profiles[0]` is the victim's, `profiles[1:]` those of the competitors, all of which exist
    `crowd` times. `past`: what the victim did before. `rests`: how often competitors slept before.
    `alone`: stints that the victim ran, at most, in its past. `late`: slices end as late as the
    kernel may end them, not at once."""

    profiles: tuple[Profile, ...]
    behaviours: tuple[Behaviour, ...]
    crowd: int = 1
    past: Past = "new"
    rests: int = 0
    late: bool = False
    alone: int = 24
    limit: int = 4000

    @property
    def cast(self) -> tuple[tuple[str, int, Behaviour], ...]:
        """(name, profile, behaviour) of the competitors."""
        kinds = len(self.behaviours)
        return tuple(
            (_name(number), 1 + number % kinds, self.behaviours[number % kinds])
            for number in range(kinds * self.crowd)
        )


def _name(number: int) -> str:
    return chr(ord("a") + number) if number < 20 else f"t{number + 1}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`wait_ns`: how long the victim waited until it ran or the play was over, when it may still
    wait. `since`: the number of steps after which it waited. `turn`: how many steps at the end are
    a turn that leads back. `used`: what the play cost, in steps. `hoped_ns`: how long the victim
    would wait, if it came nearer at the same pace."""

    play: Play
    wait_ns: int
    since: int
    turn: int
    cls: str
    used: int = 0
    waits: bool = False
    hoped_ns: int = 0


VICTIM = "victim"


class Theatre:
    """A scenario being played."""

    def __init__(self, program: Program, parameters: Parameters, scenario: Scenario) -> None:
        self.scenario = scenario
        self.play = Play(program, parameters, scenario.profiles)
        self.behaves = {name: behaviour for name, _, behaviour in scenario.cast}
        self.profile = {name: profile for name, profile, _ in scenario.cast}
        self.takes = dict.fromkeys(self.behaves, 0)
        self.cpus = len(self.play.machine.cpus)
        self.forms = len(self.behaves) <= _FEW
        self.promise_ns = self.looked = 0

    def perform(self, promise_ns: int) -> Outcome:
        """Prologue, then turns until the victim runs, a form comes back, or the promise is past."""
        self.promise_ns = promise_ns
        try:
            return self._perform(promise_ns)
        except Illegal:  # a script that this policy's machine can't follow shows nothing
            return Outcome(self.play, 0, 0, 0, "", self._cost())

    def _perform(self, promise_ns: int) -> Outcome:
        self._prologue()
        play = self.play
        number = play.number[VICTIM]
        task = play.machine.task(number)
        if task.state == RUNNING or not play.waits(VICTIM):
            return self._outcome(0, len(play.steps), 0)
        since = len(play.steps)
        seen: dict[Hashable, tuple[int, int]] = {}
        first = play.now - play.waited_ns(VICTIM)
        gap = self._gap()
        while len(play.steps) - since < self.scenario.limit:
            if self._looks(len(play.steps) - since):
                form = self._form(number)
                if form in seen and play.now > seen[form][1]:
                    turn = len(play.steps) - seen[form][0]
                    return self._outcome(play.now - first, since, turn)
                seen.setdefault(form, (len(play.steps), play.now))
            if not self._next():
                break
            if task.state == RUNNING or play.now - first > promise_ns:
                break
            steps = len(play.steps) - since
            if steps == _HOPELESS and (play.now - first) * _LONGEST < promise_ns * steps:
                break
        return self._outcome(play.now - first, since, 0, gap)

    def _looks(self, step: int) -> bool:
        """Whether a form that comes back is looked for: at once, and when averages have settled."""
        return self.forms and step < _SETTLED and (step + _FORMS) % _PERIOD < 2 * _FORMS

    def _form(self, number: int) -> Hashable:
        self.looked += 1
        return self.play.machine.normal_form(number)

    def _cost(self) -> int:
        """A form is as much work as a few steps, a step among many sleepers as well."""
        return len(self.play.steps) + _COST_OF_FORM * self.looked + _COST_OF_PLAY

    def _outcome(self, wait_ns: int, since: int, turn: int, gap: int = 0) -> Outcome:
        play = self.play
        cls, waits = play.machine.class_name(play.number[VICTIM]) or "", play.waits(VICTIM)
        hoped, steps = wait_ns, len(play.steps) - since
        quick = wait_ns * _LONGEST >= self.promise_ns * steps
        if waits and not turn and quick and not self._served(since):
            hoped = _FOR_EVER
        elif waits and not turn and quick:
            nearer = max(1, gap - self._gap())
            hoped = max(wait_ns, wait_ns * gap // nearer)
        return Outcome(play, wait_ns, since, turn, cls, self._cost(), waits, hoped)

    def _served(self, since: int) -> bool:
        """Whether anybody of the victim's queue ran while it waited."""
        play, tasks = self.play, self.play.machine.tasks
        queue = tasks[play.number[VICTIM]].queue
        ran = {name for step in play.steps[since:] for name in step.runs if name}
        return any(tasks[play.number[name]].queue == queue for name in ran)

    def _gap(self) -> int:
        """How far the victim's key is from the lowest that its queue allows; its place in a
        fifo."""
        machine, number = self.play.machine, self.play.number[VICTIM]
        task, program = machine.task(number), machine.program
        if task.state != QUEUED:
            return 0
        if program.orders[task.queue] == "fifo":
            return 1 + machine.entries(task.queue, task.domain).index((task.key, number))
        clock = machine.clock(task.queue, task.domain)
        return max(0, task.key - clock - program.low[task.queue])

    # --- before the wait begins ------------------------------------------------------------------

    def _prologue(self) -> None:
        """The competitors rest, the victim has its past, and they meet."""
        scenario, play = self.scenario, self.play
        if scenario.rests:
            self._rest()
        if scenario.past == "new":
            self._arrive()
            play.fork(VICTIM, 0, self._cpu_of(0))
            return
        play.fork(VICTIM, 0, self._cpu_of(0))
        if scenario.past == "ran":
            self._run_alone()
        else:
            self._sleep_often()
        self._arrive()
        if scenario.past == "slept" and play.asleep(VICTIM):
            play.wake(VICTIM)
        self._let_go()

    def _cpu_of(self, profile: int) -> int:
        """Where a task is forked: the first cpu that it may use."""
        return min(self.scenario.profiles[profile].allowed, default=0)

    def _rest(self) -> None:
        """Competitors come, run briefly and sleep, so that they are owed what sleepers are."""
        for name, profile, _ in self.scenario.cast:
            self.play.fork(name, profile, self._cpu_of(profile))
        for turn in range(self.scenario.rests):
            if turn:
                for name in self.behaves:
                    if self.play.asleep(name):
                        self.play.wake(name)
            for _ in range(2 * len(self.behaves)):
                busy = [cpu for cpu in range(self.cpus) if self.play.runs(cpu)]
                if not busy:
                    break
                self._end_other(busy[0], self.play.now + _NAP_NS, "sleep")

    def _arrive(self) -> None:
        """Competitors come, or wake if they rest."""
        for number, (name, profile, _) in enumerate(self.scenario.cast):
            if self.play.asleep(name):
                self.play.wake(name)
            elif name not in self.play.number:
                allowed = self.scenario.profiles[profile].allowed
                cpu = number % self.cpus
                usable = not allowed or cpu in allowed
                self.play.fork(name, profile, cpu if usable else min(allowed))

    def _run_alone(self) -> None:
        """The victim uses up its slices while nobody else runs, as long as that sets it back."""
        play = self.play
        number, forms = play.number[VICTIM], set()
        for turn in range(self.scenario.alone):
            cpu = play.machine.task(number).cpu
            if play.runs(cpu) != VICTIM:
                return
            if turn < _FORMS:
                form = self._form(number)
                if form in forms:
                    return
                forms.add(form)
            self._end_other(cpu, self._end_of_slice(cpu), "slice")

    def _sleep_often(self) -> None:
        """The victim runs briefly and sleeps, several times."""
        play = self.play
        for turn in range(16):
            if turn and play.asleep(VICTIM):
                play.wake(VICTIM)
            cpu = play.machine.task(play.number[VICTIM]).cpu
            if play.runs(cpu) != VICTIM:
                return
            self._end_other(cpu, min(play.now + _NAP_NS, self._end_of_slice(cpu)), "sleep")

    def _let_go(self) -> None:
        """The victim's stint ends, until it waits."""
        play = self.play
        for _ in range(4 * self.cpus):
            cpu = play.machine.task(play.number[VICTIM]).cpu
            if play.waits(VICTIM) or play.runs(cpu) != VICTIM:
                return
            self._end_other(cpu, self._end_of_slice(cpu), "slice")

    def _end_other(self, cpu: int, at: int, how: str) -> None:
        """A stint ends, after those on other cpus that must end before."""
        play, name = self.play, self.play.runs(cpu)
        for _ in range(_OTHERS):
            first = min(range(self.cpus), key=play.machine.deadline)
            if first == cpu or play.machine.deadline(first) >= at:
                break
            play.end(first, self._end_of_slice(first), "slice")
        if play.runs(cpu) == name:
            play.end(cpu, max(at, play.now), how)

    # --- while it waits --------------------------------------------------------------------------

    def _end_of_slice(self, cpu: int) -> int:
        machine = self.play.machine
        slice_end, latest = machine.slice_end(cpu), machine.deadline(cpu)
        if self.scenario.late or slice_end >= FOREVER:
            return latest if latest < FOREVER else machine.now + _BRIEF_NS
        return max(slice_end, machine.now)

    def _plan(self, cpu: int) -> tuple[int, How]:
        """When and how the stint on a cpu ends."""
        play = self.play
        name = play.runs(cpu)
        behaviour = self.behaves.get(name, Behaviour("slice"))
        end = self._end_of_slice(cpu)
        wanted = play.machine.cpus[cpu].running_since + behaviour.length_ns
        if behaviour.length_ns and wanted < end:
            return max(wanted, play.now), behaviour.how if behaviour.how != "slice" else "yield"
        return end, behaviour.how

    def _next(self) -> bool:
        """The stint that ends first ends; false if nobody runs."""
        play = self.play
        plans = [(*self._plan(cpu), cpu) for cpu in range(self.cpus) if play.runs(cpu)]
        if not plans:
            return False
        at, how, cpu = min(plans, key=lambda plan: (plan[0], plan[2]))
        if at > play.machine.latest():
            play.pause(play.machine.latest())
            return True
        name = play.runs(cpu)
        behaviour = self.behaves.get(name)
        if behaviour is not None and behaviour.comms:
            play.advance_to(at)
            self.takes[name] += 1
            play.rename(name, behaviour.comms[self.takes[name] % len(behaviour.comms)])
        if how == "sleep":
            self._wake_others(at)
        elif how == "exit":
            play.advance_to(at)
            self._hand_over(name, cpu)
            return True
        if play.runs(cpu) == name:
            play.end(cpu, max(at, play.now), how)
        return True

    def _wake_others(self, at: int) -> None:
        sleepers = [name for name in self.behaves if self.play.asleep(name)]
        if sleepers:
            self.play.advance_to(at)
        for name in sleepers:
            self.play.wake(name)

    def _hand_over(self, name: str, cpu: int) -> None:
        """A task forks a child, which takes its part, and exits."""
        play = self.play
        child = name[:-1] if name.endswith("'") else f"{name}'"
        self.behaves[child], self.profile[child] = self.behaves[name], self.profile[name]
        self.takes[child] = self.takes[name]
        play.fork(child, self.profile[name], cpu)
        if play.runs(cpu) == name:
            play.end(cpu, play.now, "exit")
