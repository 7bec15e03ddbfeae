"""What the language can say and the BPF back end can't do soundly: refused, with the reason.

Input: the typed policy. Output: E0601. Invariant: nothing that passes here is accepted and ignored;
each refusal has an entry in `docs/adr/`.
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.passes.report import Report


def check_lowerable(policy: ir.Policy, report: Report) -> None:
    """Refuse what has no sound lowering."""
    for line in policy.dispatch:
        if isinstance(line, ir.Take) and line.after is not None:
            _check_aged(line, policy, report)


def _check_aged(line: ir.Take, policy: ir.Policy, report: Report) -> None:
    """`after` asks how long the head has waited: a queue per cgroup has a head for each."""
    if policy.queue(line.queue).domain == "cgroup":
        report.add(
            "E0601", f"`after` on the queue `{line.queue}`, which is per cgroup", line.span,
            "it has a head for each cgroup, too many to look at in each pick",
            help="delete `after …`, or keep these tasks in a queue that isn't per cgroup",
        )  # fmt: skip
