"""What runs, what ran before, and every change from one to the other.

Input: requests that were read already, events of the holder, the clock. Output: replies; the
history. Invariant: at most one policy is loaded, in a holder of its own. A change is prepared
(read, verified by the kernel) while the old one still runs; whatever goes wrong after that ends
with what ran before, or with the kernel's own scheduler, and in the history with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schedc.load import kernel
from schedc.load.counters import STALL, Exit
from schedc.load.errors import LOADER_FAILED, NOT_NOW, LoadError
from schedc.load.holder import Backend, Holder, HolderDied
from schedc.load.plan import Plan, verify, verify_proof
from schedc.load.retries import MOST, Retries
from schedc.load.state import State

GRACE_S = 5.0
"""A trial may be confirmed so long after its time."""
MAX_CANARY_S = 7 * 86400.0
CANARY, CONFIRMED = "canary", "confirmed"


@dataclass
class Running:
    """The policy that is loaded. `deadline` (monotonic) and `client`: of a trial."""

    plan: Plan
    holder: Holder
    stage: str
    since: float
    by: str
    client: int | None = None
    deadline: float | None = None


Tell = Callable[[int, Mapping[str, Any]], None]


class Supervisor:
    """`tell(client, message)` reaches a connection that is not being answered just now."""

    def __init__(
        self, state: State, backend: Backend, tell: Tell, messages: int | None = None
    ) -> None:
        self.state = state
        self._backend = backend
        self._tell = tell
        self._messages = messages
        self._killed = kernel.killed_for_memory()
        self.running: Running | None = None
        self.previous: Plan | None = None
        self._before_trial: Plan | None = None
        self._retries = Retries()

    # --- requests

    def load(
        self, plan: Plan, canary_s: float | None, by: str, client: int
    ) -> dict[str, Any]:
        """Load a plan, on trial for `canary_s` seconds or for good."""
        began = time.monotonic()
        try:
            self._check(plan)
            self.state.check_room()
            holder = self._prepared(plan)
            old = self.running
            gap = time.monotonic()
            self._swap(holder, old, by)
        except LoadError as failure:
            self.state.tell("refused", plan, str(failure), by, _ms(began))
            raise
        now = time.monotonic()
        before = old.plan if old else None
        self._retries.forget()
        self.running = Running(plan, holder, CANARY, time.time(), by, client)
        self.state.tell("loaded", plan, "on trial" if canary_s else "", by, _ms(began))
        if canary_s is None:
            self._confirm(before, by)
        else:
            self._before_trial = before
            self.running.deadline = now + canary_s + GRACE_S
        return {
            "ok": True, "stage": self.running.stage, "policy": plan.policy.name,
            "took_ms": round(1000 * (now - began), 1), "gap_ms": round(1000 * (now - gap), 1),
            "unresolved": list(holder.unresolved), "notes": self.state.warnings(),
        }  # fmt: skip

    def _check(self, plan: Plan) -> None:
        if self.running and self.running.stage == CANARY:
            raise LoadError(
                NOT_NOW, f"the policy {self.running.plan.policy.name} is on trial",
                help="wait until it is confirmed, or end the trial: `schedc rollback`",
            )  # fmt: skip
        kernel.check_free(self.running is not None)
        loaded = self.running.plan.object_sha256 if self.running else None
        verify(
            plan, now=time.time(), kernel=kernel.this_kernel(),
            current=kernel.read_current(loaded), quarantined=self.state.quarantined(),
        )  # fmt: skip

    def _prepared(self, plan: Plan) -> Holder:
        holder = Holder(plan, self._backend, self._messages)
        try:
            holder.prepare()
        except HolderDied as died:
            holder.kill()
            raise LoadError(LOADER_FAILED, f"the loading process {died.how}") from died
        except LoadError:
            holder.kill()
            raise
        return holder

    def _swap(self, holder: Holder, old: Running | None, by: str) -> None:
        """Take the old one away and put the new one in; or the old one back."""
        if old is not None:
            self.on_event()
            if self.running is not old:
                holder.kill()
                raise LoadError(NOT_NOW, "what ran ended while the new one was verified",
                                help="`schedc history` says why; make the plan again")  # fmt: skip
            self.running = None
            old.holder.detach()
        try:
            self._attach(holder)
        except LoadError as failure:
            if old is not None:
                self._come_back(old.plan, f"the new one did not attach: {failure.message}", by)
            raise

    def _attach(self, holder: Holder) -> None:
        try:
            holder.attach()
        except HolderDied as died:
            holder.kill()
            kernel.wait_for(kernel.DISABLED, GRACE_S)
            raise LoadError(LOADER_FAILED, f"the loading process {died.how}") from died
        except LoadError:
            holder.kill()
            kernel.wait_for(kernel.DISABLED, GRACE_S)
            raise

    def confirm(self, client: int, by: str) -> dict[str, Any]:
        """The trial went well."""
        self._trial_of(client)
        self._confirm(self._before_trial, by)
        return {"ok": True, "stage": CONFIRMED, "notes": self.state.warnings()}

    def _confirm(self, before: Plan | None, by: str) -> None:
        assert self.running is not None
        running = self.running
        running.stage, running.client, running.deadline = CONFIRMED, None, None
        # Loading the same policy again leaves what was before it.
        same = before is not None and before.object_sha256 == running.plan.object_sha256
        if before is not None and not (same and before.settings == running.plan.settings):
            self.previous = before
        self.state.confirm(running.plan, self.previous)
        self.state.tell(CONFIRMED, running.plan, "", by)

    def abort(self, client: int, reason: str, by: str) -> dict[str, Any]:
        """The trial went wrong."""
        self._trial_of(client)
        return self._end_trial(reason, by)

    def _trial_of(self, client: int) -> Running:
        running = self.running
        if running is None or running.stage != CANARY or running.client != client:
            raise LoadError(
                NOT_NOW, "no trial of this connection is under way",
                help="`schedc status` says what runs, `schedc history` what ended the trial",
            )
        return running

    def rollback(self, reason: str, by: str) -> dict[str, Any]:
        """Back to what ran before: a trial is ended, a confirmed policy gives way to the previous
        one."""
        running = self.running
        if running is not None and running.stage == CANARY:
            return self._end_trial(reason, by)
        if self.previous is None:
            raise LoadError(
                NOT_NOW, "there is nothing to go back to",
                help="`schedc unload` goes back to the kernel's own scheduler",
            )
        began, plan = time.monotonic(), self.previous
        holder = self._prepared(plan)
        self._swap(holder, running, by)
        self._take_over(plan, holder, by)
        self.previous = None
        self.state.confirm(plan, None)
        old = running.plan if running else None
        self.state.tell("rolled-back", old, reason, by, _ms(began))
        self.state.tell("loaded", plan, "what ran before", by, _ms(began))
        return {"ok": True, "policy": plan.policy.name, "took_ms": round(_ms(began), 1),
                "notes": self.state.warnings()}  # fmt: skip

    def unload(self, reason: str, by: str) -> dict[str, Any]:
        """Back to the kernel's own scheduler, also after the next start."""
        began, running, waiting = time.monotonic(), self.running, self._retries.waiting
        if running is None and waiting is None:
            raise LoadError(NOT_NOW, "no policy is loaded", help="`schedc status` says what runs")
        plan = running.plan if running else waiting.plan if waiting else None
        back = running.holder.detach() if running else True
        self.running = self.previous = None
        self._retries.forget()
        self.state.confirm(None, None)
        self.state.tell("unloaded", plan, reason, by, _ms(began))
        if running is not None and running.client is not None:
            self._tell(running.client, _ended("the policy was unloaded").as_json())
        if not back:
            raise LoadError("E0805", "the default scheduler did not come back",
                            help="press SysRq-S; then restart the machine")  # fmt: skip
        return {"ok": True, "took_ms": round(_ms(began), 1), "notes": self.state.warnings()}

    def stop(self) -> None:
        """The service ends: the kernel's own scheduler is back, and what was confirmed is loaded
        again when it starts."""
        running, self.running = self.running, None
        self._retries.forget()
        if running is not None:
            running.holder.detach()
            self.state.tell("unloaded", running.plan, "the loader was stopped", "loader")
        self.state.end()

    # --- trials that end badly

    def _end_trial(self, why: str, by: str, *, counts: bool = True) -> dict[str, Any]:
        """Take the trial's policy away and bring back what ran before."""
        began, running = time.monotonic(), self.running
        assert running is not None
        self.running = None
        running.holder.detach()
        return self._after_trial(running, "aborted", why, by, began, counts)

    def _after_trial(
        self, running: Running, what: str, why: str, by: str, began: float, counts: bool
    ) -> dict[str, Any]:
        self.state.tell(what, running.plan, why, by, _ms(began))
        quarantined = counts and self.state.count_against(running.plan, why)
        notes = [f"{running.plan.policy.name} is quarantined now"] if quarantined else []
        before, self._before_trial = self._before_trial, None
        if before is not None:
            self._come_back(before, "what ran before the trial", by)
        name = self.running.plan.policy.name if self.running else None
        return {"ok": True, "policy": name, "took_ms": round(_ms(began), 1),
                "notes": [*notes, *self.state.warnings()]}  # fmt: skip

    def before(self) -> Plan | None:
        """What a rollback brings back; None for the kernel's own scheduler."""
        trial = self.running is not None and self.running.stage == CANARY
        return self._before_trial if trial else self.previous

    def lost(self, client: int) -> None:
        """A connection ended; if it had a policy on trial, the trial failed."""
        running = self.running
        if running is not None and running.stage == CANARY and running.client == client:
            running.client = None
            self._end_trial("the one who watched the trial went away", "loader")

    def tick(self) -> float | None:
        """What is due; seconds until something may be due again."""
        self.state.retry()
        now, running = time.monotonic(), self.running
        if running is not None and running.deadline is not None:
            if now < running.deadline:
                return running.deadline - now
            client = running.client
            self._end_trial("not confirmed in time", "loader")
            if client is not None:
                self._tell(client, _ended("the trial was not confirmed in time").as_json())
        if (waiting := self._retries.waiting) is not None:
            if now < waiting.at:
                return waiting.at - now
            self._retries.forget()
            self._come_back(waiting.plan, waiting.why, "loader")
        return 5.0 if self.state.unsaid else None

    # --- a policy comes back

    def _come_back(self, plan: Plan, why: str, by: str) -> bool:
        """Load a confirmed policy again; if that fails, the kernel's own scheduler stays."""
        began = time.monotonic()
        try:
            verify_proof(plan)
            if plan.policy.source_sha256 in self.state.quarantined():
                raise LoadError(NOT_NOW, f"{plan.policy.name} is quarantined")
            kernel.check_free(False)
            holder = self._prepared(plan)
            self._attach(holder)
        except LoadError as failure:
            self.state.tell("refused", plan, f"{why}; {failure}", by, _ms(began))
            return False
        self._take_over(plan, holder, by)
        self.state.tell("reattached", plan, why, by, _ms(began))
        return True

    def _take_over(self, plan: Plan, holder: Holder, by: str) -> None:
        self.running = Running(plan, holder, CONFIRMED, time.time(), by)

    def start(self) -> None:
        """At the service's start: what was confirmed is loaded again, if it still may be."""
        died = self.state.begin(kernel.this_kernel().boot_id)
        try:
            plan = self.state.confirmed()
            self.previous = self.state.confirmed("previous")
        except LoadError as failure:
            self.state.tell("refused", None, f"a confirmed plan: {failure}", "loader")
            return
        if died:
            self.state.tell("loader-died", plan, died, "loader")
        if plan is not None:
            self._come_back(plan, "the loader started", "loader")

    # --- the holder's own words

    def on_event(self) -> None:
        """The holder said something, or ended."""
        running = self.running
        if running is None:
            return
        try:
            said = running.holder.event()
        except HolderDied as died:
            self._died(running, died.how)
            return
        if said is not None and said.get("event") == "gone":
            self._gone(running, said)

    def _died(self, running: Running, how: str) -> None:
        """No fault of the policy: a confirmed one comes back, after a while."""
        began = time.monotonic()
        self.running = None
        running.holder.kill()
        kernel.wait_for(kernel.DISABLED, GRACE_S)
        why = f"the process that held it {how}"
        if (killed := kernel.killed_for_memory()) > self._killed:
            self._killed = killed
            why += "; the kernel was short of memory and killed processes"
        if running.stage == CANARY:
            if running.client is not None:
                self._tell(running.client, _ended(why).as_json())
            self._after_trial(running, "loader-died", why, "loader", began, False)
            return
        self.state.tell("loader-died", running.plan, why, "loader")
        self._retry_later(running.plan, why)

    def _retry_later(self, plan: Plan, why: str) -> None:
        if not self._retries.later(plan, why, time.monotonic()):
            self.state.tell("refused", plan, f"given up after {MOST} restarts: {why}", "loader")

    def _gone(self, running: Running, said: Mapping[str, Any]) -> None:
        """The kernel ended it: in order, or because it misbehaved."""
        began = time.monotonic()
        self.running = None
        running.holder.kill()
        ended = Exit.of(told) if (told := said.get("exit")) else None
        why = ended.words() if ended else ""
        why = why or "; ".join(map(str, said.get("messages") or ())) or "the kernel gave no reason"
        if ended and not ended.is_error:
            self._ended_in_order(running, why, ended.wants_restart, began)
            return
        failure = LoadError(
            "E0803" if ended and ended.kind == STALL else "E0804",
            f"the kernel ejected the policy {running.plan.policy.name}", notes=(why[:500],),
            help="`schedc history` keeps the reason; `schedc vm run` tries it where nobody is hurt",
        )  # fmt: skip
        if running.client is not None:
            self._tell(running.client, failure.as_json())
        if running.stage == CANARY:
            self._after_trial(running, "ejected", why, "kernel", began, True)
            return
        self.state.tell("ejected", running.plan, why, "kernel")
        self.state.count_against(running.plan, why)
        before, self.previous = self.previous, None
        self.state.confirm(before, None)
        if before and not self._come_back(before, "the newer one was ejected", "loader"):
            self.state.confirm(None, None)

    def _ended_in_order(self, running: Running, why: str, restart: bool, began: float) -> None:
        """A cpu came or went: load again with the machine as it is now. Or a person (SysRq-S)."""
        if restart and self._come_back(running.plan, f"{why} (a cpu came or went)", "kernel"):
            if running.stage == CANARY:  # the trial goes on
                assert self.running is not None
                running.holder, self.running = self.running.holder, running
            return
        if restart and running.stage == CONFIRMED:
            self._retry_later(running.plan, why)
            return
        if running.client is not None:
            self._tell(running.client, _ended(f"the scheduler ended: {why}").as_json())
        if running.stage == CANARY:
            self._after_trial(running, "aborted", why, "kernel", began, False)
            return
        self.previous = None
        self.state.confirm(None, None)
        self.state.tell("unloaded", running.plan, why, "kernel")


def _ended(why: str) -> LoadError:
    return LoadError(NOT_NOW, why, help="`schedc status` says what runs now")


def _ms(began: float) -> float:
    return 1000 * (time.monotonic() - began)
