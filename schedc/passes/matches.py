"""Lowering `comm`, `exe` and `cgroup` patterns.

Input: a match of the tree. Output: an `ir` condition or None. Invariant: no string reaches the
typed policy that the kernel's own strings can't equal: comm has at most 15 bytes, paths are
absolute, and nothing holds a NUL byte.
"""

from __future__ import annotations

from schedc.ir import nodes as ir
from schedc.passes import types
from schedc.passes.environment import Environment
from schedc.syntax import tree

MAX_COMM = 15
MAX_PATH = 4095


def lower_match(expr: tree.Match, env: Environment) -> ir.Expr | None:
    """`comm "nginx" | "cc1*"`, `exe "/usr/bin/x"`, `cgroup "/a/b"`."""
    if expr.kind == "comm":
        patterns = [_comm(one, env) for one in expr.patterns]
        good = tuple(one for one in patterns if one is not None)
        return ir.MatchComm(good, types.BOOL, expr.span) if len(good) == len(patterns) else None
    table = env.exes if expr.kind == "exe" else env.cgroups
    indices: list[int] = []
    paths = [_is_path(one, expr.kind, env) for one in expr.patterns]
    if not all(paths):
        return None
    for one in expr.patterns:
        index = table.setdefault(one.value, len(table))
        if index not in indices:
            indices.append(index)
    return ir.MatchPath(expr.kind, tuple(indices), types.BOOL, expr.span)


def _comm(pattern: tree.String, env: Environment) -> ir.CommPattern | None:
    text = pattern.value
    prefix = text.endswith(b"*")
    if prefix:
        text = text[:-1]
    complaint = None
    if not text and not prefix:
        complaint = "no task has an empty name", "write the task's name, as `ps -o comm` shows it"
    elif not text:
        complaint = "`*` alone matches every task", "leave the condition out"
    elif b"*" in text:
        complaint = "`*` may stand only at the end", "cut the pattern at the first `*`"
    elif b"\0" in text:
        complaint = "no task's name holds a NUL byte", "delete `\\x00`"
    elif len(text) > MAX_COMM:
        shown = text[:MAX_COMM].decode("utf-8", "backslashreplace")
        complaint = (
            f"the kernel keeps {MAX_COMM} bytes of a task's name, this has {len(text)}",
            f'write the first {MAX_COMM} bytes: `comm "{shown}"`',
        )
    if complaint is None:
        return ir.CommPattern(text, prefix)
    env.report.add(
        "E0314", "a `comm` pattern that can't match", pattern.span, complaint[0], help=complaint[1]
    )
    return None


def _is_path(pattern: tree.String, kind: str, env: Environment) -> bool:
    text = pattern.value
    parts = text.split(b"/")
    complaint = None
    if not text.startswith(b"/"):
        example = "/usr/bin/make" if kind == "exe" else "/system.slice"
        complaint = "the path is not absolute", f'write it from the root: `{kind} "{example}"`'
    elif b"\0" in text:
        complaint = "no path holds a NUL byte", "delete `\\x00`"
    elif b".." in parts or b"." in parts:
        complaint = "the path holds `.` or `..`", "write the path that it leads to"
    elif b"" in parts[1:-1] or (len(text) > 1 and text.endswith(b"/")):
        complaint = "the path holds an empty part", "write one `/` between parts, none at the end"
    elif kind == "exe" and text == b"/":
        complaint = "`/` is not a program", 'name a file: `exe "/usr/bin/make"`'
    elif len(text) > MAX_PATH:
        complaint = f"the path is longer than {MAX_PATH} bytes", "shorten the path"
    if complaint is None:
        return True
    env.report.add(
        "E0314", f"an `{kind}` path that can't match" if kind == "exe"
        else f"a `{kind}` path that can't match", pattern.span, complaint[0], help=complaint[1],
    )  # fmt: skip
    return False
