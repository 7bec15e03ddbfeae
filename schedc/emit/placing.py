"""Where a waking task may run at once: the rungs of `place` as claims of idle cpus.

Input: a `Context`. Output: functions that give a claimed cpu or -1. A claim takes the cpu's idle
mark, so that a direct insertion never queues behind another. Capped classes are never placed: their
budget is judged at dispatch. The kernel calls `select_cpu` only for tasks that may migrate.
"""

from __future__ import annotations

from schedc.emit.context import Context
from schedc.emit.functions import Function, bare, function
from schedc.emit.names import class_id, mask_id
from schedc.ir.nodes import Class, Rung

_NO_PLACE = ["return -1;"]


def places(ctx: Context) -> Function:
    """`s32 place(...)`: a claimed cpu for a task of class `cls` that was on `cpu`, or -1."""
    body = ctx.switch([_class_body(ctx, cls) for cls in ctx.policy.classes])
    if any("idle =" in line for line in body):
        body = ["\ts32 idle;", *body]
    if not bare(body)[-1].startswith("\treturn"):
        body.append("\treturn -1;")
    about = "An idle cpu for the task, claimed; -1 if there is none."
    return function("place", "s32", body, about=about)


def is_placed(ctx: Context, cls: Class) -> bool:
    """Whether tasks of the class are placed at all."""
    capped = any(cap.cls == cls.name for cap in ctx.policy.caps)
    return bool(ctx.policy.places[cls.index]) and not capped


def placed_here(ctx: Context) -> str:
    """Condition, ready to be followed by another, that the task's class is placed at all."""
    placed = [cls for cls in ctx.policy.classes if is_placed(ctx, cls)]
    if len(placed) == len(ctx.policy.classes):
        return ""
    return f"BIT(cls) & ({' | '.join(f'BIT({class_id(cls.name)})' for cls in placed)}) && "


def searched(ctx: Context, cls: Class) -> bool:
    """Whether a failed `place` has looked at every cpu that the class may be given."""
    rungs = ctx.policy.places[cls.index]
    if not is_placed(ctx, cls):
        return False
    last = rungs[-1]
    return last.where == "anywhere" and not (last.core or last.fast or last.when)


def _class_body(ctx: Context, cls: Class) -> list[str]:
    """Statements that return the cpu claimed by the first rung that finds one."""
    if not is_placed(ctx, cls):
        return _NO_PLACE
    rungs = ctx.policy.places[cls.index]
    awake = ["MASK_AWAKE"] if ctx.policy.pack is not None else []
    lines: list[str] = []
    if cls.cpus is not None:
        lines += _ladder(ctx, rungs, [mask_id(cls.cpus), *awake], cls.cpus)
    if cls.affinity != "confine":
        lines += _ladder(ctx, rungs, awake, None)
    return [*lines, "return -1;"]


def _ladder(
    ctx: Context, rungs: tuple[Rung, ...], sets: list[str], member_of: str | None
) -> list[str]:
    """All rungs within some sets. A rung that repeats another on a machine without SMT, or with one
    llc or node, is tried only where it is another: the loader's constants let the verifier cut
    it."""
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
    later = [other for other in rungs[i + 1 :] if other.when is None and not other.core]
    if rung.core and any((o.fast, o.where) == (rung.fast, rung.where) for o in later):
        return "has_smt"
    return ""


def _rung(
    ctx: Context, rung: Rung, sets: list[str], member_of: str | None, only_if: str
) -> list[str]:
    """One rung, within the sets named by `sets` (`member_of` is the class's own)."""
    tests = [only_if] if only_if else []
    if rung.when is not None:
        tests.append(ctx.print(rung.when, 3))
    if rung.where == "prev":
        tests += _prev_tests(rung, sets, member_of)
        return [*ctx.mark(rung.span, [f"if ({' && '.join(tests)})"]), "\treturn cpu;"]
    claimed = _claim(rung, [*sets, *(["MASK_FAST"] if rung.fast else [])])
    found = f"{' && '.join(tests)} ? {claimed} : -1" if tests else claimed
    return [*ctx.mark(rung.span, [f"idle = {found};"]), "if (idle >= 0)", "\treturn idle;"]


def _prev_tests(rung: Rung, sets: list[str], member_of: str | None) -> list[str]:
    """Conditions under which the cpu that the task was on is claimed."""
    tests = [f"cpu_in_{member_of}(cpu)"] if member_of else []
    if "MASK_AWAKE" in sets:
        tests.append("cpu < (s32)nr_awake")
    if rung.fast:
        tests.append("cpu_fast[cpu_index(cpu)]")
    if rung.core:
        tests.append("whole_core_idle(cpu)")
    return [*tests, "claim(p, cpu)"]


def _claim(rung: Rung, sets: list[str]) -> str:
    """Call that claims a cpu in the rung's domain and in all of the sets."""
    flags = "SCX_PICK_IDLE_CORE" if rung.core else "0"
    if not sets and rung.where == "anywhere":
        return f"claim_any(p, {flags})"
    if not sets:
        return f"claim_in_{rung.where}(p, cpu, {flags})"
    domain = {"llc": ["MASK_LLC + llc_of(cpu)"], "node": ["MASK_NODE + node_of(cpu)"]}
    return claim_within([*domain.get(rung.where, []), *sets], flags)


def claim_within(masks: list[str], flags: str = "0") -> str:
    """Call that claims a cpu in all of the masks."""
    return f"claim_within(p, {', '.join([*masks, *['NO_MASK'] * 3][:4])}, {flags})"
