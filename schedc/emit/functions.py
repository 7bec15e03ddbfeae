"""C functions around the policy's expressions, and where their lines come from.

Input: a name and a body of C that speaks of `p`, `t`, `cpu`, `now`, `ran` and of the objects of a scope. Output: a `Function`
whose parameters are just those that the body mentions, with the scope's objects declared at its top, and the text
that calls it. Since every caller uses the same names for the same things, a call is the parameters' names.

Lines that come from the policy are wrapped by `from_policy`; `resolve_lines` turns the wrapping into `#line`, so that
messages of clang and of the kernel's verifier name lines of the policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from schedc.source import Span

PARAMETERS = {
    "cls": "u32 cls",
    "p": "struct task_struct *p",
    "t": "struct task_ctx *t",
    "cpu": "s32 cpu",
    "now": "u64 now",
    "ran": "s64 ran",
    "enq_flags": "u64 enq_flags",
    "selected": "bool selected",
}

_LOCALS = {
    "c": "struct cpu_ctx *c = &cpu_ctx[cpu_index(cpu)];",
    "llc": "u32 llc = llc_of(cpu);",
    "node": "u32 node = node_of(cpu);",
    "slot": "u32 slot = cgroup_slot(p);",
    "m": "struct comm_state *m = comm_state(p);",
}

_BEGIN, _END = "\x01", "\x02"
Locate = Callable[[Span], tuple[str, int]]


def mentions(text: str, name: str) -> bool:
    """Whether C text speaks of `name` as a word of its own, comments and member names left out."""
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.search(rf"(?<![\w.>]){name}\b", bare) is not None


@dataclass(frozen=True, slots=True)
class Function:
    """`text` is the definition, `call` an expression that calls it; both empty where nothing is to be done."""

    name: str
    parameters: tuple[str, ...]
    text: str

    @property
    def call(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


def declarations(body: str, known: Iterable[str] = ()) -> list[str]:
    """Declarations of the scopes' objects that a body mentions and that are not `known` to it."""
    return [text for name, text in _LOCALS.items() if name not in known and mentions(body, name)]


def function(name: str, returns: str, body: Iterable[str]) -> Function:
    """A static function made of the lines of `body`."""
    text = "\n".join(body)
    local = declarations(text)
    top = "\n".join(f"\t{line}" for line in local)
    whole = f"{top}\n\n{text}" if top else text
    parameters = tuple(p for p in PARAMETERS if mentions(whole, p))
    listed = ", ".join(PARAMETERS[p] for p in parameters) or "void"
    head = f"static __always_inline {returns} {name}({listed})"
    return Function(name, parameters, f"{head}\n{{\n{whole}\n}}\n")


def from_policy(span: Span, locate: Locate, lines: Iterable[str]) -> list[str]:
    """The lines, marked as coming from the policy's line that `span` begins on."""
    file, line = locate(span)
    return [f"{_BEGIN}{file}:{line}", *lines, _END]


def resolve_lines(text: str, c_file: str) -> str:
    """Turn marks into `#line` directives: to the policy at a mark, back to the C file after it."""
    out: list[str] = []
    for line in text.split("\n"):
        if line.startswith(_BEGIN):
            file, number = line[1:].rsplit(":", 1)
            out.append(f'#line {number} "{file}"')
        elif line.startswith(_END):
            # The directive names the line after itself; lines of `out` are counted from 1.
            out.append(f'#line {len(out) + 2} "{c_file}"')
        else:
            out.append(line)
    return "\n".join(out)
