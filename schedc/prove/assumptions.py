"""What a proof rests on, with its numbers; printed with every proof.

Input: a policy, `Parameters`, the routes that its bounds are made of. Output: `Assumption`s, in the
order of their codes. `docs/prover.md` says what each means and what would break it.
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.ir.print import time
from schedc.prove.compose import Route
from schedc.prove.discipline import Vtime
from schedc.prove.parameters import Parameters
from schedc.prove.result import Assumption


def assumptions(
    policy: ir.Policy, parameters: Parameters, routes: list[Route]
) -> tuple[Assumption, ...]:
    """Those that this proof needs."""
    n = parameters.runnable
    where = "cpu that stays awake" if policy.pack is not None else "cpu"
    made = [
        Assumption(
            "E1",
            "tasks of a queue that are runnable and may run on a cpu which may take a given one of "
            f"them, for each such {where}, that one included",
            f"{n}",
        ),
        Assumption(
            "E4",
            "a stint ends so long after its slice at the latest (a tick and the longest section "
            "that can't be interrupted); a task that the kernel keeps by itself gets a slice of "
            f"{time(parameters.keep_slice_ns)}",
            time(parameters.tick_ns),
        ),
        Assumption(
            "E5",
            "tasks of higher scheduling classes take so much of any time",
            f"{time(parameters.higher_burst_ns)} + {parameters.higher_percent}%"
            if parameters.higher_burst_ns or parameters.higher_percent
            else "nothing",
        ),
        Assumption(
            "E6",
            "changes of affinity, nice value or cgroup of a task while it waits",
            str(parameters.changes) if parameters.changes else "none",
        ),
        Assumption("E7", "uptime", "at most a year"),
        Assumption("E9", "cpus don't come or go: then the scheduler exits, and the proof ends", ""),
        Assumption("E11", "kernel threads count among the contenders", ""),
        Assumption(
            "E12",
            "choosing a cpu, waking it and picking a task take no time, and one at a time",
            "",
        ),
        Assumption("E13", "no bypass (suspend, module load), no core scheduling", ""),
        Assumption("E14", "no other controller throttles a cpu or a task", ""),
    ]
    return (*made, *_of_queues(policy, parameters, routes))


def _of_queues(policy: ir.Policy, parameters: Parameters, routes: list[Route]) -> list[Assumption]:
    made = []
    if any(isinstance(route.line, ir.Lowest | ir.Share) for route in routes):
        made.append(
            Assumption(
                "E15",
                "tasks in queues that `lowest` or `share` compares may run on all cpus which "
                "compare them",
                "",
            )
        )
    plain = sorted({route.queues[0].name for route in routes if isinstance(route.kind, Vtime)})
    if plain:
        made.append(
            Assumption(
                "E16",
                f"in {', '.join(plain)} (no drift): so many tasks a cpu contend during one wait "
                "in all, not only at a time; a forked one may take the place of one that exited",
                str(parameters.runnable),
            )
        )
    if any(queue.domain == "cgroup" for queue in policy.queues):
        made.append(Assumption("E18", "control groups with tasks", f"at most {policy.cgroups}"))
    return made
