"""Random texts along llguidance's masks: what a model could write under the grammar.

Input: a number. Output: a text that llguidance finished. The tokens are the 256 bytes and the words
that the grammar names, so that a walk takes either a whole word or any byte that the mask allows; a
real tokenizer does the same. The same number gives the same text.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import llguidance
from llguidance import LLMatcher, LLTokenizer

ROOT = Path(__file__).parents[2]
GRAMMAR = (ROOT / "grammar" / "policy.lark").read_text(encoding="utf-8")

PREFIX = "policy p 1.0.0\n"
_KEYWORDS = sorted(set(re.findall(r'"([a-z_0-9]+)"', GRAMMAR)))
_WORDS = (
    [word + " " for word in _KEYWORDS]
    + [f"{number} " for number in ("1", "64", "5ms", "100us", "20s", "30%")]
    + ["task.x ", "tune.y ", "let.z ", "cpu.n ", "q ", "c ", '"a*" ', "stdlib/fair@1 ", "1/4", ".."]
    + ["{ ", "} ", "( ", ") ", ", ", "| ", ": ", "\n", "# note\n", "= ", "+= ", "<= ", "== "]
)
_TOKENS = [bytes([byte]) for byte in range(256)] + [word.encode() for word in _WORDS] + [b"<end>"]
_END = len(_TOKENS) - 1
_BLANK = (_TOKENS.index(b"# note\n"), _TOKENS.index(b"\n", 256))
_WORD_MASK = sum(1 << token for token in range(256, _END) if token not in _BLANK)


class _Vocabulary:
    """What llguidance asks of a tokenizer."""

    eos_token_id = _END
    bos_token_id = None
    tokens = _TOKENS
    special_token_ids = (_END,)

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


_TOKENIZER = LLTokenizer(llguidance.TokenizerWrapper(_Vocabulary()))
_SPEC = llguidance.grammar_from("lark", GRAMMAR)
_IGNORED = re.compile(r"\A(?:[ \t\r\n]+|#[^\n]*(?:\n|\Z))+")
_FRESH = LLMatcher(_TOKENIZER, _SPEC)


def accepts(text: str) -> bool:
    """Whether llguidance takes all of a text, and lets it end there.

    It lets nothing that is ignored stand at the very beginning, so that a model can't dawdle there.
    """
    machine = _FRESH.deep_copy()
    tokens = list(_IGNORED.sub("", text).encode())
    return machine.try_consume_tokens(tokens) == len(tokens) and machine.is_accepting()


class Walker:
    """Makes texts; most begin behind a header, as it would be the same in each."""

    def __init__(self) -> None:
        self.begun = _FRESH.deep_copy()
        self.begun.consume_tokens(list(PREFIX.encode()))

    def text(self, seed: int, most: int = 60) -> str | None:
        """A finished text, or None if the walk got lost in a name, a string or an expression."""
        draw = random.Random(seed)
        whole = seed % 20 == 0
        machine = (_FRESH if whole else self.begun).deep_copy()
        out = bytearray(b"" if whole else PREFIX.encode())
        for _ in range(most):
            allowed = int.from_bytes(machine.compute_bitmask(), "little")
            if allowed >> _END & 1 and len(out) > len(PREFIX) and draw.random() < 0.4:
                return _decoded(out)
            token = _drawn(draw, allowed)
            if token == _END:
                return _decoded(out)
            machine.consume_token(token)
            out += _TOKENS[token]
        return _decoded(out) if machine.is_accepting() else None


def _drawn(draw: random.Random, allowed: int) -> int:
    """An allowed token: mostly a word, as bytes make names, white space and comments for ever."""
    words = allowed & _WORD_MASK
    if words and draw.random() < 0.9:
        while True:
            token = draw.randrange(256, _END)
            if words >> token & 1:
                return token
    return draw.choice([token for token in range(len(_TOKENS)) if allowed >> token & 1])


def _decoded(out: bytearray) -> str | None:
    try:
        return out.decode()
    except UnicodeDecodeError:
        return None
