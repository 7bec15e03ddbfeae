"""The four formats; above all that hostile text stays text."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from schedc.diagnostics.codes import CODES
from schedc.diagnostics.model import (
    Diagnostic,
    Edit,
    Fix,
    Label,
    Severity,
    UnregisteredCode,
    error,
    warning,
)
from schedc.diagnostics.render import Format, render, render_all, summary
from schedc.diagnostics.render.located import Sources
from schedc.source import Source, Span

TEXT = "policy x 1.0.0\n\tclass 漢字 when low\nqueue q by vtime\n"
SOURCE = Source.from_text("x.sched", TEXT)


def at(word: str, text: str = TEXT) -> Span:
    start = text.index(word)
    return Span(start, start + len(word))


def test_full() -> None:
    found = error(
        "E0301", "bad operands", at("when"), label="this", help="write `x`\nor `y`",
        notes=["because"], secondary=[Label(at("policy"), "declared here")],
    )
    assert render([found], SOURCE) == (
        "error[E0301]: bad operands\n"
        " --> x.sched:2:11\n"
        "  |\n"
        "1 | policy x 1.0.0\n"
        "  | ------ declared here\n"
        "2 |     class 漢字 when low\n"
        "  |                ^^^^ this\n"
        "  |\n"
        "  = note: because\n"
        "  = help: write `x`\n"
        "          or `y`\n"
        "\n"
    )


def test_lines_that_are_apart_are_separated() -> None:
    found = error("E0301", "m", at("queue"), secondary=[Label(at("policy"), "here")])
    assert "\n...\n3 | queue" in render([found], SOURCE)


def test_sorted_by_position_and_without_repeats() -> None:
    later, earlier = error("E0301", "b", at("queue")), error("E0302", "a", at("policy"))
    text = render([later, earlier, later], SOURCE, Format.concise)
    assert text == "x.sched:1:1: E0302 a\nx.sched:3:1: E0301 b\n"


def test_end_of_file_and_beyond() -> None:
    for start in (len(TEXT), len(TEXT) + 50):
        text = render([error("E0301", "m", Span(start, start + 3), label="end")], SOURCE)
        assert " --> x.sched:4:1\n  |\n4 |\n  | ^ end\n" in text


def test_span_of_many_lines_marks_the_first() -> None:
    text = render([error("E0301", "m", Span(7, 40))], SOURCE)
    assert "1 | policy x 1.0.0\n  |        ^^^^^^^\n" in text


def test_without_a_place() -> None:
    assert render([error("E0701", "no compiler", None, help="install one")], None) == (
        "error[E0701]: no compiler\n  = help: install one\n\n"
    )


@pytest.mark.parametrize("where", [0, 400, 995])
def test_long_lines_are_cut_around_the_caret(where: int) -> None:
    line = "x" * where + "BAD" + "y" * (997 - where)
    source = Source.from_text("l", line)
    text = render([error("E0301", "m", Span(where, where + 3))], source, width=60)
    shown, carets = text.split("\n")[3:5]
    assert len(shown) <= 60
    assert ("…" in shown) and "BAD" in shown
    assert shown[carets.index("^"):carets.rindex("^") + 1] == "BAD"


def test_a_second_label_off_the_window_stays_inside() -> None:
    source = Source.from_text("l", "A" + "x" * 500 + "B")
    found = error("E0301", "m", Span(0, 1), secondary=[Label(Span(501, 502), "there")])
    text = render([found], source, width=60)
    assert max(len(line) for line in text.split("\n")) <= 60 + len(" there")


def test_other_files() -> None:
    base = Source.from_text("base.sched", "policy base 1.0.0\n")
    found = error(
        "E0202", "declared twice", at("queue"),
        secondary=[Label(Span(7, 11, "base"), "first here")],
    )
    text = render([found], Sources(SOURCE, {"base": base}))
    assert " ::: base.sched:1:8\n  |\n1 | policy base 1.0.0\n  |        ---- first here\n" in text


def test_colour_only_when_asked() -> None:
    found = [error("E0301", "m", at("queue"), help="h"), warning("W0305", "w", at("policy"))]
    assert "\x1b" not in render(found, SOURCE)
    painted = render(found, SOURCE, color=True)
    assert "\x1b[1;31merror[E0301]\x1b[0m" in painted
    assert "\x1b[1;33mwarning[W0305]\x1b[0m" in painted


HOSTILE = st.text(
    st.sampled_from("\x1b[2J\r\n\t\0\x07\x9b\u202e\u2066\u200b\ufeff\u0301\ud800漢é a`'\"*/<"),
    max_size=60,
)


@given(HOSTILE, HOSTILE, HOSTILE, st.integers(0, 60), st.integers(0, 10))
def test_nothing_shown_can_move_the_cursor(
    text: str, name: str, message: str, start: int, length: int
) -> None:
    source = Source.from_text(name, text)
    span = Span(start, start + length)
    found = Diagnostic(
        "E0301", Severity.error, message, span, message, (Label(Span(0, 1), message),),
        (message,), message,
    )
    for format in (Format.full, Format.concise):
        shown = render([found], source, format, width=40)
        assert all(
            char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
            for char in shown
        )


@given(HOSTILE, HOSTILE, st.integers(0, 60))
def test_documents_are_plain_ascii(text: str, name: str, start: int) -> None:
    found = error("E0301", text, Span(start, start + 2), secondary=[Label(Span(0, 1), text)])
    for format in (Format.json, Format.sarif):
        document = render([found], Source.from_text(name, text), format)
        assert document.isascii()
        json.loads(document)


def test_json() -> None:
    fix = Fix((Edit(at("low"), "high"),))
    found = error("E0301", "m", at("low"), help="write `high`", fix=fix)
    document = json.loads(render_all([([found], SOURCE), ([], SOURCE)], Format.json))
    (row,) = document["diagnostics"]
    assert row["code"] == "E0301"
    assert row["span"]["start"] == {"line": 2, "column": 16, "offset": 30}
    assert row["span"]["end"]["column"] == 19
    assert row["fix"][0]["replacement"] == "high"
    assert row["explain"] == "schedc explain E0301"


def test_sarif_is_valid() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parent / "sarif-2.1.0.schema.json").read_text())
    found = [
        error("E0301", "m", at("low"), label="l", help="h", notes=["n"],
              fix=Fix((Edit(at("low"), "high"),)), secondary=[Label(at("policy"), "here")]),
        warning("W0305", "no place", None),
    ]
    document = json.loads(
        render_all([(found, SOURCE), ([error("E0701", "no file", None)], None)], Format.sarif)
    )
    jsonschema.Draft4Validator(schema).validate(document)
    results = document["runs"][0]["results"]
    assert [row["level"] for row in results] == ["warning", "error", "error"]
    assert results[1]["locations"][0]["physicalLocation"]["region"]["startLine"] == 2
    broken = json.loads(json.dumps(document))
    broken["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema).validate(broken)


def test_unregistered_codes_are_bugs() -> None:
    with pytest.raises(UnregisteredCode):
        error("E9999", "m", None)
    with pytest.raises(UnregisteredCode):
        warning("E0301", "an error can't be a warning", None)


def test_summary() -> None:
    two = [error("E0301", "a", None), error("E0302", "b", None)]
    assert summary([*two, warning("W0305", "c", None)]) == "2 errors and 1 warning"
    assert summary([]) == ""


def test_codes_are_well_formed() -> None:
    for code, info in CODES.items():
        assert code[0] in "EWN" and code[1:].isdigit() and len(code) == 5
        assert info.title and not info.title.endswith(".")
    numbers = [code[1:] for code in CODES]
    assert len(numbers) == len(set(numbers))
