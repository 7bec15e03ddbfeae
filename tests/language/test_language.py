"""A policy for every line of the card: each one means something, and together they use it all.

`policies/NAME.ir` is what each one means; `pytest tests/language --update` rewrites them.
"""

import re
from pathlib import Path

import pytest

from schedc.data import read_data
from schedc.ir.facts import FACTS
from schedc.ir.nodes import EVENTS, Kind, Op, Policy
from schedc.ir.print import print_policy
from schedc.ir.walk import everywhere, facts_used
from schedc.pipeline import analyze
from schedc.source import Source

POLICIES = sorted((Path(__file__).parent / "policies").glob("*.sched"))


def policy_of(path: Path) -> Policy:
    source = Source.from_text(path.name, path.read_text(encoding="utf-8"))
    analysis = analyze(source)
    assert analysis.diagnostics == ()
    assert analysis.policy is not None
    return analysis.policy


@pytest.fixture(scope="module")
def everything() -> list[Policy]:
    return [policy_of(path) for path in POLICIES]


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_the_policy_is_clean_and_means_this(path: Path, update: bool) -> None:
    shown = print_policy(policy_of(path))
    golden = path.with_suffix(".ir")
    if update:
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")


def test_every_golden_has_its_policy() -> None:
    folder = Path(__file__).parent / "policies"
    assert {path.stem for path in folder.glob("*.ir")} == {path.stem for path in POLICIES}


def test_every_keyword_of_the_grammar_is_used() -> None:
    grammar = re.sub(r"//.*", "", read_data("grammar/policy.lark"))
    keywords = set(re.findall(r'"([a-z_0-9]+)"', grammar))
    assert len(keywords) > 100, "the way keywords are found in the grammar is out of date"
    text = "\n".join(path.read_text(encoding="utf-8") for path in POLICIES)
    words = set(re.findall(r"[a-z_0-9]+", re.sub(r'"[^"\n]*"|#.*', "", text)))
    assert keywords - words == set()


def test_every_fact_is_used(everything: list[Policy]) -> None:
    used = {name for policy in everything for name in facts_used(policy)}
    assert set(FACTS) - used == set()


def test_every_operator_type_scope_and_event_is_used(everything: list[Policy]) -> None:
    ops = {getattr(expr, "op", None) for policy in everything for expr in everywhere(policy)}
    assert set(Op) <= ops
    kinds = {state.type.kind for policy in everything for state in policy.states}
    assert kinds == set(Kind)
    scopes = {state.scope for policy in everything for state in policy.states}
    assert scopes == {"task", "cpu", "llc", "node", "class", "cgroup", "comm", "global"}
    events = {name for policy in everything for name, body in policy.events.items() if body}
    assert events == set(EVENTS)


def test_every_order_and_domain_is_used(everything: list[Policy]) -> None:
    pairs = {(queue.order, queue.domain) for policy in everything for queue in policy.queues}
    domains = ("machine", "cpu", "llc", "node", "cgroup")
    assert pairs == {(order, d) for order in ("fifo", "vtime", "moment") for d in domains}
