"""Make the TextMate grammar from the grammar of the language: `python editors/generate.py`.

Input: the tables of `grammar/policy.lark`. Output: `editors/vscode/syntaxes/sched.tmLanguage.json`,
which VS Code and most other editors read. A test wants the file to be up to date, so that a keyword
of the grammar can't be forgotten here.
"""

from __future__ import annotations

import json
from pathlib import Path

from schedc.ir.facts import FACTS
from schedc.syntax import tables
from schedc.syntax.lex import SCOPES
from schedc.syntax.words import BLOCK_OF, FUNCTIONS, ITEM_VERBS

TARGET = Path(__file__).parent / "vscode" / "syntaxes" / "sched.tmLanguage.json"


def words(texts: set[str] | tuple[str, ...]) -> str:
    """A pattern for any of these words."""
    return r"\b(?:" + "|".join(sorted(texts)) + r")\b"


def grammar() -> str:
    """The text of the TextMate grammar."""
    fixed = {text for text in tables.load().fixed if text[0].isalpha()}
    verbs = set(ITEM_VERBS) | set(BLOCK_OF) | {"policy"}
    logic = {"and", "or", "not", "is", "when"}
    constants = {"true", "false"}
    facts = set(FACTS) - verbs
    functions = set(FUNCTIONS)
    rest = fixed - verbs - logic - constants - facts - functions
    patterns = [
        ("comment.line.number-sign", "#.*$"),
        ("constant.numeric", r"\b[0-9]+(?:(?:ns|us|ms|s)\b|%|\b)"),
        ("variable.other", rf"\b(?:{'|'.join(SCOPES)})\.[a-z][a-z0-9_]*\b"),
        ("keyword.control", rf"^\s*{words(verbs)}|(?<=\{{)\s*{words(tuple(BLOCK_OF))}"),
        ("support.function", words(functions) + r"(?=\s*\()"),
        ("keyword.operator.word", words(logic)),
        ("constant.language", words(constants)),
        ("support.constant", words(facts)),
        ("keyword.other", words(rest)),
        ("keyword.operator", r"\.\.|[<>=!+-]=|[-+*/<>=|]"),
    ]
    string = {
        "name": "string.quoted.double.sched", "begin": '"', "end": '"|$',
        "patterns": [{"name": "constant.character.escape.sched",
                      "match": r"\\(?:[\"\\nt]|x[0-9a-f]{2})"}],
    }  # fmt: skip
    document = {
        "name": "sched",
        "scopeName": "source.sched",
        "fileTypes": ["sched"],
        "patterns": [string]
        + [{"name": f"{scope}.sched", "match": pattern} for scope, pattern in patterns],
    }
    return json.dumps(document, indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(grammar(), encoding="utf-8")
    print(TARGET)
