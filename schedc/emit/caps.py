"""`cap`: how a stint is kept within what its class may still run.

Input: the context. Output: statements. Invariant: they stand where a stint begins, in `running` and
where the previous task is kept, so that no stint outlasts its cap by more than a millisecond.
"""

from __future__ import annotations

from schedc.emit.context import Context
from schedc.emit.names import class_id


def slices_within_caps(ctx: Context) -> list[str]:
    """Statements of `running` and `keep_running`: a stint ends when its cap is spent, but runs a
    millisecond."""
    lines = []
    for number, cap in enumerate(ctx.policy.caps):
        left = f"max(sdiv(c->cap[{number}].credit, 100), NSEC_PER_MSEC)"
        # Unsigned, unlike the arithmetic of policies: an unlimited slice is the largest number.
        capped = f"c->cls_bit & BIT({class_id(cap.cls)})"
        lines += ctx.mark(cap.span, [f"\tif ({capped} && p->scx.slice > (u64){left})"])
        lines.append(f"\t\tp->scx.slice = {left};")
    return lines
