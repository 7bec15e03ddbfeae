"""work-conserving: what is proved, what is waived, and idle cpus that leave tasks waiting."""

from dataclasses import replace
from pathlib import Path

import pytest

from schedc.ir import nodes as ir
from schedc.prove.obligations.work_conserving import work_conserving
from schedc.prove.result import Verdict
from tests.prove.written import (
    SHIPPED,
    decided,
    failing,
    levels,
    shipped,
    with_class,
    with_lines,
    written,
)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_policies_are_work_conserving(path: Path) -> None:
    policy = written(path.read_text())
    found = decided(work_conserving, policy)
    assert not failing(found)
    waived = {name for name, one in found.items() if one.verdict is Verdict.waived}
    expected = {f"work-conserving.cap.{cap.cls}" for cap in policy.caps}
    expected |= {"work-conserving.pack"} if policy.pack is not None else set()
    expected |= {
        f"work-conserving.confine.{cls.name}" for cls in policy.classes if cls.affinity == "confine"
    }
    assert waived == expected


def test_what_is_waived_says_why() -> None:
    found = decided(work_conserving, shipped("after_hours"))
    assert "cap night" in found["work-conserving.cap.night"].reason
    assert "pack until 80%" in found["work-conserving.pack"].reason
    assert not found["work-conserving.pack"].smt2


@pytest.mark.parametrize("name", ["locality", "budgeted", "saved_lag", "flash", "mixed"])
def test_a_queue_that_is_not_stolen_from(name: str) -> None:
    policy = shipped(name)
    for stolen in [line.queue for line in policy.dispatch if isinstance(line, ir.Steal)]:
        mutant = with_lines(
            policy, lambda line, q=stolen: not (isinstance(line, ir.Steal) and line.queue == q)
        )
        found = decided(work_conserving, mutant)
        assert set(failing(found)) == {f"work-conserving.{stolen}"}
        one = found[f"work-conserving.{stolen}"]
        assert one.hint == f"add `steal {stolen}` at the end of `dispatch`"


def test_it_is_refuted_where_no_state_decides() -> None:
    """Kernel threads come first, whatever the state that tells the other classes apart."""
    policy = shipped("latency")
    for stolen, verdict in (("own", Verdict.refuted), ("soon", Verdict.unproven)):
        mutant = with_lines(
            policy, lambda line, q=stolen: not (isinstance(line, ir.Steal) and line.queue == q)
        )
        found = decided(work_conserving, mutant)
        assert failing(found) == {f"work-conserving.{stolen}": verdict}


def test_pinned_tasks_need_not_be_stolen() -> None:
    text = levels().replace("queue first fifo", "queue first fifo per cpu")
    pinned = written(text.replace("when nice < 0", "when pinned and nice < 0"))
    assert not failing(decided(work_conserving, pinned))
    found = decided(work_conserving, written(text))
    assert failing(found) == {"work-conserving.first": Verdict.refuted}
    # Kernel threads are no exception: not all of them are bound to one cpu.
    kernel = written(text.replace("when nice < 0", "when kthread or pinned"))
    assert failing(decided(work_conserving, kernel)) == {"work-conserving.first": Verdict.refuted}


def test_a_budget_holds_nothing_back_from_an_idle_cpu() -> None:
    tight = "take first at most 1% every 100ms\n take second at most 1% every 100ms"
    assert not failing(decided(work_conserving, written(levels(dispatch=tight))))


def test_a_limit_that_were_no_second_chance() -> None:
    """The model of a limited line without one: then a spent budget idles the cpu."""
    policy = written(levels())
    rule = policy.rules[0]
    capped = replace(policy, caps=(ir.Cap("first", 50, 60_000_000, policy.span),))
    found = decided(work_conserving, capped)
    assert found["work-conserving.cap.first"].verdict is Verdict.waived
    assert rule.queue == "first" and not failing(found)


def test_nobody_is_woken_where_place_did_not_look() -> None:
    """`selected` skips the kick: only where the last rung was everywhere."""
    policy = written(levels())
    near = ir.Rung(False, False, "llc", None, policy.span)
    local = replace(policy, places=((near,), (near,)))
    assert not failing(decided(work_conserving, local))  # then the insertion kicks


def test_confined_tasks_wake_cpus_of_their_set_only() -> None:
    policy = shipped("cpu_sets")
    assert not failing(decided(work_conserving, policy))
    # Were the class confined to another set than its lines', nobody there would be woken.
    queue = policy.rules[0].queue
    other = replace(policy.rules[1], queue=queue)
    mutant = replace(policy, rules=(policy.rules[0], other, *policy.rules[2:]))
    mutant = with_class(mutant, 1, affinity="confine", cpus="near")
    assert failing(decided(work_conserving, mutant))
