"""The parser's tables: made from `grammar/policy.lark` by Lark, kept as JSON beside it.

Input: the grammar, and `grammar/policy.tables.json`. Output: `Tables`, the LALR automaton that
`schedc.syntax.machine` runs. Invariant: tables are used only if they carry the checksum of the
grammar that is there; otherwise they are made anew, which needs Lark and half a second.

Importing Lark and compiling the grammar takes 0.7 s, reading the JSON 4 ms; `schedc check` has to
start within 0.2 s. The file is data (no pickle, no cache directory that somebody else could write
to) and `python -m schedc.syntax.tables` renews it; a test wants it renewed.

Terminals of a fixed text are called by that text ("queue", "<="), the others by their name in the
grammar (NAME, REF, TIME, …). No text of the first kind has a capital letter, so they can't clash.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from typing import Any

from schedc.data import data_path, data_root
from schedc.records import dataclass

GRAMMAR = "grammar/policy.lark"
TABLES = "grammar/policy.tables.json"
FORMAT = 1
END = "$END"


@dataclass(frozen=True, slots=True)
class Rule:
    """`head: body`; `action` names what is built, and is empty for a rule that only hands on."""

    head: str
    action: str
    length: int


@dataclass(frozen=True, slots=True)
class Tables:
    """An LALR(1) automaton. An action s >= 0 shifts and goes to state s; -r-1 reduces by rule r."""

    rules: tuple[Rule, ...]
    actions: tuple[dict[str, int], ...]
    gotos: tuple[dict[str, int], ...]
    start: int
    end: int
    fixed: frozenset[str]
    """Terminals of a fixed text: keywords, operators, punctuation."""


@cache
def load() -> Tables:
    """The tables of the grammar that is installed."""
    checksum = zlib.crc32(data_path(GRAMMAR).read_bytes())
    stored = data_root() / TABLES
    if stored.is_file():
        document = json.loads(stored.read_text(encoding="utf-8"))
        if document["format"] == FORMAT and document["grammar_crc32"] == checksum:
            return _from_document(document)
    return _from_document(json.loads(generate()))


def _from_document(document: dict[str, Any]) -> Tables:
    return Tables(
        rules=tuple(Rule(*rule) for rule in document["rules"]),
        actions=tuple(state[0] for state in document["states"]),
        gotos=tuple(state[1] for state in document["states"]),
        start=document["start"],
        end=document["end"],
        fixed=frozenset(document["fixed"]),
    )


def generate() -> str:
    """The text of the JSON file; the same grammar and the same Lark give the same bytes."""
    import lark

    text = data_path(GRAMMAR).read_text(encoding="utf-8")
    parser = lark.Lark(text, parser="lalr", lexer="contextual", strict=True, start="start")
    fixed = {t.name: t.pattern.value for t in parser.terminals if t.pattern.type == "str"}
    ordered = sorted(parser.rules, key=lambda rule: (rule.origin.name, str(rule.expansion)))
    numbers = {rule: number for number, rule in enumerate(ordered)}
    table: Any = parser.parser.parser._parse_table
    start, end = table.start_states["start"], table.end_states["start"]
    order = _canonical_order(table.states, start)
    states: list[tuple[dict[str, int], dict[str, int]]] = []
    for state in order:
        actions: dict[str, int] = {}
        gotos: dict[str, int] = {}
        for symbol, (action, argument) in sorted(table.states[state].items()):
            if action.name == "Reduce":
                actions[fixed.get(symbol, symbol)] = -numbers[argument] - 1
            elif symbol in fixed or symbol.isupper() or symbol == END:
                actions[fixed.get(symbol, symbol)] = order[argument]
            else:
                gotos[symbol] = order[argument]
        states.append((actions, gotos))
    header = {
        "format": FORMAT,
        "grammar_crc32": zlib.crc32(data_path(GRAMMAR).read_bytes()),
        "lark": lark.__version__,
        "start": order[start],
        "end": order[end],
        "fixed": sorted(fixed.values()),
    }
    rules = [[rule.origin.name, _action(rule), len(rule.expansion)] for rule in ordered]
    return _one_line_each(header, rules, states)


def _canonical_order(states: dict[Any, dict[str, Any]], start: Any) -> dict[Any, int]:
    """Number the states as a walk from `start` meets them: Lark's own numbers may vary."""
    order = {start: 0}
    queue = [start]
    for state in queue:
        for _, (action, argument) in sorted(states[state].items(), key=lambda entry: entry[0]):
            if action.name == "Shift" and argument not in order:
                order[argument] = len(order)
                queue.append(argument)
    return order


def _action(rule: Any) -> str:
    """What `actions.py` calls the rule: its alias or name; "" hands its only part on."""
    if rule.alias:
        return str(rule.alias)
    if rule.options.expand1 and len(rule.expansion) == 1:
        return ""
    return str(rule.origin.name)


def _one_line_each(header: dict[str, Any], rules: list[Any], states: list[Any]) -> str:
    """JSON with one rule or state a line, so that a change of the grammar shows as a small diff."""
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in header.items()]
    for key, entries in (("rules", rules), ("states", states)):
        body = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
        lines.append(f'"{key}": [\n{body}\n]')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Write the JSON file anew."""
    target = data_root() / TABLES
    target.write_text(generate(), encoding="utf-8")
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
