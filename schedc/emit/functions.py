"""C functions around the policy's expressions, and where their lines come from.

Input: a name and a body of C that speaks of `p`, `t`, `cpu`, `now`, `ran` and of the objects of a
scope. Output: a `Function` whose parameters are just those that the body mentions, with the scope's
objects declared at its top, and the text that calls it. Since every caller uses the same names for
the same things, a call is the parameters' names.

Lines that come from the policy are wrapped by `from_policy`; `resolve_lines` turns the wrapping
into `#line`, so that messages of clang and of the kernel's verifier name lines of the policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from schedc.records import dataclass
from schedc.source import Span

PARAMETERS = {
    "cls": "u32 cls",
    "p": "struct task_struct *p",
    "t": "struct task_ctx *t",
    "cpu": "s32 cpu",
    "c": "struct cpu_ctx *c",
    "now": "u64 now",
    "ran": "s64 ran",
    "line": "u32 line",
    "enq_flags": "u64 enq_flags",
    "selected": "bool selected",
}
"""What a function may be given, in the order of its parameters."""

_LOCALS = {
    "c": "struct cpu_ctx *c = &cpu_ctx[cpu_index(cpu)];",
    "llc": "u32 llc = llc_of(cpu);",
    "node": "u32 node = node_of(cpu);",
    "slot": "u32 slot = cgroup_slot(p);",
    "m": "struct comm_state *m = comm_state(p);",
}

SCOPES = tuple(_LOCALS)
"""Names of the scopes' objects."""

_BEGIN, _END = "\x01", "\x02"
_MARK = re.compile(rf"^[{_BEGIN}{_END}].*$", re.M)
Locate = Callable[[Span], tuple[str, int]]


def mentions(text: str, name: str) -> bool:
    """Whether C text speaks of `name` as a word of its own; comments, marks and member names don't
    count."""
    bare = _MARK.sub("", re.sub(r"/\*.*?\*/", "", text, flags=re.S))
    return re.search(rf"(?<![\w.>]){name}\b", bare) is not None


@dataclass(frozen=True, slots=True)
class Function:
    """`text` is the definition, `call` an expression that calls it. A function without text stands
    for the expression `call`."""

    name: str
    parameters: tuple[str, ...]
    text: str
    inline: str = ""

    @property
    def call(self) -> str:
        return self.inline or f"{self.name}({', '.join(self.parameters)})"

    def call_for_previous(self, line: str = "NO_LINE") -> str:
        """The call in `dispatch`, about the task that ran until now; `line` pays for what
        follows."""
        names = {"p": "prev", "line": line}
        return f"{self.name}({', '.join(names.get(name, name) for name in self.parameters)})"


def expression(text: str) -> Function:
    """An expression in a function's place, where a function would only give it back."""
    return Function("", (), "", text)


def declarations(body: str, known: Iterable[str] = ()) -> list[str]:
    """Declarations of the scopes' objects that a body mentions and that are not `known` to it."""
    return [text for name, text in _LOCALS.items() if name not in known and mentions(body, name)]


_GIVEN = tuple(name for name in PARAMETERS if name not in _LOCALS)


def function(
    name: str,
    returns: str,
    body: Iterable[str],
    *,
    given: Iterable[str] = _GIVEN,
    about: str = "",
) -> Function:
    """A static function made of the lines of `body`. It takes those of the `given` things that the
    body mentions; scopes' objects that are not given are declared. `about`: a comment."""
    text = "\n".join(body)
    given = tuple(given)
    whole = "\n".join([*(f"\t{line}" for line in declarations(text, given)), text])
    parameters = tuple(p for p in PARAMETERS if p in given and mentions(whole, p))
    listed = ", ".join(PARAMETERS[p] for p in parameters) or "void"
    comment = f"/* {about} */\n" if about else ""
    head = f"static __always_inline {returns} {name}({listed})"
    return Function(name, parameters, f"{comment}{head}\n{{\n{whole}\n}}\n")


_BAIL_OUT = {
    "": ["\t\treturn;"],
    "enqueue": ["\t\tscx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, 0, enq_flags);", "\t\treturn;"],
}


def declare(body: str, args: str, bail: str = "", cpu: str = "scx_bpf_task_cpu(p)") -> str:
    """The body of a callback below the declarations that it calls for.

    `args`: names (or declarations) that it has. `bail`: what it returns where the task's context is
    missing, or "enqueue": then the task is left to the kernel. `cpu`: the task's cpu.
    """
    known = set(re.findall(r"\w+", args))
    local = declarations(body, known)
    whole = body + "\n".join(local)
    top = []
    if mentions(whole, "cpu") and "cpu" not in known:
        top.append(f"\ts32 cpu = {cpu};")
    top += [f"\t{line}" for line in local]
    if mentions(body, "now") and "now" not in known:
        top.append("\tu64 now = scx_bpf_now();")
    if mentions(body, "t") and "t" not in known:
        left = _BAIL_OUT.get(bail, [f"\t\treturn {bail};"])
        top += ["\tstruct task_ctx *t = task_ctx(p);", ""]
        top += ["\tif (!t) {", *left, "\t}"] if len(left) > 1 else ["\tif (!t)", *left]
    return "\n".join([*top, body])


def from_policy(span: Span, locate: Locate, lines: Iterable[str]) -> list[str]:
    """The lines, marked as coming from the policy's line that `span` begins on."""
    file, line = locate(span)
    return [f"{_BEGIN}{file}:{line}", *lines, _END]


def bare(lines: Iterable[str]) -> list[str]:
    """Lines without marks."""
    return [line for line in lines if not is_mark(line)]


def is_mark(line: str) -> bool:
    """Whether a line says where others come from, and is none itself."""
    return line.startswith((_BEGIN, _END))


def resolve_lines(text: str, c_file: str) -> str:
    """Turn marks into `#line` directives: one before each line of the policy's, as C would count on
    from it, and one back to the C file before the next line that is its own."""
    out: list[str] = []
    at, astray = "", False
    for line in text.split("\n"):
        if line.startswith(_BEGIN):
            file, number = line[1:].rsplit(":", 1)
            at = f'#line {number} "{file}"'
        elif line.startswith(_END):
            at = ""
        elif at:
            out += [at, line]
            astray = True
        else:
            if astray and line.strip():
                # The directive names the line after itself; lines of `out` are counted from 1.
                out.append(f'#line {len(out) + 2} "{c_file}"')
                astray = False
            out.append(line)
    return "\n".join(out)
