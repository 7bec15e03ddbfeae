"""The language's pages: their policies compile, nothing is missing, nothing is out of date."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from schedc.cli.explain import entry
from schedc.diagnostics.render import Format, render
from schedc.ir.facts import FACTS
from schedc.ir.nodes import EVENTS, Kind
from schedc.pipeline import analyze
from schedc.source import Source
from schedc.syntax.parse import parse

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "language"
PAGES = sorted(FOLDER.glob("*.md"))

PART = re.compile(r"^```sched part\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sched *([EW]\d{4})?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(match[1], match[2], id=f"{page.stem}-{index}")
    for page in PAGES
    for index, match in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize(("code", "text"), BLOCKS)
def test_a_policy_in_the_docs(code: str | None, text: str) -> None:
    """Clean, or the code that the block announces."""
    source = Source.from_text("page", text)
    found = analyze(source).diagnostics
    if code is None:
        assert render(found, source, Format.full) == ""
    else:
        assert [one.code for one in found] == [code]


PARTS = [
    pytest.param(match[1], id=f"{page.stem}-{index}")
    for page in PAGES
    for index, match in enumerate(PART.finditer(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("text", PARTS)
def test_a_part_of_a_policy_in_the_docs(text: str) -> None:
    """What isn't a whole policy is at least syntax."""
    _, found = parse(Source.from_text("page", f"policy part 1.0.0\n{text}"))
    assert found == ()


SHOWN = [
    pytest.param(match[1], match[2], id=f"{page.stem}-{index}")
    for page in PAGES
    for index, match in enumerate(
        re.finditer(
            r"^```sched [EW]\d{4}\n(.*?)^```\n\n```text\n(.*?)^```$",
            page.read_text(encoding="utf-8"),
            re.MULTILINE | re.DOTALL,
        )
    )
]


@pytest.mark.parametrize(("text", "output"), SHOWN)
def test_the_messages_in_the_docs_are_the_real_ones(text: str, output: str) -> None:
    name = text.split()[1]
    source = Source.from_text(f"{name}.sched", text)
    assert render(analyze(source).diagnostics, source, Format.full).rstrip() == output.rstrip()


def test_messages_are_shown() -> None:
    assert SHOWN


def test_the_card_has_three_policies() -> None:
    assert len(BLOCK.findall((FOLDER / "card.md").read_text(encoding="utf-8"))) == 3


def keywords() -> set[str]:
    """Every word that the grammar spells out."""
    grammar = re.sub(r"//.*", "", (ROOT / "grammar" / "policy.lark").read_text(encoding="utf-8"))
    return set(re.findall(r'"([a-z][a-z0-9_]*)"', grammar))


# Words that mean something only beside another one, under whose entry they are explained.
PART_OF = {"at": "at most", "most": "at most", "by": "by vtime", "vtime": "by vtime",
           "moment": "by moment", "is": "class is", "of": "state", "in": "state"}  # fmt: skip


@pytest.mark.parametrize("word", sorted(keywords() | set(FACTS) | set(EVENTS)))
def test_every_word_is_explained(word: str) -> None:
    text = entry(PART_OF.get(word, word))
    assert text is not None
    assert word in text


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_every_type_is_explained(kind: str) -> None:
    assert entry(kind) is not None


@pytest.mark.parametrize("word", sorted(keywords() | set(FACTS) | set(EVENTS)))
def test_the_card_mentions_every_word(word: str) -> None:
    card = (FOLDER / "card.md").read_text(encoding="utf-8")
    assert re.search(rf"(?<![a-z_]){re.escape(word)}(?![a-z_])", card)


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generator().regenerated(text) == text, "run `python docs/generate.py`"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
