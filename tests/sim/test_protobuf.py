"""The wire format: every length of a varint, negative numbers, and what reads it back."""

from __future__ import annotations

import pytest

from schedc.sim.protobuf import chunk, integer, packed, text, varint


def read(data: bytes) -> int:
    """A varint by its definition."""
    assert all(byte & 128 for byte in data[:-1]) and not data[-1] & 128
    return sum((byte & 127) << 7 * place for place, byte in enumerate(data))


@pytest.mark.parametrize("bits", range(65))
def test_varints_around_every_power_of_two(bits: int) -> None:
    for value in {max(0, (1 << bits) - 1), min(1 << bits, 2**64 - 1), (1 << bits) * 5 // 7}:
        assert read(varint(value)) == value
        assert len(varint(value)) == max(1, -(-value.bit_length() // 7))


def test_negative_numbers_take_ten_bytes() -> None:
    assert len(varint(-1)) == 10
    assert read(varint(-5)) == 2**64 - 5


def test_fields() -> None:
    """The example of the encoding's description: field 1 = 150, field 2 = "testing"."""
    assert integer(1, 150) == bytes.fromhex("089601")
    assert text(2, "testing") == bytes.fromhex("120774657374696e67")
    assert packed(6, [3, 270, 86942]) == bytes.fromhex("3206038e029ea705")
    assert chunk(3, integer(1, 150)) == bytes.fromhex("1a03089601")
