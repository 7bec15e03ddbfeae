"""Every code has a page whose examples do what they say, and a test that provokes it."""

import re
from functools import cache
from pathlib import Path

import pytest

from schedc.diagnostics.codes import CODES
from schedc.pipeline import analyze, prove
from schedc.prove.diagnose import diagnose
from schedc.source import Source

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "errors"
BLOCK = re.compile(r"^```sched *(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(code: str) -> list[tuple[str, str]]:
    """The examples of a page: what each is said to be (a code, or `good`), and its text."""
    return BLOCK.findall((PAGES / f"{code}.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("code", CODES)
def test_the_page(code: str) -> None:
    text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {code}: {CODES[code].title}\n\n")
    assert len(text) > 200, "a page says what the code means and what to do"
    if CODES[code].needs_policy:
        kinds = [kind for kind, _ in blocks(code)]
        assert code in kinds and "good" in kinds


def found_in(text: str, *, proved: bool) -> set[str]:
    """The codes of what `check` says of a policy, with its proof or without."""
    source = Source.from_text("example.sched", text)
    analysis = analyze(source)
    found = {one.code for one in analysis.diagnostics}
    if proved:
        # The warnings about what the proof then refutes are not what the page is about.
        assert analysis.policy is not None, text
        found = {one for one in found if one[0] == "E"}
        found |= {one.code for one in diagnose(prove(analysis, source))}
    return found


@pytest.mark.parametrize("code", CODES)
def test_the_examples_do_what_they_say(code: str) -> None:
    for kind, text in blocks(code):
        found = found_in(text, proved=code.startswith("E05"))
        if kind == "good":
            assert found == set(), text
        else:
            assert kind == code and code in found, text


def test_no_page_without_a_code() -> None:
    assert {path.stem for path in PAGES.glob("[EWN]*.md")} <= set(CODES)


@cache
def text_of_tests() -> str:
    """All tests but this registry's own and the goldens of `tests/ui`, which have their test."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    return "".join(path.read_text(encoding="utf-8") for path in files)


def spellings(code: str) -> set[str]:
    """A code, and the name of its constant where the source has one (`NO_QEMU = "E0810"`)."""
    named = re.compile(rf'^([A-Z_]+) = "{code}"$', re.MULTILINE)
    files = (ROOT / "schedc").rglob("*.py")
    return {code}.union(*(named.findall(path.read_text(encoding="utf-8")) for path in files))


@pytest.mark.parametrize("code", [code for code, info in CODES.items() if not info.needs_policy])
def test_every_other_code_is_tested_somewhere(code: str) -> None:
    tested = any(re.search(rf"\b{name}\b", text_of_tests()) for name in spellings(code))
    assert tested, f"no test provokes {code}"


def test_every_code_that_the_source_names_is_registered() -> None:
    named: set[str] = set()
    lists = {"codes.py", "failure.py"}  # these name codes without giving any
    files = [path for path in (ROOT / "schedc").rglob("*.py") if path.name not in lists]
    for path in files:
        named.update(re.findall(r"[\"']([EWN]\d{4})[\"']", path.read_text(encoding="utf-8")))
    assert named <= set(CODES)
    assert set(CODES) <= named, "a code that nothing gives"
