"""Guards as written: what they mean, and what is said of those that mean nothing."""

import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from schedc.deploy.guard import BadGuard, Guard, Kind, parse_guard
from schedc.diagnostics.render import render
from schedc.source import Source


@pytest.mark.parametrize(
    ("text", "kind", "relation", "limit"),
    [
        ("p99 < 20ms", Kind.wait, "<", 20e6),
        ("p99<20ms", Kind.wait, "<", 20e6),
        ("p50 <= 1.5s", Kind.wait, "<=", 1.5e9),
        ("p99.9 of batch < 300us", Kind.wait, "<", 300e3),
        ("psi < 60%", Kind.psi, "<", 60),
        (" psi <= 12.5 % ", Kind.psi, "<=", 12.5),
        ("throughput > 90%", Kind.switches, ">", 90),
        ("throughput:./rate --once > 90%", Kind.rate, ">", 90),
        ("cmd:./check.sh < 50", Kind.command, "<", 50),
        ("cmd:./check.sh>=-1.5e3", Kind.command, ">=", -1500),
    ],
)
def test_what_is_written(text: str, kind: Kind, relation: str, limit: float) -> None:
    guard = parse_guard(text)
    assert (guard.kind, guard.relation, guard.limit) == (kind, relation, limit)
    assert guard.text == text


def test_quantiles_and_classes() -> None:
    guard = parse_guard("p99.9 of batch < 5ms")
    assert guard.quantile == pytest.approx(0.999) and guard.cls == "batch"
    assert parse_guard("p5 < 5ms").quantile == pytest.approx(0.05)


def test_a_command_is_words_and_no_shell() -> None:
    guard = parse_guard("cmd:prog 'a b' \"$(x)\" ; c > 2 < 50")
    assert guard.argv == ("prog", "a b", "$(x)", ";", "c", ">", "2")
    assert (guard.relation, guard.limit) == ("<", 50)


def test_holds() -> None:
    below, most = parse_guard("psi < 60%"), parse_guard("psi <= 60%")
    assert below.holds(59.99) and not below.holds(60)
    assert most.holds(60) and not most.holds(60.01)
    above, least = parse_guard("cmd:x > 5"), parse_guard("cmd:x >= 5")
    assert above.holds(5.1) and not above.holds(5)
    assert least.holds(5) and not least.holds(4.9)


BAD = {
    "p99": "the guard says no limit",
    "p99 < 20": "the limit is a time above 0 with its unit, such as 20ms",
    "p99 < 0ms": "the limit is a time above 0 with its unit, such as 20ms",
    "p99 > 20ms": "write `p99 < 20ms`",
    "p99 = 20ms": "a guard compares with",
    "p999 < 20ms": "write p99.9",
    "p100 < 1ms": "write p10.0",
    "p99 of Batch < 20ms": "nothing that a guard can look at",
    "psy < 60%": "did you mean `psi`?",
    "psi < 160%": "pressure is at most 100%",
    "psi < 60": "a share in percent, such as 60%",
    "throughtput > 90%": "did you mean `throughput`?",
    "throughput < 90%": "write `throughput > 90%`",
    "latency < 3ms": "there is p99",
    "./check.sh < 50": "a command stands behind `cmd:`: `cmd:./check.sh < 50`",
    "cmd: < 50": "the guard has no command",
    "cmd:'' < 50": "the guard has no command",
    "cmd:'x < 50": "can't be split into words: no closing quotation",
    "cmd:x < 50ms": "a plain number, in the command's own unit",
    "cmd:x < nan": "a plain number",
    "cmd:x": "the guard says no limit",
    "": "the guard says no limit",
    "< 5": "nothing that a guard can look at",
    "cmd:" + 400 * "x" + " < 1": "the guard is too long",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_guard(text: str) -> None:
    with pytest.raises(BadGuard) as wrong:
        parse_guard(text)
    found = wrong.value.diagnostic
    assert found.code == "E0910"
    assert BAD[text] in f"{found.message} {found.help}"
    shown = render([found], Source.from_text("--guard", text))
    assert "^" in shown and "error[E0910]" in shown


@given(st.text(st.sampled_from("p9.of psi<>=%ms0cmd:'\"\\\0\n\x1b\ud800é"), max_size=60))
def test_no_text_whatever_raises_anything_else(text: str) -> None:
    try:
        assert isinstance(parse_guard(text), Guard)
    except BadGuard as wrong:
        render([wrong.diagnostic], Source.from_text("--guard", text))


def test_how_values_are_shown() -> None:
    assert parse_guard("p99 < 20ms").show(1.5e6) == "1.5 ms"
    assert parse_guard("psi < 20%").show(3.25) == "3.25%"
    assert parse_guard("cmd:x < 20").show(3.25) == "3.25"


@pytest.mark.parametrize("page", ["docs/errors/E0910.md", "docs/deploying.md"])
def test_the_guards_of_the_pages_are_guards(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text()
    table = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    found = [one for cell in table for one in re.findall(r"`([^`]+[<>][^`]+)`", cell)]
    found += re.findall(r"--guard '([^']+)'", text)
    assert len(found) >= 5
    for one in found:
        assert parse_guard(one).text == one
