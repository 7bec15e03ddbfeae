"""Where a waking task may run at once: the rungs of `place` as claims of idle cpus.

Input: a `Context`. Output: functions that give a claimed cpu or -1. A claim takes the cpu's idle mark, so that a direct
insertion never queues behind another. Capped classes are never placed: their budget is judged at dispatch.
"""

from __future__ import annotations

from schedc.emit.context import Context
from schedc.emit.functions import Function, function
from schedc.ir.nodes import Class, Rung


def places(ctx: Context) -> Function:
    """`s32 place(...)`: a claimed cpu for a task of class `cls` that was on `cpu`, or -1."""
    bodies = [_class_body(ctx, cls) for cls in ctx.policy.classes]
    if all(body == ["return -1;"] for body in bodies):
        return function("place", "s32", ["\treturn -1;"])
    body = [
        "\t/* A task that can't move has but one place. */",
        "\tif (is_pinned(p))",
        "\t\treturn claim(p, cpu) ? cpu : -1;",
        "",
    ]
    body += ctx.switch(bodies)
    if all(b == bodies[0] for b in bodies) and bodies[0][-1].startswith("return"):
        return function("place", "s32", _with_local(body))
    return function("place", "s32", [*_with_local(body), "\treturn -1;"])


def _with_local(body: list[str]) -> list[str]:
    return ["\ts32 idle;", "", *body] if any("idle =" in line for line in body) else body


def _class_body(ctx: Context, cls: Class) -> list[str]:
    """Statements that return the cpu claimed by the first rung that finds one."""
    if any(cap.cls == cls.name for cap in ctx.policy.caps):
        return ["return -1;"]
    rungs = ctx.policy.places[cls.index]
    awake = ["MASK_AWAKE"] if ctx.policy.pack is not None else []
    lines: list[str] = []
    if cls.cpus is not None:
        lines += _ladder(ctx, rungs, [f"MASK_SET_{cls.cpus.upper()}", *awake], cls.cpus)
    if cls.affinity != "confine":
        lines += _ladder(ctx, rungs, awake, None)
    return [*lines, "return -1;"]


def searched(ctx: Context, cls: Class) -> bool:
    """Whether a failed `place` has looked at every cpu that the class may be given."""
    rungs = ctx.policy.places[cls.index]
    plain = (
        bool(rungs)
        and rungs[-1].where == "anywhere"
        and not (rungs[-1].core or rungs[-1].fast or rungs[-1].when)
    )
    return plain and not any(cap.cls == cls.name for cap in ctx.policy.caps)


def _ladder(
    ctx: Context, rungs: tuple[Rung, ...], sets: list[str], member_of: str | None
) -> list[str]:
    """All rungs within some sets. A rung that repeats another on a machine without SMT, or with one llc or node,
    is tried only where it is another: the loader's constants let the verifier cut it out."""
    lines: list[str] = []
    for i, rung in enumerate(rungs):
        lines += _rung(ctx, rung, sets, member_of, _differs(rungs, i))
    return lines


def _differs(rungs: tuple[Rung, ...], i: int) -> str:
    """Condition under which rung i is not the same search as another one of the ladder."""
    rung = rungs[i]
    if rung.when is not None or rung.where == "prev":
        return ""
    for other in rungs[:i]:
        alike = other.when is None and (other.core, other.fast) == (rung.core, rung.fast)
        if alike and rung.where == "anywhere" and other.where in ("llc", "node"):
            return "nr_llcs > 1" if other.where == "llc" else "nr_nodes > 1"
    if rung.core and any(
        o.when is None and not o.core and (o.fast, o.where) == (rung.fast, rung.where)
        for o in rungs[i + 1 :]
    ):
        return "has_smt"
    return ""


def _rung(
    ctx: Context, rung: Rung, sets: list[str], member_of: str | None, only_if: str
) -> list[str]:
    """One rung, within the sets named by `sets` (`member_of` is the class's own)."""
    guard = "" if rung.when is None else ctx.print(rung.when, 3) + " && "
    guard = f"{only_if} && " if only_if else guard
    if rung.where == "prev":
        tests = []
        if member_of:
            tests.append(f"cpu_in_{member_of}(cpu)")
        if "MASK_AWAKE" in sets:
            tests.append("cpu < nr_awake")
        if rung.fast:
            tests.append("cpu_fast[cpu_index(cpu)]")
        if rung.core:
            tests.append("whole_core_idle(cpu)")
        condition = guard + " && ".join([*tests, "claim(p, cpu)"])
        return ctx.mark(rung.span, [f"if ({condition})", "\treturn cpu;"])
    flags = "SCX_PICK_IDLE_CORE" if rung.core else "0"
    claimed = _claim(rung, [*sets, *(["MASK_FAST"] if rung.fast else [])], flags)
    if guard:
        return ctx.mark(
            rung.span,
            [f"idle = {guard[:-4]} ? {claimed} : -1;", "if (idle >= 0)", "\treturn idle;"],
        )
    return ctx.mark(rung.span, [f"idle = {claimed};", "if (idle >= 0)", "\treturn idle;"])


def _claim(rung: Rung, sets: list[str], flags: str) -> str:
    """Call that claims a cpu in the rung's domain and in all of the sets."""
    if not sets:
        return {
            "llc": f"claim_in_llc(p, cpu, {flags})",
            "node": f"claim_in_node(p, cpu, {flags})",
            "anywhere": f"claim_any(p, {flags})",
        }[rung.where]
    domain = {
        "llc": ["MASK_LLC + llc_of(cpu)"],
        "node": ["MASK_NODE + node_of(cpu)"],
        "anywhere": [],
    }[rung.where]
    masks = ", ".join([*domain, *sets, "-1", "-1", "-1"][:4])
    return f"claim_within(p, {masks}, {flags})"
