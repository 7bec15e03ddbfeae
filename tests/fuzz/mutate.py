"""Hostile sources, reproducible from a number.

Input: a seed. Output: bytes. `source(seed)` is a policy of the library with a few mutations, or
noise made of tokens, characters or bytes. The same seed gives the same bytes on every machine.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

_TOKEN = re.compile(rb"[A-Za-z_][\w.]*|\d+\w*%?|\s+|[^\w\s]")

_HOSTILE = [
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[2J", "\u202e".encode(), "\u2028".encode(),
    "漢字".encode(), b"\r", b"\r\n", b"\\", b"'", b'"', b'"""', b"*/", b"/*", b"#", b"`", b"%s%n",
    b"${x}", b"{{ 7*7 }}", b"9" * 400, b"-9223372036854775808", b"18446744073709551616ns", b"0",
    b"1.5ms", b"-", b"--1", b"..", b"1..", b"..1", b"(" * 50, b")" * 50, b"((" * 2000, b"{" * 40,
    b"}" * 40, b"not " * 300, b"-" * 300, b"a" * 5000, b"min(" * 60, b"x.y.z", b"task.", b".",
    b"int", b"if", b"__builtin_trap", b"class", b"task.used", b"1/0", b"1/1", b"100000h", b"1s",
]


@cache
def corpus() -> tuple[bytes, ...]:
    """Policies to mutate: the library's, the examples and the cases of `tests/ui`."""
    folders = ("stdlib_policies", "examples", "tests/ui")
    files = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.sched"))
    return tuple(path.read_bytes() for path in files if path.stat().st_size < 20_000)


@cache
def words() -> tuple[bytes, ...]:
    """Every token of the grammar's keywords and of the corpus."""
    grammar = (ROOT / "grammar" / "policy.lark").read_bytes()
    found = set(re.findall(rb'"([^"\s]+)"', grammar))
    for text in corpus():
        found.update(token for token in _TOKEN.findall(text) if token.strip())
    return tuple(sorted(found))


def source(seed: int) -> bytes:
    """The source of a number."""
    rng = random.Random(seed)
    kind = rng.random()
    if kind < 0.05:
        return rng.randbytes(rng.randrange(0, 400))
    if kind < 0.15:
        return b" ".join(_any_word(rng) for _ in range(rng.randrange(1, 120)))
    data = rng.choice(corpus())
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8, 30))):
        data = rng.choice(_MUTATIONS)(rng, data)
    return data[:70_000]


def _any_word(rng: random.Random) -> bytes:
    return rng.choice(_HOSTILE) if rng.random() < 0.1 else rng.choice(words())


def _place(rng: random.Random, data: bytes) -> int:
    return rng.randrange(len(data) + 1)


def _flip(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + rng.choice((1, 2, 5, 40, 400)) :]


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: _place(rng, data)]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + _any_word(rng) + data[at:]


def _replace_token(rng: random.Random, data: bytes) -> bytes:
    tokens = _TOKEN.findall(data)
    solid = [at for at, token in enumerate(tokens) if token.strip()]
    if solid:
        tokens[rng.choice(solid)] = _any_word(rng)
    return b"".join(tokens)


def _swap_tokens(rng: random.Random, data: bytes) -> bytes:
    tokens = _TOKEN.findall(data)
    if len(tokens) > 1:
        one, two = rng.randrange(len(tokens)), rng.randrange(len(tokens))
        tokens[one], tokens[two] = tokens[two], tokens[one]
    return b"".join(tokens)


def _lines(rng: random.Random, data: bytes) -> bytes:
    """Move, repeat or drop a line: the structure suffers more than the syntax."""
    lines = data.split(b"\n")
    line = lines.pop(rng.randrange(len(lines)))
    for _ in range(rng.choice((0, 1, 1, 2, 50))):
        lines.insert(rng.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def _splice(rng: random.Random, data: bytes) -> bytes:
    other = rng.choice(corpus())
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def _number(rng: random.Random, data: bytes) -> bytes:
    """Another number at the place of one: ranges, overflows, zero divisors."""
    found = list(re.finditer(rb"\d+", data))
    if not found:
        return data
    match = rng.choice(found)
    value = rng.choice((0, 1, 31, 64, 100, 101, 1025, 2**31, 2**63, 2**64, 10**30))
    return data[: match.start()] + b"%d" % value + data[match.end() :]


_MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip, _cut, _truncate, _insert, _replace_token, _replace_token, _swap_tokens, _lines,
    _lines, _splice, _number, _number,
)
