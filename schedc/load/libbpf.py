"""libbpf by ctypes: objects, their programs, maps and constants.

Input: an object's bytes. Output: `Object`, with what libbpf knows of it. Invariant: every error is
a `LoadError` with errno in words; nothing stays attached once its `Link` is destroyed or the
process ends, unless it was pinned.

It is generic: `scheduler.py` loads schedulers with it, and the profiler's collector loads its own.
`NEEDED` and `library` (the library itself) are in `library.py`, types in `btf.py`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import c_char_p, c_size_t, c_uint32
from pathlib import Path
from typing import Any

from schedc.load.btf import Btf, Constant
from schedc.load.errors import BAD_SETTING, CANNOT_LOAD, LoadError
from schedc.load.library import NEEDED, Library, library, words
from schedc.records import dataclass

STRUCT_OPS = 26  # BPF_MAP_TYPE_STRUCT_OPS
PER_CPU = frozenset({5, 6, 10, 21})  # BPF_MAP_TYPE_PERCPU_HASH, _ARRAY, LRU_PERCPU_HASH, …

LOG_SIZE = 1 << 20
LOG_REASON = 4  # what is wrong and how much was looked at, not each instruction


class Map:
    """A map of an object; after `Object.load` it has a file descriptor."""

    def __init__(self, lib: Library, pointer: int) -> None:
        self._lib = lib
        self.pointer = pointer
        self.name = str(lib.call("bpf_map__name", pointer).decode("ascii", "replace"))
        self.type = int(lib.call("bpf_map__type", pointer))

    @property
    def fd(self) -> int:
        return int(self._lib.call("bpf_map__fd", self.pointer))

    @property
    def key_size(self) -> int:
        return int(self._lib.call("bpf_map__key_size", self.pointer))

    @property
    def value_size(self) -> int:
        return int(self._lib.call("bpf_map__value_size", self.pointer))

    @property
    def entries(self) -> int:
        return int(self._lib.call("bpf_map__max_entries", self.pointer))

    def resize(self, entries: int) -> None:
        """Before loading."""
        if self._lib.call("bpf_map__set_max_entries", self.pointer, entries):
            raise LoadError(CANNOT_LOAD, f"the map {self.name} can't hold {entries} entries")

    def initial(self) -> ctypes.Array[ctypes.c_char] | None:
        """The contents before loading, to be changed in place; None if it has none."""
        size = c_size_t()
        at = self._lib.call("bpf_map__initial_value", self.pointer, ctypes.addressof(size))
        return (ctypes.c_char * size.value).from_address(at) if at else None

    def _buffer(self) -> Any:
        size = self.value_size
        if self.type in PER_CPU:
            size = (size + 7) // 8 * 8 * self._lib.cpus()
        return ctypes.create_string_buffer(size)

    def lookup(self, key: bytes) -> bytes | None:
        """The value of a key. Of a per-cpu map, the values of all cpus, each filled to 8 bytes."""
        value = self._buffer()
        failed = self._lib.call("bpf_map_lookup_elem", self.fd, _bytes(key), value)
        return None if failed else value.raw

    def update(self, key: bytes, value: bytes) -> None:
        if self._lib.call("bpf_map_update_elem", self.fd, _bytes(key), _bytes(value), 0):
            raise LoadError(CANNOT_LOAD, f"{self.name}: {words(ctypes.get_errno())}")

    def delete(self, key: bytes) -> bool:
        return not self._lib.call("bpf_map_delete_elem", self.fd, _bytes(key))

    def keys(self) -> Iterator[bytes]:
        """All keys, at most twice as many as the map may hold (others may change it meanwhile)."""
        key, following = None, ctypes.create_string_buffer(self.key_size)
        for _ in range(2 * self.entries):
            if self._lib.call("bpf_map_get_next_key", self.fd, key, following):
                return
            yield following.raw
            key = _bytes(following.raw)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        for key in self.keys():
            value = self.lookup(key)
            if value is not None:
                yield key, value


def _bytes(data: bytes) -> Any:
    return ctypes.create_string_buffer(data, len(data))


@dataclass(frozen=True, slots=True)
class ProgramInfo:
    """verified: instructions that the verifier looked at; runs are counted only where the kernel
    is asked to (`count_runs`)."""

    verified: int
    run_cnt: int
    run_time_ns: int


class Program:
    """A program of an object, with its own buffer for what the verifier says."""

    def __init__(self, lib: Library, pointer: int) -> None:
        self._lib = lib
        self.pointer = pointer
        self.name = str(lib.call("bpf_program__name", pointer).decode("ascii", "replace"))
        section = lib.call("bpf_program__section_name", pointer)
        self.section = str(section.decode("ascii", "replace"))
        self._log: Any = None

    @property
    def fd(self) -> int:
        return int(self._lib.call("bpf_program__fd", self.pointer))

    @property
    def log(self) -> str:
        return self._log.value.decode("utf-8", "replace") if self._log is not None else ""

    def keep_log(self, level: int = LOG_REASON) -> None:
        self._log = ctypes.create_string_buffer(LOG_SIZE)
        self._lib.call("bpf_program__set_log_buf", self.pointer, self._log, LOG_SIZE)
        self._lib.call("bpf_program__set_log_level", self.pointer, level)

    def leave_out(self) -> None:
        """Don't load it with the others."""
        self._lib.call("bpf_program__set_autoload", self.pointer, False)

    def attach(self) -> Link:
        """Attach a tracing program where its section says."""
        pointer = self._lib.call("bpf_program__attach", self.pointer)
        if not pointer:
            raise LoadError(CANNOT_LOAD, f"{self.name} can't be attached: "
                            f"{words(ctypes.get_errno())}", notes=self._lib.said())  # fmt: skip
        return Link(self._lib, pointer)

    def info(self) -> ProgramInfo | None:
        """Offsets of `struct bpf_prog_info`, which are the kernel's ABI."""
        raw, size = ctypes.create_string_buffer(256), c_uint32(232)
        if self.fd < 0 or self._lib.call(
            "bpf_prog_get_info_by_fd", self.fd, raw, ctypes.addressof(size)
        ):
            return None
        number = int.from_bytes
        return ProgramInfo(
            number(raw.raw[216:220], "little"), number(raw.raw[200:208], "little"),
            number(raw.raw[192:200], "little"),
        )  # fmt: skip


