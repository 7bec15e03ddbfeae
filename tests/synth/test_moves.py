"""Changes of structure: each is a policy's text, most are proved, none carries a foreign name."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from schedc.data import data_path, read_data
from schedc.pipeline import analyze
from schedc.source import Source
from schedc.syntax.format import format_source
from schedc.synth.engine.moves import moves
from schedc.synth.engine.search import names_of
from schedc.synth.evaluate import judge
from schedc.synth.goal import known_metrics, parse
from schedc.synth.messages import Observed, Trait

LIBRARY = tuple(sorted(path.stem for path in data_path("stdlib_policies").glob("*.sched")))
GOALS = ("wakeup_p99", "throughput", "makespan", "mean_completion", "fairness", "idle_wakeups")
HOSTILE = (
    'x"\nclass all', "a" * 16, "", "näme", "a b", 'x" | "y', "ignore all\tinstructions", "\x1b[31m",
    "%s", "tab\\", "*",
)  # fmt: skip


def text_of(name: str) -> str:
    return read_data(f"stdlib_policies/{name}.sched")


def made(name: str, metric: str, *names: str) -> list[tuple[str, str]]:
    return list(moves(text_of(name), parse("", [metric], []), names))


def source(text: str) -> Source:
    return Source.from_text("candidate.sched", text)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_change_is_a_formatted_text_of_its_own(name: str) -> None:
    every = made(name, "makespan", "long", "short")
    assert len(every) >= 8
    texts = [text for text, _ in every]
    assert len({text_of(name), *texts}) == len(texts) + 1
    for text, how in every:
        assert format_source(source(text))[0] == text, how
        assert how.isprintable()


@pytest.mark.parametrize("name", ["bands", "cells", "interactive", "locality", "tickless"])
def test_most_changes_are_policies(name: str) -> None:
    """What is none is refused by the compiler for its shares or its clocks, never its syntax."""
    counts: Counter[str] = Counter()
    for text, how in made(name, "wakeup_p99", "worker"):
        analysis = analyze(source(text))
        codes = {one.code for one in analysis.diagnostics if one.is_error}
        assert not any(code.startswith(("E01", "E02", "E03")) for code in codes), (how, codes)
        counts["policy" if analysis.policy is not None else "not"] += 1
    assert counts["policy"] >= 2 * counts["not"]


@pytest.mark.parametrize("metric", ["wakeup_p99", "makespan", "mean_completion"])
def test_the_first_changes_are_proved(metric: str) -> None:
    """What a search tries first, of a policy of each order."""
    verdicts = Counter(
        judge(source(text)).verdict
        for name in ("fifo", "deadline", "longest_first")
        for text, _ in islice(made(name, metric, "worker"), 2)
    )
    assert verdicts["proved"] >= 5, verdicts


def test_the_goal_says_what_comes_first() -> None:
    first = {metric: made("fifo", metric, "long")[0][1] for metric in GOALS}
    assert "`long` goes first" in first["wakeup_p99"] and "`long` goes first" in first["makespan"]
    assert "who has begun goes on" in first["mean_completion"]
    assert "slices" in first["throughput"] and "slices" in first["idle_wakeups"]


def test_the_same_again() -> None:
    for metric in GOALS:
        assert made("latency", metric, "b", "a") == made("latency", metric, "b", "a")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_foreign_name_gets_into_a_text(name: str) -> None:
    for policy in ("fifo", "interactive"):
        assert made(policy, "makespan", name) == made(policy, "makespan")
        assert made(policy, "makespan", name, "ok") == made(policy, "makespan", "ok")


@pytest.mark.parametrize("text", ["", "policy", "polisy x 1.0.0", "\x00", "policy a 1.0.0\n"])
def test_what_is_no_policy_has_no_changes(text: str) -> None:
    assert list(moves(text, parse("", ["makespan"], []), ["long"])) == []


def test_what_is_inherited_is_left_alone() -> None:
    text = 'policy mine 1.0.0\nextends stdlib/fair@1\ntune slice = 8ms in 4ms..20ms "mine"\n'
    assert list(moves(text, parse("", ["makespan"], []), ["long"])) == []


def test_favouring_once_is_enough() -> None:
    once = next(text for text, how in made("deadline", "makespan", "long") if "goes first" in how)
    again = list(moves(once, parse("", ["makespan"], []), ["long", "short"]))
    assert again and not any("goes first" in how and "has begun" not in how and "of the time" in how
                             for _, how in again)  # fmt: skip


def test_every_kind_of_goal_has_an_order() -> None:
    for metric in known_metrics():
        assert made("interactive", metric, "worker"), metric


# --- names --------------------------------------------------------------------------------------


def observed(*groups: tuple[str, float, float]) -> Observed:
    traits = [Trait("machine", "8 cpus", 1.0, "")]
    traits += [Trait(f"g{i}", "", burst, "ns", comm, cpus)
               for i, (comm, burst, cpus) in enumerate(groups)]  # fmt: skip
    return Observed("w", "f", tuple(traits), 1.0)


def names(metric: str, *groups: tuple[str, float, float]) -> list[str]:
    return names_of(observed(*groups), parse("", [metric], []))


def test_names_are_those_of_tasks_in_the_order_of_need() -> None:
    groups = (("cc", 5e6, 0.2), ("ld", 9e6, 0.9), ("", 1.0, 0.5), ("make", 2e5, 0.1))
    assert names("makespan", *groups) == ["ld", "cc", "make"]
    assert names("mean_completion", *groups) == ["make", "cc", "ld"]
    assert names("wakeup_p99", *groups) == ["make", "cc", "ld"]


def test_a_name_that_all_have_tells_nobody_apart() -> None:
    assert names("makespan", ("job", 1e6, 0.1), ("job", 9e6, 0.9)) == []
    assert names("makespan", ("job", 1e6, 0.1)) == []
