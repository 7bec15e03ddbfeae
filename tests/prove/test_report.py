"""How a proof is told: what is said is in it, and nothing unproven is called proved."""

from dataclasses import replace
from fractions import Fraction

import pytest

from schedc.diagnostics.model import Severity
from schedc.prove import report
from schedc.prove.diagnose import diagnose
from schedc.prove.parameters import at_most
from schedc.prove.result import Bound, Verdict
from schedc.source import Span
from tests.prove import samples


def test_the_theorem_for_a_first_reader() -> None:
    text = report.full(samples.proof(), details=False)
    words = " ".join(text.split())
    assert words.startswith(
        "sample 1.0.0 is proved: no task that could run is left waiting for longer than 1.56 s, as "
        "long as at most 64 tasks contend for one cpu."
    )
    assert "all 24 ms + 24 ms N 1.56 s 30 s N = 1249 q, fifo" in words
    assert "few 0.3333 ms N 21.34 ms 1 s N = 3000 p, moment" in words
    assert "Slack: 978.7 ms to the promise (`few`, 1 s), 28.44 s to the kernel's watchdog" in words
    assert "Every promise is kept up to N = 1249." in words
    assert "E1 at most N tasks contend for one cpu N = 64" in words
    assert "Obligations: 4 proved, 1 waived (0.01 s)." in words
    assert "Waived: what work-conserving.all says: the policy has `pack`" in words
    assert "bounded.slice" not in text, "only with details"
    assert max(map(len, text.splitlines())) <= 100


def test_details_show_each_obligation() -> None:
    text = report.full(samples.proof(), details=True)
    for one in samples.proof().obligations:
        assert one.name in text
    assert "RES + N r" in text and "1.5 ms" in text


@pytest.mark.parametrize("verdict", [Verdict.unproven, Verdict.refuted])
def test_what_failed_is_never_called_proved(verdict: Verdict) -> None:
    proof = samples.failed(verdict, reason="the reason", hint="the hint")
    text = report.full(proof, details=True)
    assert text.startswith(f"sample 1.0.0 is {verdict.value}: of its obligations, 3 proved")
    assert "is proved" not in text and "Slack" not in text and "Assumed" not in text
    assert "because the reason" in text
    assert report.line(proof) == verdict.value
    assert diagnose(proof)


def test_a_proof_has_no_diagnostics() -> None:
    assert diagnose(samples.proof()) == ()


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0 ms"), (1, "1e-06 ms"), (194_700_000, "194.7 ms"), (194_700_001, "194.8 ms"),
     (1_560_000_000, "1.56 s"), (18_200_100_000, "18.21 s")],
)  # fmt: skip
def test_bounds_are_rounded_up(ns: int, text: str) -> None:
    assert at_most(ns) == text


@pytest.mark.parametrize(
    ("at", "verdict", "reason", "code"),
    [
        (0, Verdict.refuted, "it is 0, with tune.a = 3", "E0502"),
        (1, Verdict.refuted, "no cpu takes from `q`", "E0503"),
        (2, Verdict.refuted, "no `steal`", "E0504"),
        (3, Verdict.refuted, "", "E0501"),
        (3, Verdict.unproven, "no known class of queue: why", "E0591"),
        (3, Verdict.unproven, "the solver's limit was reached", "E0592"),
        (0, Verdict.unproven, "a step may fail, which may be unreachable", "E0592"),
        (3, Verdict.unproven, "the period is too short", "E0593"),
        (3, Verdict.unproven, "the bound passes the watchdog", "E0597"),
    ],
)
def test_the_code_of_what_failed(at: int, verdict: Verdict, reason: str, code: str) -> None:
    (found,) = diagnose(samples.failed(verdict, at=at, reason=reason, hint="do this"))
    assert (found.code, found.severity, found.help) == (code, Severity.error, "do this")
    assert found.span == Span(3, 9)
    told = f"{found.message} {' '.join(found.notes)}"
    assert reason.removeprefix("no known class of queue: ") in told
    assert f"what {samples.proof().obligations[at].name} says" in told


RUN = {
    "kind": "lasso", "victim_class": "all", "wait_ns": None, "promise_ns": 30_000_000_000,
    "blame": [{"span": [7, 9, ""], "note": "always first"}, {"span": [1, 2, "b"], "note": "x"}],
    "help": [{"text": "`no`", "proves": True, "bound_ns": 700_000_000,
              "edits": [{"span": [7, 9, ""], "replacement": "no"}]}],
}  # fmt: skip


def test_a_run_blames_lines_and_mends_them() -> None:
    proof = replace(samples.failed(Verdict.refuted), run=RUN)
    (found,) = diagnose(proof)
    assert found.code == "E0501" and found.message == "a task of class `all` may wait for ever"
    assert (found.span, found.label) == (Span(7, 9), "always first")
    assert [label.span for label in found.secondary] == [Span(1, 2, "b")]
    assert found.help == "write `no`: then it proves, with waits of at most 700 ms"
    assert found.fix is not None and found.fix.edits[0].replacement == "no"
    untried = {**RUN, "help": [{**RUN["help"][0], "proves": False}]}  # type: ignore[dict-item]
    (found,) = diagnose(replace(proof, run=untried))
    assert found.help == "write `no`"
    assert found.fix is None, "an edit that wasn't shown to help is told, not applied"


def test_a_run_that_passes_the_promise() -> None:
    run = {**RUN, "kind": "crowd", "wait_ns": 48_000_000_000}
    (found,) = diagnose(replace(samples.failed(Verdict.refuted), run=run))
    assert found.code == "E0505"
    assert found.message == "a task of class `all` may wait 48 s, longer than the 30 s that it may"


def test_many_of_one_code_are_cut() -> None:
    good = samples.proof()
    many = tuple(
        samples.obligation(f"bounded.n{n}", "bounded", Verdict.unproven) for n in range(30)
    )
    found = diagnose(replace(good, obligations=(*good.obligations, *many)))
    assert len(found) == 8


def test_a_bound_of_nothing_has_a_formula() -> None:
    none = Bound("c", "q", "fifo", Fraction(0), Fraction(0), "0", 1, Span(0, 0))
    assert report.formula(none) == "0 ms"
