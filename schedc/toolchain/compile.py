"""C text to object bytes.

Input: the generated C, a compiler, and the policy that it was made of. Output: the object, or
diagnostics against lines of the policy (through `#line`). Invariant: the same text and the same
compiler give the same bytes, wherever they are: the compiler runs in a fresh folder, sees only
relative names, and its folder is recorded as `.`.

The policy's text lies beside the C under the name that `#line` gives: clang copies the lines into
the object's BTF, and the kernel's verifier quotes them.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Source, Span
from schedc.toolchain.find import Compiler
from schedc.toolchain.mark import UNPROVEN
from schedc.toolchain.target import Target, load_target

_TIMEOUT_S = 120.0
_MAX_MESSAGES = 8

# `mixed.sched:12:5: error: …`, also with the folder that clang puts in front of it.
_MESSAGE = re.compile(
    r"(?:\./)?(?P<file>[^:\n]+):(?P<line>\d+):(?:\d+:)? (?P<kind>fatal error|error|warning): "
    r"(?P<text>.*)"
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The object, None if there are errors; `log` is all that the compiler said."""

    object: bytes | None
    diagnostics: tuple[Diagnostic, ...]
    log: str = ""


def compile_c(
    text: str,
    compiler: Compiler,
    *,
    source: Source | None = None,
    bases: Mapping[str, Source] | None = None,
    target: Target | None = None,
    mark: str = UNPROVEN,
) -> Compiled:
    """Compile C text. `source` is the policy that its `#line` directives name, `bases` are those
    that it extends (by the name in `Span.file`). `mark` is what the object says of its proof."""
    target = target or load_target()
    named = {line_name(source.name): source} if source is not None else {}
    for name, base in (bases or {}).items():
        named.setdefault(line_name(f"{name}.sched"), base)
    try:
        with tempfile.TemporaryDirectory(prefix="schedc-") as folder:
            done = _compile(text, compiler, named, target, Path(folder), mark)
    except subprocess.TimeoutExpired:
        return _broken(compiler, f"it did not finish within {_TIMEOUT_S:.0f} s")
    except OSError as failure:
        return _broken(compiler, failure.strerror or str(failure))
    if isinstance(done, Compiled):
        return done
    return Compiled(None, read_messages(done, source, bases), done)


def _compile(
    text: str, compiler: Compiler, named: Mapping[str, Source], target: Target, folder: Path,
    mark: str,
) -> Compiled | str:
    """The object, or what the compiler said when it refused."""
    (folder / "policy.bpf.c").write_text(text, encoding="utf-8")
    (folder / "include").symlink_to(target.include)
    for name, policy in named.items():
        if not (folder / name).exists():
            (folder / name).write_text(policy.text, encoding="utf-8", errors="replace")
    done = subprocess.run(
        arguments(compiler, target, mark), cwd=folder, capture_output=True, text=True,
        errors="replace", check=False, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL,
        env=_environment(folder),
    )
    if done.returncode == 0:
        return Compiled((folder / "policy.bpf.o").read_bytes(), (), done.stderr)
    return done.stderr


def arguments(compiler: Compiler, target: Target, mark: str = UNPROVEN) -> list[str]:
    """The whole command line; names are relative to the folder it runs in."""
    if compiler.kind == "clang":
        head = [*compiler.command, "-target", target.clang_triple]
    else:
        head = [*compiler.command, "cc", "-target", target.zig_triple]
    return [
        *head, *target.flags, "-fdebug-compilation-dir=.", "-Iinclude", f'-DSCHEDC_MARK="{mark}"',
        "-c", "policy.bpf.c", "-o", "policy.bpf.o",
    ]


def built(text: str, object: bytes, compiler: Compiler, mark: str) -> dict[str, Any]:
    """What an object was made of, and how, for its certificate: no places on this machine."""
    target = load_target()
    flags = arguments(compiler, target, mark)[len(compiler.command) :]
    headers = sorted(target.include.glob("*.h"))
    return {
        "compiler": f"{compiler.kind} {compiler.version}",
        "flags": flags,
        "headers": {path.name: _sha256(path.read_bytes()) for path in headers},
        "c": _sha256(text.encode()),
        "object": _sha256(object),
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def line_name(source_name: str) -> str:
    """The name that `#line` gives to a policy: its last part, without what C would read as more.

    A path would make the object depend on where the policy lies.
    """
    name = re.sub(r"[^\w.+-]", "_", Path(source_name).name)
    return name if name.strip(".") else "policy.sched"


def _environment(folder: Path) -> dict[str, str]:
    """The caller's, but messages in English and dates that don't get into the object."""
    environment = {**os.environ, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "0"}
    if not os.access(Path(environment.get("HOME", "/")), os.W_OK):
        # zig wants a folder for its cache.
        environment["ZIG_GLOBAL_CACHE_DIR"] = str(folder / "zig")
    environment["ZIG_LOCAL_CACHE_DIR"] = str(folder / "zig-local")
    return environment


def read_messages(
    log: str, source: Source | None, bases: Mapping[str, Source] | None = None
) -> tuple[Diagnostic, ...]:
    """The compiler's errors as diagnostics against the policy's lines.

    Columns are those of the C text, so a whole line of the policy is marked.
    """
    found = []
    for match in _MESSAGE.finditer(log):
        if match["kind"] == "warning":
            continue
        span = _line_span(match["file"], int(match["line"]), source, bases or {})
        found.append(
            error(
                "E0702",
                f"the C compiler refused the generated C: {match['text']}",
                span,
                label="from this line" if span else "",
                notes=[] if span else [f"at {match['file']}:{match['line']} of the C text"],
                help="this is a bug in schedc: please report it with the policy",
            )
        )
    if not found:
        tail = "\n".join(log.strip().splitlines()[-5:]) or "it said nothing"
        found.append(error("E0702", "the C compiler failed", None, notes=[tail]))
    return tuple(found[:_MAX_MESSAGES])


def _line_span(
    file: str, line: int, source: Source | None, bases: Mapping[str, Source]
) -> Span | None:
    """The text of a line of the policy or of a base, None if `file` is neither."""
    for name, text in (("", source), *bases.items()):
        if text is None or file != line_name(f"{name}.sched" if name else text.name):
            continue
        line = min(max(line, 1), text.line_count or 1)
        words = text.line_text(line)
        start = text.offset(line) + len(words) - len(words.lstrip())
        return Span(start, start + len(words.strip()), name)
    return None


def _broken(compiler: Compiler, reason: str) -> Compiled:
    found = error("E0702", f"{compiler.describe()} failed: {reason}", None)
    return Compiled(None, (found,))
