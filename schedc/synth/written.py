"""The winner as a policy of its own: values of tunables written into the text, and a name.

Input: a candidate, and what it is for. Output: the text of a policy. Invariant: it decides exactly
as the candidate did under its settings, so what was measured is what is kept; a candidate that
changed nothing of a policy of the library stays that policy, name and all.
"""

from __future__ import annotations

import re

from schedc.pipeline import analyze
from schedc.source import Source
from schedc.syntax import tree
from schedc.syntax.format import format_source
from schedc.synth.messages import Candidate

_HEADER = re.compile(
    r"(?m)^(policy)\s+([a-z][a-z0-9_]*)\s+([0-9]+\.[0-9]+\.[0-9]+)(\s*\n\s*\"[^\"\n]*\")?"
)
_GOAL = re.compile(r"(?m)^goal[ \t][^\n#]*")


def written(candidate: Candidate, name: str, description: str, kind: str = "") -> str:
    """The candidate's text with its tunables' values as defaults, under `name` version 1.0.0;
    `kind`: the word of its `goal` line, empty to leave that as it is."""
    text = _with_tunes(candidate)
    goals = 0
    if kind:
        text, goals = _GOAL.subn(f"goal {kind}", text, count=1)
    plain = re.sub(r"[^ -!#-\[\]-~]", " ", description)[:100]
    header = f'policy {name} 1.0.0\n"{plain}"'
    if kind and not goals:
        header += f"\ngoal {kind}"
    renamed, count = _HEADER.subn(lambda _: header, text, count=1)
    formatted, _ = format_source(Source.from_text(f"{name}.sched", renamed if count else text))
    return formatted if formatted is not None else renamed


def _with_tunes(candidate: Candidate) -> str:
    if not candidate.tunes:
        return candidate.text
    source = Source.from_text("candidate.sched", candidate.text)
    analysis = analyze(source)
    edits: list[tuple[int, int, str]] = []
    missing = dict(candidate.tunes)
    for item in analysis.tree.items:
        if isinstance(item, tree.Tune) and item.name.text in missing:
            value = missing.pop(item.name.text)
            edits.append((item.value.span.start, item.value.span.end, value))
    text = source.text
    for start, end, value in sorted(edits, reverse=True):
        text = text[:start] + value + text[end:]
    # The others are declared in what the policy extends: declared anew, with the same range.
    for base in analysis.sources.values():
        for item in analyze(base).tree.items:
            if isinstance(item, tree.Tune) and item.name.text in missing:
                start, end = item.value.span.start, item.value.span.end
                value = missing.pop(item.name.text)
                text += "\n" + base.text[item.span.start : start] + value
                text += base.text[end : item.span.end] + "\n"
    return text
