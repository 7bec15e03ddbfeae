"""The longest waits of a simulation: by group of the workload, and by class beside its bound.

Input: a `Report`. Output: `GroupWaits`, `ClassWaits`. Invariant: a bound is shown only for what is
proved, at an N that covers the run: no more tasks can contend for one cpu than there are, and with
more tasks than the proof holds for, the proof's own N is named.
"""

from __future__ import annotations

from schedc.records import dataclass
from schedc.sim.run import Report


@dataclass(frozen=True, slots=True)
class GroupWaits:
    """`tasks`: of the group, in the run that had most. `longest`: ns by arm, None where no run
    counts."""

    group: str
    tasks: int
    longest: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ClassWaits:
    """One class of a policy with a proof. `waits`: how often it was seen to wait."""

    arm: str
    cls: str
    waits: int
    longest_ns: int
    bound_ns: int
    contenders: int

    @property
    def exceeded(self) -> bool:
        return self.longest_ns > self.bound_ns


def group_waits(report: Report) -> tuple[GroupWaits, ...]:
    """By group, in the order of the workload."""
    longest: dict[str, dict[str, int]] = {}
    tasks: dict[str, int] = {}
    for run in report.runs:
        if not run.counts or run.result is None:
            continue
        for group in run.result.groups:
            mine = longest.setdefault(group.name, {})
            mine[run.arm] = max(mine.get(run.arm, 0), group.wait_max_ns)
            tasks[group.name] = max(tasks.get(group.name, 0), group.tasks)
    return tuple(
        GroupWaits(name, tasks[name], tuple(mine.get(arm.name) for arm in report.arms))
        for name, mine in longest.items()
        if tasks[name]
    )


def class_waits(report: Report) -> tuple[ClassWaits, ...]:
    """By arm and class, for the arms that have proved bounds."""
    found = []
    for arm in report.arms:
        results = [run.result for run in report.of(arm.name) if run.result is not None]
        tasks = max((sum(one.tasks for one in result.groups) for result in results), default=0)
        contenders = min(tasks, arm.contenders)
        for bound in arm.bounds:
            if bound.cls not in arm.classes:
                continue
            index = arm.classes.index(bound.cls)
            mine = [one.classes[index] for one in results if index < len(one.classes)]
            if mine and any(one.run for one in mine):
                found.append(ClassWaits(
                    arm.name, bound.cls, sum(one.run for one in mine),
                    max(one.wait_max_ns for one in mine), bound.wait_ns(contenders), contenders,
                ))  # fmt: skip
    return tuple(found)
