"""The editors' grammar is made from the language's, and colours a policy as meant."""

import json
import re
import runpy
from pathlib import Path

from schedc.syntax import tables

EDITORS = Path(__file__).parents[2] / "editors"
MADE = runpy.run_path(str(EDITORS / "generate.py"))
DOCUMENT = json.loads(MADE["TARGET"].read_text(encoding="utf-8"))


def scope(line: str, word: str) -> str:
    """The first pattern that matches where `word` stands; editors try them in order."""
    at = line.index(word)
    for pattern in DOCUMENT["patterns"]:
        for hit in re.finditer(pattern.get("match", '"[^"]*"'), line):
            if hit.start() <= at < hit.end():
                return pattern["name"].removesuffix(".sched")
    return ""


def test_the_file_is_up_to_date() -> None:
    made = MADE["TARGET"].read_text(encoding="utf-8")
    assert made == MADE["grammar"](), "run python editors/generate.py"


def test_every_keyword_is_coloured() -> None:
    for word in tables.load().fixed:
        if word[0].isalpha() and word not in MADE["FUNCTIONS"]:
            assert scope(word, word), word


def test_colours() -> None:
    assert scope("  take own at most 20% every 40ms", "take") == "keyword.control"
    assert scope("take own at most 20% every 40ms", "20%") == "constant.numeric"
    assert scope("take own at most 20% every 40ms", "40ms") == "constant.numeric"
    assert scope("class c when burst < tune.short", "burst") == "support.constant"
    assert scope("class c when burst < tune.short", "tune.short") == "variable.other"
    assert scope("class c when max(burst, ran) < 1ms", "max") == "support.function"
    assert scope('class c when comm "nginx"', "nginx") == "string.quoted.double"
    assert scope("dispatch { take all }", "take") == "keyword.control"


def test_the_package_names_files_that_exist() -> None:
    package = json.loads((EDITORS / "vscode" / "package.json").read_text(encoding="utf-8"))
    parts = package["contributes"]
    for path in (parts["languages"][0]["configuration"], parts["grammars"][0]["path"]):
        json.loads((EDITORS / "vscode" / path).read_text(encoding="utf-8"))
    assert parts["grammars"][0]["scopeName"] == DOCUMENT["scopeName"]
