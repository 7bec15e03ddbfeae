"""The shared library libbpf: finding it, its functions' types, what it says.

Input: the system's libbpf.so.1. Output: `Library`. Invariant: one older than `NEEDED` is refused by
name; it prints nothing (its messages are collected, bounded); errno is per call.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any

from schedc.load.errors import NO_LIBBPF, LoadError

NEEDED = (1, 4)
"""Older ones don't match members of `sched_ext_ops` by name; 1.1 can't do `.struct_ops.link`."""

MAX_MESSAGES = 16384
_WARNING_AND_INFO = (0, 1)

_PRINTER = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)

# name -> (result, arguments); `p` a pointer, `s` a string, `i` an int, `u` a u32, `z` a size.
_SIGNATURES = {
    "libbpf_num_possible_cpus": "i",
    "bpf_object__open_mem": "ppzp",
    "bpf_object__load": "ip",
    "bpf_object__close": " p",
    "bpf_object__btf": "pp",
    "bpf_object__next_program": "ppp",
    "bpf_object__next_map": "ppp",
    "bpf_program__name": "sp",
    "bpf_program__section_name": "sp",
    "bpf_program__fd": "ip",
    "bpf_program__set_autoload": "ipb",
    "bpf_program__set_log_buf": "ippz",
    "bpf_program__set_log_level": "ipu",
    "bpf_program__attach": "pp",
    "bpf_map__name": "sp",
    "bpf_map__fd": "ip",
    "bpf_map__type": "ip",
    "bpf_map__key_size": "up",
    "bpf_map__value_size": "up",
    "bpf_map__max_entries": "up",
    "bpf_map__set_max_entries": "ipu",
    "bpf_map__initial_value": "ppp",
    "bpf_map__attach_struct_ops": "pp",
    "bpf_map_lookup_elem": "iipp",
    "bpf_map_update_elem": "iippU",
    "bpf_map_delete_elem": "iip",
    "bpf_map_get_next_key": "iipp",
    "bpf_link__destroy": "ip",
    "bpf_link__fd": "ip",
    "bpf_link__pin": "ips",
    "bpf_enable_stats": "ii",
    "bpf_prog_get_info_by_fd": "iipp",
    "btf__load_vmlinux_btf": "p",
    "btf__free": " p",
    "btf__find_by_name_kind": "ipsu",
    "btf__type_by_id": "ppu",
    "btf__name_by_offset": "spu",
    "btf__type_cnt": "up",
}
_TYPES: dict[str, Any] = {
    "p": c_void_p, "s": c_char_p, "i": c_int, "u": c_uint32, "z": c_size_t, "b": c_bool,
    "U": c_uint64, " ": None,
}  # fmt: skip


def words(number: int) -> str:
    """An errno, positive or negative, in words."""
    number = abs(number)
    if number == 524:  # ENOTSUPP, the kernel's own; libc has no word for it
        return "not supported by the kernel (524)"
    return os.strerror(number) if number else "unknown error"


class Library:
    """The loaded libbpf. `version` is (major, minor); `messages` what it said, bounded."""

    def __init__(self, handle: ctypes.CDLL, version: tuple[int, int]) -> None:
        self._handle = handle
        self.version = version
        self.messages: list[str] = []
        self._said = 0
        for name, signature in _SIGNATURES.items():
            function = getattr(handle, name, None)
            if function is None:
                continue  # newer than this library: it's missed when it is called
            function.restype = _TYPES[signature[0]]
            function.argtypes = [_TYPES[one] for one in signature[1:]]
        self._libc = ctypes.CDLL(None)
        self._printer = _PRINTER(self._print)
        handle.libbpf_set_print(self._printer)

    def call(self, name: str, *arguments: Any) -> Any:
        """A function of libbpf; errno is in `ctypes.get_errno()` afterwards."""
        ctypes.set_errno(0)
        return getattr(self._handle, name)(*arguments)

    def cpus(self) -> int:
        """How many cpus there may ever be: the length of a per-cpu value."""
        return max(int(self.call("libbpf_num_possible_cpus")), 1)

    def said(self) -> tuple[str, ...]:
        """What libbpf said since the last call."""
        lines = "".join(self.messages).splitlines()
        self.messages.clear()
        self._said = 0
        return tuple(line for line in lines if line.strip())

    def _print(self, level: int, format_: bytes, arguments: int | None) -> int:
        """libbpf's printer. On every machine that schedc supports a `va_list` is passed on as the
        pointer that it arrives as."""
        if level not in _WARNING_AND_INFO or self._said > MAX_MESSAGES:
            return 0
        line = ctypes.create_string_buffer(2048)
        self._libc.vsnprintf(line, c_size_t(len(line)), c_char_p(format_), c_void_p(arguments))
        text = line.value.decode("utf-8", "replace")
        # Sections that libbpf only remarks on: of zig, and the one with an object's mark.
        if ".eh_frame" not in text and "skipping unrecognized data section" not in text:
            self.messages.append(text)
            self._said += len(text)
        return 0


@cache
def library(needed: tuple[int, int] = NEEDED) -> Library:
    """libbpf, if it is there and new enough; E0834 otherwise. Schedulers need `NEEDED`, tracing
    programs less."""
    try:
        handle = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as missing:
        raise LoadError(
            NO_LIBBPF, "libbpf can't be loaded", notes=(str(missing)[:200],),
            help=f"install libbpf1 {_dotted(needed)} or later; bpftool can stand in for schedulers",
        ) from missing
    version = (int(handle.libbpf_major_version()), int(handle.libbpf_minor_version()))
    if version < needed:
        raise LoadError(
            NO_LIBBPF, f"libbpf is version {_dotted(version)}; {_dotted(needed)} is needed",
            notes=("an older one can't attach a sched_ext scheduler (error 524)",),
            help=f"install libbpf1 {_dotted(needed)} or later (Debian 13 has 1.5)",
        )
    return Library(handle, version)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
