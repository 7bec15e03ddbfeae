"""Type information (BTF) of an object or of the kernel, read through libbpf.

Input: libbpf's pointer to it. Output: names, offsets and values. Invariant: a name that isn't there
gives an empty answer, never an error.
"""

from __future__ import annotations

from ctypes import c_uint32
from typing import Any

from schedc.load.library import Library, library
from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    """Where a variable of a section lies, in bytes, and whether it is a signed number."""

    offset: int
    size: int
    signed: bool


INT, STRUCT, ENUM, TYPEDEF, VAR, DATASEC, ENUM64 = 1, 4, 6, 8, 14, 15, 19
_MODIFIERS = frozenset({8, 9, 10, 11, 18})  # typedef, volatile, const, restrict, type_tag


class Btf:
    """Type information: an object's, or the kernel's."""

    def __init__(self, lib: Library, pointer: int) -> None:
        self._lib = lib
        self.pointer = pointer

    def find(self, name: str, kind: int) -> int:
        """The id of a type; 0 if there is none."""
        found = int(self._lib.call("btf__find_by_name_kind", self.pointer, name.encode(), kind))
        return max(found, 0)

    def fields(self, id_: int, width: int) -> tuple[int, int, int, Any]:
        """A type's kind, number of elements, size (or type), and its elements of `width` words."""
        at = self._lib.call("btf__type_by_id", self.pointer, id_)
        if not at:
            return 0, 0, 0, ()
        _, info, size = (c_uint32 * 3).from_address(at)
        kind, count = info >> 24 & 0x1F, info & 0xFFFF
        return kind, count, size, (c_uint32 * (count * width)).from_address(at + 12)

    def name(self, id_: int) -> str:
        at = self._lib.call("btf__type_by_id", self.pointer, id_)
        return self.text(c_uint32.from_address(at).value) if at else ""

    def text(self, offset: int) -> str:
        raw = self._lib.call("btf__name_by_offset", self.pointer, offset)
        return raw.decode("utf-8", "replace") if raw else ""

    def variables(self, section: str) -> dict[str, Constant]:
        """The variables of a data section."""
        _, count, _, infos = self.fields(self.find(section, DATASEC), 3)
        found = {}
        for i in range(count):
            id_, offset, size = infos[3 * i : 3 * i + 3]
            found[self.name(id_)] = Constant(offset, size, self._signed(id_))
        return found

    def _signed(self, id_: int) -> bool:
        kind, _, inner, _ = self.fields(id_, 0)
        for _ in range(32):
            if kind != VAR and kind not in _MODIFIERS:
                break
            id_ = inner
            kind, _, inner, _ = self.fields(id_, 0)
        if kind != INT:
            return False
        at = self._lib.call("btf__type_by_id", self.pointer, id_)
        return bool(c_uint32.from_address(at + 12).value >> 24 & 1)

    def member(self, struct: str, name: str) -> int:
        """Where a member of a struct lies, in bytes; -1 if it has none."""
        _, count, _, members = self.fields(self.find(struct, STRUCT), 3)
        for i in range(count):
            if self.text(members[3 * i]) == name:
                return int(members[3 * i + 2] & 0xFFFFFF) // 8
        return -1

    def values(self, enum: str) -> dict[str, int]:
        """The names of an enumeration."""
        if id_ := self.find(enum, ENUM64):
            _, count, _, parts = self.fields(id_, 3)
            return {self.text(parts[3 * i]): parts[3 * i + 1] | parts[3 * i + 2] << 32
                    for i in range(count)}  # fmt: skip
        _, count, _, parts = self.fields(self.find(enum, ENUM), 2)
        return {self.text(parts[2 * i]): int(parts[2 * i + 1]) for i in range(count)}


def kernel_btf() -> Btf | None:
    """The running kernel's types. Reading them takes a part of a second."""
    lib = library()
    pointer = lib.call("btf__load_vmlinux_btf")
    return Btf(lib, pointer) if pointer else None
