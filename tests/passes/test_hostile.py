"""Sources made to be slow or to break the passes: each is answered within a second of cpu."""

import time

import pytest

from schedc.diagnostics.model import Diagnostic
from schedc.pipeline import analyze
from schedc.source import MAX_BYTES, Source

TAIL = (
    "\nqueue q fifo\nclass c when {} > 1ms\nclass d\nplace {{ idle anywhere }}\n"
    "enqueue c to q\nenqueue d to q\ndispatch {{ take q }}\n"
)
ONE = TAIL.format("task.x1")
EVENTS = ("wake", "enqueue", "run", "tick", "stop", "sleep")
STATES = "".join(f"state task.x{at} : time\n" for at in range(60))


def events(line: str) -> str:
    """Six events of 64 assignments each, in a ring of 60 states."""
    body = "".join(line.format(at % 60, (at + 1) % 60, at * 977 + 1) + "\n" for at in range(64))
    return "".join(f"on {event} {{\n{body}}}\n" for event in EVENTS)


def numbered(text: str, count: int) -> str:
    return "".join(text.format(at, at + 1) for at in range(count))


HOSTILE = {
    "lets in a row": numbered("let l{} = let.l{}\n", 2500),
    "lets that double": "let l0 = 1ms\n" + numbered("let l{1} = let.l{0} + let.l{0}\n", 31)
    + TAIL.format("let.l31"),
    "a ring of averages": STATES
    + events(" task.x{0} = ewma(task.x{0}, waited + task.x{1}, 1/4)")
    + ONE,
    "a ring that grows": STATES + events(" task.x{0} = task.x{1} + {2}ns") + ONE,
    "a factorial": STATES + events(" task.x{0} = task.x{0} * 2 + task.x{1}") + ONE,
    "one event of many lines": "state task.x : count\non stop {" + "task.x += 1\n" * 5000 + "}",
    "misspelt states": numbered("state task.ab{0} : time\n", 60)
    + "on stop {" + numbered("task.xb{0} = 1ms\n", 2500) + "}",
    "enqueue of nothing": numbered("enqueue a{0} to b{0}\n", 2900),
    "the same enqueue": "enqueue a to b\n" * 4000,
    "lines of dispatch": "queue q fifo\ndispatch {" + "take q at most 3\n" * 3500 + "}",
    "a long share": "queue q fifo\ndispatch { share " + ", ".join(["q 1"] * 9000) + " }",
    "a long lowest": "dispatch { lowest " + ", ".join(f"z{at}" for at in range(9000)) + " }",
    "many patterns": "class c when comm " + " | ".join(['"a"'] * 9000),
    "many cpus": 'cpus c = "' + ",".join(["1"] * 30000) + '"',
    "tables in tables": "let t = " + "table(" * 30 + "ran"
    + (" | 1ms: 2ms" * 15 + " | else ran)") * 30
    + TAIL.format("let.t"),
    "tables in rows": "let t = " + "table(ran | 1ms: " * 30 + "ran" + " | else ran)" * 30
    + TAIL.format("let.t"),
    "victims": "queue q fifo\nclass c\nenqueue c to q preempt " + " or ".join(["c"] * 6000)
    + " when ran >= 1ms",
    "goals": "goal " + ", ".join(["latency"] * 6000),
    "bases": "extends stdlib/fair@1\n" * 2500,
    "places": "class c\n" + "place c { idle anywhere }\n" * 2500,
    "states": numbered("state task.x{0}:time\n", 3000),
    "one state again and again": "state task.x:time\n" * 3500,
}  # fmt: skip


def found_in(text: str) -> tuple[Diagnostic, ...]:
    return analyze(Source.from_text("hostile", text)).diagnostics


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sources_are_answered_soon(name: str) -> None:
    text = f"policy hostile 1.0.0\n{HOSTILE[name]}"
    assert len(text) <= MAX_BYTES
    found_in("policy small 1.0.0")  # tables are loaded, modules imported
    start = time.process_time()
    found = found_in(text)
    assert time.process_time() - start < 1.0
    assert len(found) < 300, "a reader can't use so many"


def test_what_doubles_is_refused_and_what_is_merely_nested_is_not() -> None:
    def codes(name: str) -> set[str]:
        return {one.code for one in found_in(f"policy p 1.0.0\n{HOSTILE[name]}")}

    assert codes("lets that double") == {"E0312"}
    assert "E0312" in codes("tables in tables")
    assert codes("tables in rows") == set()


def test_a_ring_that_grows_ends_at_what_times_can_be() -> None:
    text = f"policy p 1.0.0\n{HOSTILE['a ring that grows']}"
    policy = analyze(Source.from_text("p", text)).policy
    assert policy is not None
    assert all(state.high > 10**15 for state in policy.states)
    assert all(assign.clamp_high for body in policy.events.values() for assign in body)
