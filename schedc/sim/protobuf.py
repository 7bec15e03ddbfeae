"""Writing Protocol Buffers messages, as far as traces need it.

Input: field numbers and values. Output: the bytes of a message. Invariant: what is written parses
by the wire format with any schema that has these fields; signed values are written as int64
(sign-extended to ten bytes), as proto's int32 and int64 want it.

The encoding has two ways to write a value that matter here: a varint (seven bits a byte, the
lowest first, the top bit set on all but the last) and a length followed by so many bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

_SHORT = tuple(bytes([value]) for value in range(128))
_PAIRS = tuple(bytes([value & 127 | 128, value >> 7 | 128]) for value in range(1 << 14))
"""Two bytes of a varint that goes on after them: most of a trace are times of five or six bytes."""


def varint(value: int) -> bytes:
    """An integer of -2**63..2**64-1."""
    if 0 <= value < 128:
        return _SHORT[value]
    value &= (1 << 64) - 1
    out = b""
    while value >= 1 << 14:
        out += _PAIRS[value & 0x3FFF]
        value >>= 14
    if value < 128:
        return out + _SHORT[value]
    return out + bytes((value & 127 | 128, value >> 7))


def integer(number: int, value: int) -> bytes:
    """A field that is an integer, a boolean or an enum."""
    return varint(number << 3) + varint(value)


def chunk(number: int, value: bytes) -> bytes:
    """A field that is bytes, or a message that was written before."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def text(number: int, value: str) -> bytes:
    """A field that is a string."""
    return chunk(number, value.encode("utf-8", "replace"))


def packed(number: int, values: Iterable[int]) -> bytes:
    """A repeated field of integers, in one piece."""
    return chunk(number, b"".join(map(varint, values)))
