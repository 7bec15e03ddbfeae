"""How generated C becomes an object: `backends/bpf/target.toml`, the one place that says it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from schedc.data import data_path, read_data
from schedc.records import dataclass

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Oldest compilers, their triples, the flags of both, and the folder of the headers."""

    clang_oldest: Version
    clang_triple: str
    zig_oldest: Version
    zig_triple: str
    flags: tuple[str, ...]
    include: Path


def load_target() -> Target:
    """Read the target's description; a wrong one is a broken installation and raises."""
    values = tomllib.loads(read_data("backends/bpf/target.toml"))
    return Target(
        version(str(values["clang"]["oldest"])),
        values["clang"]["triple"],
        version(str(values["zig"]["oldest"])),
        values["zig"]["triple"],
        tuple(values["flags"]["common"]),
        data_path("backends/bpf/include"),
    )


def version(text: str) -> Version:
    """`16.0.6` as a tuple; what follows the numbers (`-dev`, `git`) is left out."""
    numbers = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