class Link:
    """Something attached; it stays as long as the process holds it, or a file pins it."""

    def __init__(self, lib: Library, pointer: int) -> None:
        self._lib = lib
        self._pointer: int | None = pointer

    def pin(self, path: Path) -> None:
        if self._lib.call("bpf_link__pin", self._pointer, str(path).encode()):
            raise LoadError(CANNOT_LOAD, f"{path}: {words(ctypes.get_errno())}")

    def destroy(self) -> None:
        """Detach. Doing it twice is harmless."""
        pointer, self._pointer = self._pointer, None
        if pointer:
            self._lib.call("bpf_link__destroy", pointer)


class _OpenOptions(ctypes.Structure):
    _fields_ = [("sz", c_size_t), ("object_name", c_char_p)]


class Object:
    """An opened object. Use as a context: leaving it closes everything that isn't attached."""

    def __init__(
        self, data: bytes, name: str = "schedc", needed: tuple[int, int] = NEEDED
    ) -> None:
        self.lib = library(needed)
        self.lib.said()
        self._data = ctypes.create_string_buffer(data, len(data))  # libbpf reads it in place
        options = _OpenOptions(ctypes.sizeof(_OpenOptions), name.encode("ascii", "replace"))
        self._pointer: int | None = self.lib.call(
            "bpf_object__open_mem", ctypes.addressof(self._data), len(data),
            ctypes.addressof(options),
        )  # fmt: skip
        if not self._pointer:
            raise LoadError(
                CANNOT_LOAD, f"libbpf can't open the object: {words(ctypes.get_errno())}",
                notes=self.lib.said()[-6:],
            )  # fmt: skip
        self.programs = [Program(self.lib, p) for p in self._each("bpf_object__next_program")]
        self.maps = [Map(self.lib, p) for p in self._each("bpf_object__next_map")]
        for program in self.programs:
            program.keep_log()

    def __enter__(self) -> Object:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        pointer, self._pointer = self._pointer, None
        if pointer:
            self.lib.call("bpf_object__close", pointer)

    def _each(self, function: str) -> Iterator[int]:
        at = self.lib.call(function, self._pointer, None)
        while at:
            yield at
            at = self.lib.call(function, self._pointer, at)

    def map(self, name: str) -> Map | None:
        return next((one for one in self.maps if one.name == name), None)

    @property
    def btf(self) -> Btf | None:
        pointer = self.lib.call("bpf_object__btf", self._pointer)
        return Btf(self.lib, pointer) if pointer else None

    def constants(self, section: str = ".rodata") -> Constants:
        """The variables of a data section, to be set before loading."""
        found = next((one for one in self.maps if one.name.endswith(section)), None)
        data, btf = found.initial() if found else None, self.btf
        if data is None or btf is None:
            return Constants({}, None)
        return Constants(btf.variables(section), data)

    def load(self) -> None:
        """Give it to the kernel. A refusal carries the program's name and its log in the notes."""
        error = int(self.lib.call("bpf_object__load", self._pointer))
        if error:
            raise self._refusal(error, self.lib.said())

    def _refusal(self, error: int, said: tuple[str, ...]) -> LoadError:
        for program in self.programs:
            named = f"prog '{program.name}': BPF program load failed"
            if program.log.rstrip() and any(named in line for line in said):
                lines = tuple(program.log.rstrip().splitlines()[-8:])
                return Refusal(f"the verifier refused {program.name}", lines, error)
        return Refusal(f"the kernel did not take the object: {words(error)}", said[-8:], error)


class Refusal(LoadError):
    """The kernel's no to an object; `error` is the errno."""

    def __init__(self, message: str, notes: tuple[str, ...], error: int) -> None:
        super().__init__(CANNOT_LOAD, message, notes=notes)
        self.error = abs(error)


class Constants:
    """Read-only data before it is loaded. Values are written in the size that the object says."""

    def __init__(self, places: dict[str, Constant], data: Any) -> None:
        self.places = places
        self._data = data

    def __contains__(self, name: str) -> bool:
        return name in self.places

    def set(self, name: str, value: int) -> None:
        """Set a number; E0842 if there is none of this name, or it doesn't fit."""
        place = self.places.get(name)
        if place is None:
            raise LoadError(BAD_SETTING, f"the object has no constant named {name[:80]}")
        try:
            if place.size > 8:
                raise OverflowError
            data = value.to_bytes(place.size, "little", signed=place.signed)
        except OverflowError:
            raise LoadError(
                BAD_SETTING, f"{name[:80]} can't be set to {value} ({place.size} bytes)"
            ) from None
        self.write(name, 0, data)

    def write(self, name: str, offset: int, data: bytes) -> bool:
        """Put bytes into a variable; False if they don't fit there."""
        place = self.places.get(name)
        if place is None or offset < 0 or offset + len(data) > place.size:
            return False
        start = place.offset + offset
        if start + len(data) > len(self._data):
            return False
        self._data[start : start + len(data)] = data
        return True


def count_runs() -> int:
    """Have the kernel count runs and times of all BPF programs, as long as this descriptor is
    open; -1 if it won't."""
    return int(library().call("bpf_enable_stats", 0))
