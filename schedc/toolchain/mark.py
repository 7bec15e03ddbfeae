"""What an object says of its proof: the text of its section `schedc`.

Input: an object's bytes, any bytes whatever. Output: `proof SHA256`, `unproven`, or None if there
is no such section. Invariant: reads headers only, needs no libbpf, and never raises: what isn't a
whole 64-bit little-endian ELF has no mark.

The mark is made before the object, over the policy, the parameters and the obligations (see
`schedc.prove.certificate`); the certificate then binds the object's own bytes.
"""

from __future__ import annotations

import struct

SECTION = "schedc"
UNPROVEN = "unproven"

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_MAX_SECTIONS = 4096


def proof_mark(identity: str) -> str:
    """The mark of an object whose proof has this sha256."""
    return f"proof {identity}"


def read_mark(data: bytes) -> str | None:
    """The mark of an object."""
    text = _section(data, SECTION)
    if text is None:
        return None
    mark = text.rstrip(b"\0").decode("ascii", "replace")
    return mark if mark == UNPROVEN or mark.startswith("proof ") else None


def _section(data: bytes, wanted: str) -> bytes | None:
    """The contents of the section of this name."""
    try:
        if data[:6] != b"\x7fELF\x02\x01":
            return None
        header = _HEADER.unpack_from(data)
        offset, size, count, names = header[6], header[11], header[12], header[13]
        if size != _SECTION.size or count > _MAX_SECTIONS:
            return None
        sections = [_SECTION.unpack_from(data, offset + i * size) for i in range(count)]
        strings = _contents(data, sections[names])
    except (struct.error, IndexError):
        return None
    for section in sections:
        if strings[section[0] :].split(b"\0", 1)[0] == wanted.encode():
            return _contents(data, section)
    return None


def _contents(data: bytes, section: tuple[int, ...]) -> bytes:
    start, length = section[4], section[5]
    return data[start : start + length]
