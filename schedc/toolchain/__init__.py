"""C text to a BPF object: which compiler there is, how it is called, what its messages mean."""

from schedc.toolchain.compile import Compiled, compile_c
from schedc.toolchain.find import Compiler, find_compiler
from schedc.toolchain.mark import read_mark
from schedc.toolchain.target import Target, load_target

__all__ = [
    "Compiled", "Compiler", "Target", "compile_c", "find_compiler", "load_target",
    "read_mark",
]
