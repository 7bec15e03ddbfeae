"""C text to a BPF object: which compiler there is, how it is called, what its messages mean.

The names here are imported when they are first used: the loader, which is privileged, wants
`schedc.toolchain.mark` alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from schedc.toolchain.compile import Compiled, compile_c
    from schedc.toolchain.find import Compiler, find_compiler
    from schedc.toolchain.mark import read_mark
    from schedc.toolchain.target import Target, load_target

__all__ = [
    "Compiled", "Compiler", "Target", "compile_c", "find_compiler", "load_target",
    "read_mark",
]

_MODULES = {
    "Compiled": "compile", "compile_c": "compile", "Compiler": "find", "find_compiler": "find",
    "read_mark": "mark", "Target": "target", "load_target": "target",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
