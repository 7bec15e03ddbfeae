"""The C text as such: the same bytes every time, names that can't meet, lines of the policy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from schedc.diagnostics.model import Diagnostic
from schedc.emit.layout import WIDTH, columns, wrap
from schedc.emit.names import CPU_FIELDS, STEMS, TASK_FIELDS
from schedc.source import Source
from schedc.toolchain import Compiler, compile_c, find_compiler
from tests.emit.generated import PATHS, ROOT, RUNTIME, from_text, text

FIFO = ROOT / "stdlib_policies/fifo.sched"
MIXED = ROOT / "examples/mixed/mixed.sched"


@pytest.fixture(scope="module")
def compiler() -> Compiler:
    found = find_compiler()
    if isinstance(found, Diagnostic):
        pytest.skip("no compiler")
    return found


@pytest.mark.parametrize("path", [MIXED, ROOT / "stdlib_policies/cells.sched"])
def test_the_same_bytes_in_another_process(path: Path) -> None:
    made = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "schedc", "compile", "--emit", "c", "-o", "-", str(path)],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True,
        )  # fmt: skip
        made.add(done.stdout)
    assert made == {text(path).encode()}


def test_a_simple_policy_is_simple_c() -> None:
    assert len(text(FIFO).split("\n")) < 200


def test_no_line_is_too_long_and_no_two_are_blank() -> None:
    for path in PATHS:
        found = text(path)
        # What has no place to break stays long: no shipped policy has such a line.
        shipped = "tests" not in path.relative_to(ROOT).parts
        for line in found.split("\n"):
            assert columns(line) <= WIDTH or (wrap(line) == [line] and not shipped), (path, line)
        assert "\n\n\n" not in found and ";;" not in found and "\x01" not in found, path


def test_declarations_stand_at_the_top_of_a_function() -> None:
    declared = re.compile(
        r"\t(?:static |const )*(?:struct \w+ \*?|[us](?:8|32|64) \*?|bool |char )"
        r"\w+(\[\])?(,? .*)?;$"
    )
    for path in PATHS:
        for body in re.findall(r"^\{\n(.*?)^\}", text(path), re.M | re.S):
            lines = [line for line in body.split("\n") if line and not line.startswith("#line")]
            first = next((i for i, line in enumerate(lines) if not declared.match(line)), None)
            assert not any(declared.match(line) for line in lines[first:]), (path, body)


def test_helpers_are_there_only_where_they_are_called() -> None:
    for path in PATHS:
        found = text(path)
        for name in re.findall(r"^static (?:__always_inline )?[\w ]+[ *](\w+)\(", found, re.M):
            assert len(re.findall(rf"\b{name}\b", found)) > 1, (path, name)


# --- lines


def test_each_line_of_the_policys_has_a_directive_of_its_own() -> None:
    """Else C counts on, and the second part of a broken line would be the policy's next line."""
    for path in PATHS:
        lines = text(path).split("\n")
        for i, line in enumerate(lines[:-1]):
            directive = re.match(r'#line (\d+) "(.*)"', line)
            if directive and directive[2].endswith(".bpf.c"):
                assert int(directive[1]) == i + 2, (path, i)
            if directive and directive[2].endswith(".sched"):
                assert lines[i + 2].startswith("#line"), (path, i, lines[i : i + 3])


def test_an_error_in_a_line_of_the_policys_is_told_there(compiler: Compiler) -> None:
    source = Source.from_text(MIXED.name, MIXED.read_text())
    broken = text(MIXED).replace("t->used - tune_lead", "t->used - tune_led")
    assert broken != text(MIXED)
    done = compile_c(broken, compiler, source=source)
    found = done.diagnostics[0]
    assert found.code == "E0702" and found.span is not None
    line, _ = source.position(found.span.start)
    assert "key task.used - tune.lead" in source.line_text(line)


def test_an_error_elsewhere_is_told_of_the_c(compiler: Compiler) -> None:
    source = Source.from_text(MIXED.name, MIXED.read_text())
    broken = text(MIXED).replace("record_exit(info)", "record_exits(info)")
    found = compile_c(broken, compiler, source=source).diagnostics[0]
    assert found.span is None and "mixed.bpf.c:" in "".join(found.notes)


# --- names


def test_no_stem_begins_like_another_or_like_the_runtimes() -> None:
    """So that `head_` + `x` is never another function's name, whatever x is."""
    runtime = set(re.findall(r"\b(?:static|const)[\w *]*?\b(\w+)(?:\(|\[| =|;)", RUNTIME))
    for stem in STEMS:
        clashes = {other for other in STEMS if other != stem and other.startswith(f"{stem}_")}
        assert not clashes, stem
        taken = {name for name in runtime if name.startswith(f"{stem}_")}
        # `steal_longer` has no policy's name behind it: steals are the runtime's.
        assert taken <= {"steal_longer"}, stem


def test_reserved_members_are_those_that_the_generator_makes() -> None:
    for path in PATHS:
        for name, reserved, stem in (
            ("task_ctx", TASK_FIELDS, "home_"),
            ("cpu_ctx", CPU_FIELDS, "next_"),
        ):
            found = re.search(rf"^struct {name} \{{\n(.*?)^\}}", text(path), re.M | re.S)
            for line in found[1].split("\n") if found else ():
                member = re.match(r"\t[\w ]+ (\w+)(?:\[\d+\])?;(.*)", line)
                if member and "s64" in line and re.search(r"\.\.|on the clock", member[2]):
                    continue  # the policy's own
                if member:
                    assert member[1] in reserved or member[1].startswith(stem), (path, member[1])


ALL_FIELDS = sorted(TASK_FIELDS | CPU_FIELDS | {"home_q", "next_q", "t", "p", "cpu", "now", "take"})


def test_states_named_like_the_runtimes_members_compile(compiler: Compiler) -> None:
    names = [name for name in ALL_FIELDS if name not in {"count"}]
    for some in (names[:14], names[14:28], names[28:]):
        states = "\n".join(
            f"state {scope}.{name} : time in 0ms..9ms = 1ms"
            for name in some
            for scope in ("task", "cpu")
        )
        body = "\n".join(f"  task.{n} = min(burst, cpu.{n})\n  cpu.{n} = task.{n}" for n in some)
        source = f"""policy names 1.0.0
queue q fifo per cgroup
{states}
class all
on stop {{
{body}
}}
enqueue all to q slice 4ms
dispatch {{ take q }}
"""
        done = compile_c(from_text(source)[1], compiler)
        assert done.object is not None, done.log


@pytest.mark.parametrize(
    "name", ["m", "t", "p", "c", "cpu", "now", "slot", "take", "head", "on", "llc"]
)
def test_a_file_or_policy_named_like_a_variable_declares_none(name: str) -> None:
    plain = from_text(FIFO.read_text(), "fifo.sched")[1]
    renamed = from_text(FIFO.read_text().replace("policy fifo", f"policy {name}"), f"{name}.sched")
    shape = re.compile(r"^\t(?:struct|u\d\d|s\d\d) .*;$", re.M)
    assert shape.findall(renamed[1]) == shape.findall(plain)


def test_initial_values_outside_of_tasks_are_set() -> None:
    for scope in ("cpu", "global", "comm"):
        found = text(ROOT / f"tests/language/policies/state_{scope}.sched")
        assert "recent = 8 * NSEC_PER_MSEC" in found, scope
