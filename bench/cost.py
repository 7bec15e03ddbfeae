"""What a policy costs in tokens: as a model would write it, and as sched_ext C.

Input: the shipped policies and the hand-written schedulers of this folder. Output: a table: tokens
of a reply in schedc's language, of the same policy as C, their ratio; and the size of the system
text. Method: one tokenizer for all (o200k_base, as the package `bpe-openai` carries it); both sides
without comments and blank lines; the C is what `schedc compile` writes, without its `#line` and
without the headers of `backends/bpf/include`, which a model would have to write or know as well.
The hand-written C is counted with the header of this folder; it does the same work, with less care
(no counters, no caps, no fallbacks for affinities).

    python -m bench.cost [--json]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from schedc.data import data_path
from schedc.pipeline import analyze, generate
from schedc.source import Source
from schedc.syntax.format import format_source
from schedc.synth.engine.llm import prompt

HERE = Path(__file__).parent

BY_HAND = {"fifo": "fifo.bpf.c", "fair": "fair.bpf.c", "bands": "bands.bpf.c"}
"""Schedulers written by hand that do what a shipped policy does."""


@dataclass(frozen=True)
class Cost:
    """Tokens of one policy; `by_hand` None if nobody wrote it in C."""

    policy: str
    reply: int
    generated: int
    by_hand: int | None

    @property
    def ratio(self) -> float:
        return self.generated / self.reply


def tokens(text: str) -> int:
    import bpe_openai

    return len(bpe_openai.get_encoding("o200k_base").encode(text))


def as_replied(source: Source) -> str:
    """A policy without comments and descriptions: as a model answers."""
    text = re.sub(r"(?m)^\s*#.*\n|\s+#[^\n\"]*$", "", source.text)
    text = re.sub(r'(?m)^(policy\s+\S+\s+\S+)\s*\n\s*"[^"\n]*"', r"\1", text)
    text = re.sub(r'(?m)^(tune\s[^"\n]*?)\s*"[^"\n]*"', r"\1", text)
    formatted, _ = format_source(Source.from_text(source.name, text))
    assert formatted is not None and analyze(Source.from_text("x", formatted)).policy is not None
    return without_blank_lines(formatted)


def as_c(text: str) -> str:
    """C without comments, directives of diagnostics and blank lines."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"(?m)^\s*//.*$|^#line .*$", "", text)
    return without_blank_lines(text)


def whole(path: Path) -> str:
    """A file of this folder with the header of this folder that it includes."""
    return path.read_text().replace('#include "common.h"', (HERE / "common.h").read_text())


def without_blank_lines(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())


def costs() -> list[Cost]:
    """Of every shipped policy."""
    found = []
    for path in sorted(data_path("stdlib_policies").glob("*.sched")):
        source, _ = Source.from_bytes(path.name, path.read_bytes())
        analysis = analyze(source)
        assert analysis.policy is not None
        c = generate(analysis.policy, source, sources=analysis.sources)
        by_hand = HERE / BY_HAND.get(path.stem, "-")
        found.append(Cost(
            path.stem, tokens(as_replied(source)), tokens(as_c(c)),
            tokens(as_c(whole(by_hand))) if by_hand.is_file() else None,
        ))  # fmt: skip
    return found


def prompt_tokens() -> dict[str, int]:
    """Of the system text with its parts, once a run."""
    return {"system": tokens(prompt.system(True)), "card": tokens(prompt.card()),
            "grammar": tokens(prompt.grammar())}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    every, sent = costs(), prompt_tokens()
    middle = statistics.median(one.ratio for one in every)
    if parser.parse_args().json:
        rows = [{**one.__dict__, "ratio": round(one.ratio, 2)} for one in every]
        print(json.dumps({"policies": rows, "median_ratio": round(middle, 2), "prompt": sent}))
        return
    print(f"{'policy':16} {'reply':>6} {'as C':>6} {'ratio':>6} {'by hand':>8} {'ratio':>6}")
    for one in every:
        hand = f"{one.by_hand:8} {one.by_hand / one.reply:6.1f}" if one.by_hand else ""
        print(f"{one.policy:16} {one.reply:6} {one.generated:6} {one.ratio:6.1f} {hand}".rstrip())
    whole = sum(one.generated for one in every) / sum(one.reply for one in every)
    print(f"\nmedian ratio {middle:.1f}, of all together {whole:.1f}")
    print("prompt: " + ", ".join(f"{name} {size}" for name, size in sent.items()))


if __name__ == "__main__":
    main()
