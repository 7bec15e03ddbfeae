"""Generated C for tests: of every policy that there is, and taken apart into functions.

`TEXTS` maps a policy's path to its C. `functions` gives the body of each function of a text.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from schedc.ir.nodes import Policy
from schedc.pipeline import analyze, generate
from schedc.source import Source

ROOT = Path(__file__).parents[2]
FOLDERS = ("stdlib_policies", "examples/*", "tests/language/policies", "tests/vm/policies")
PATHS = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/*.sched"))
RUNTIME = "\n".join(
    p.read_text() for p in sorted((ROOT / "backends/bpf/include").glob("*.h")) if p.name != "scx.h"
)
SCX = (ROOT / "backends/bpf/include/scx.h").read_text()

_DEFINITION = re.compile(
    r"^(?:static |__always_inline |__attribute__\(\(noinline\)\) )*[\w ]+[ *]"
    r"(?:BPF_STRUCT_OPS(?:_SLEEPABLE)?)?"
    r"\(?(?P<name>\w+)[(,][^;{]*\)\n\{\n(?P<body>.*?)^\}",
    re.M | re.S,
)


@cache
def policy(path: Path) -> Policy:
    return from_text(path.read_text(), path.name)[0]


@cache
def text(path: Path) -> str:
    return from_text(path.read_text(), path.name)[1]


def from_text(
    source_text: str, name: str = "policy.sched", counters: bool = True
) -> tuple[Policy, str]:
    """The typed policy and its C."""
    source = Source.from_text(name, source_text)
    analysis = analyze(source)
    assert analysis.policy is not None, [d.message for d in analysis.diagnostics]
    return analysis.policy, generate(
        analysis.policy, source, sources=analysis.sources, counters=counters
    )


@cache
def without_lines(c_text: str) -> str:
    """The text without `#line` and comments, and each statement on a line of its own."""
    bare = re.sub(r"/\*.*?\*/", "", c_text, flags=re.S)
    return joined(re.sub(r"^#line .*\n", "", bare, flags=re.M))


def joined(c_text: str) -> str:
    """Broken lines put together: within parentheses, initialisers, and after an operator."""
    out: list[str] = []
    depth = 0
    for line in c_text.split("\n"):
        before = out[-1].rstrip() if out else ""
        if depth > 0 or (
            before
            and re.search(r"([^&|<>=!+*/-][-=+*/]|&&|\|\||,|\breturn)$", before)
            and line.strip()
        ):
            out[-1] = re.sub(r"([({]) $", r"\1", f"{before} ") + line.strip()
        else:
            out.append(line)
        code = re.sub(r"'.'|\"(\\\\.|[^\"])*\"", "", line)
        depth = max(depth + code.count("(") - code.count(")"), 0)
        # `= {` opens an initialiser, which ends with `};` on the same depth of braces.
        if re.search(r"= \{[^}]*$", code) and "0x" in code:
            depth += 1
        elif depth and re.search(r"\};$", code) and "{" not in code:
            depth -= 1
    return "\n".join(out)


@cache
def functions(c_text: str) -> dict[str, str]:
    """Name -> body, comments and `#line` left out."""
    return {found["name"]: found["body"] for found in _DEFINITION.finditer(without_lines(c_text))}


def callback(path: Path, name: str) -> str:
    """The body of a callback, empty if the policy has none."""
    made = functions(text(path))
    return next((body for key, body in made.items() if key.endswith(f"_{name}") and
                 re.search(rf"BPF_STRUCT_OPS(_SLEEPABLE)?\({key},?", text(path))), "")  # fmt: skip


def reached(c_text: str, start: str) -> str:
    """The bodies of a function and of all that it calls in this text and in the runtime."""
    known = functions(RUNTIME) | functions(c_text)
    found: dict[str, str] = {}
    todo = [start]
    while todo:
        name = todo.pop()
        if name in found or name not in known:
            continue
        found[name] = known[name]
        todo += re.findall(r"\b(\w+)\(", known[name])
    return "\n".join(found.values())
