"""Finding a compiler, the same bytes for the same text, and messages against policy lines."""

import os
import stat
from pathlib import Path

import pytest

from schedc.diagnostics.model import Diagnostic
from schedc.source import Source
from schedc.toolchain import Compiler, compile_c, find_compiler, load_target, read_mark
from schedc.toolchain.compile import built, line_name, read_messages
from schedc.toolchain.find import packaged_zig
from schedc.toolchain.target import version

TARGET = load_target()
POLICY = Source.from_text("some/where/mixed.sched", "policy mixed 1.0.0\n  queue q fifo\nclass c\n")
PROGRAM = """\
typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
char _license[] SEC("license") = "GPL";
#line 2 "mixed.sched"
SEC("struct_ops/mixed_enqueue") int mixed_enqueue(u64 *ctx)
{
#line 3 "mixed.sched"
\treturn ctx[0] + 1;
}
"""


@pytest.fixture(params=["clang", "zig"])
def compiler(request: pytest.FixtureRequest) -> Compiler:
    found = find_compiler(request.param)
    if isinstance(found, Diagnostic):
        pytest.skip(f"no {request.param} here")
    return found


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def fake_clang(path: Path, number: str, targets: str = "  bpf - BPF") -> Path:
    return script(
        path,
        f'case "$1" in --version) echo "Some clang version {number} (x)";; '
        f'--print-targets) echo "{targets}";; *) exit 1;; esac',
    )


def test_clang_of_the_system_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fake_clang(tmp_path / "clang", "18.1.2")
    found = find_compiler()
    assert isinstance(found, Compiler)
    assert (found.kind, found.version, found.command) == (
        "clang", "18.1.2", (str(tmp_path / "clang"),)
    )


def test_an_old_clang_gives_way_to_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "sh").symlink_to("/bin/sh")
    fake_clang(tmp_path / "clang", "14.0.0")
    fake_clang(tmp_path / "clang-17", "17.0.0")
    fake_clang(tmp_path / "clang-19", "19.0.0", targets="  x86-64 - no such")
    found = find_compiler("clang")
    assert isinstance(found, Compiler) and found.version == "17.0.0"


def test_none_at_all_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("schedc.toolchain.find.packaged_zig", lambda: None)
    found = find_compiler()
    assert isinstance(found, Diagnostic) and found.code == "E0701"
    assert found.help is not None and "pip install ziglang" in found.help
    fake_clang(tmp_path / "clang", "12.0.1")
    found = find_compiler()
    assert isinstance(found, Diagnostic)
    assert found.notes == (f"{tmp_path}/clang is clang 12.0.1; 16 or newer is needed",)


def test_a_path_that_is_no_compiler(tmp_path: Path) -> None:
    for spec in (str(tmp_path / "none"), str(script(tmp_path / "cat", "echo meow"))):
        found = find_compiler(spec)
        assert isinstance(found, Diagnostic)
        assert "can't compile BPF" in found.message
        assert "neither clang nor zig" in found.notes[0]


def test_a_named_path(tmp_path: Path) -> None:
    found = find_compiler(str(fake_clang(tmp_path / "mine", "21.0.0-rc1")))
    assert isinstance(found, Compiler) and found.version == "21.0.0-rc1"
    zig = find_compiler(str(script(tmp_path / "z", '[ "$1" = version ] && echo 0.14.0-dev.1+ab')))
    assert isinstance(zig, Compiler) and zig.kind == "zig"
    old = find_compiler(str(script(tmp_path / "y", '[ "$1" = version ] && echo 0.9.1')))
    assert isinstance(old, Diagnostic) and "0.14 or newer" in old.notes[0]


def test_versions() -> None:
    assert version("16.0.6") == (16, 0, 6)
    assert version("0.14.0-dev.2+8af") == (0, 14, 0, 2)
    assert version("git") == ()


def test_zig_from_pypi_is_found_if_installed() -> None:
    path = packaged_zig()
    if path is None:
        pytest.skip("no ziglang here")
    assert os.access(path, os.X_OK)


def test_an_object_and_the_same_bytes_again(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compile_c(PROGRAM, compiler, source=POLICY)
    assert first.object is not None and first.object.startswith(b"\x7fELF"), first.log
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    second = compile_c(PROGRAM, compiler, source=POLICY)
    assert second.object == first.object
    assert b"/tmp" not in first.object and str(Path.cwd()).encode() not in first.object


def test_the_policy_lines_are_in_the_object(compiler: Compiler) -> None:
    done = compile_c(PROGRAM, compiler, source=POLICY)
    assert done.object is not None
    assert b"mixed.sched\0" in done.object and b"class c\0" in done.object


def test_messages_name_policy_lines(compiler: Compiler) -> None:
    broken = PROGRAM.replace("ctx[0]", "nothing[0]")
    done = compile_c(broken, compiler, source=POLICY)
    assert done.object is None
    found = done.diagnostics[0]
    assert found.code == "E0702" and "nothing" in found.message
    assert found.span is not None and POLICY.slice(found.span) == "class c"


def test_messages_name_lines_of_a_base() -> None:
    base = Source.from_text("/lib/fair.sched", "policy fair 1.0.0\nqueue all fifo\n")
    (found,) = read_messages("./fair.sched:2:9: error: x", POLICY, {"stdlib/fair": base})
    assert found.span is not None
    assert (found.span.file, base.slice(found.span)) == ("stdlib/fair", "queue all fifo")


def test_messages_about_the_c_text_itself() -> None:
    (found,) = read_messages("include/scx.h:7:1: error: bad thing\n1 error generated.", POLICY)
    assert found.span is None
    assert found.notes == ("at include/scx.h:7 of the C text",)


def test_a_line_beyond_the_policy_is_no_crash() -> None:
    (found,) = read_messages("mixed.sched:999:1: error: x", POLICY)
    assert found.span is not None


def test_a_compiler_that_dies(tmp_path: Path) -> None:
    dead = Compiler("clang", (str(script(tmp_path / "clang", "kill -9 $$")),), "18.0")
    (found,) = compile_c(PROGRAM, dead).diagnostics
    assert (found.code, found.notes) == ("E0702", ("it said nothing",))
    gone = Compiler("clang", (str(tmp_path / "gone"),), "18.0")
    (found,) = compile_c(PROGRAM, gone).diagnostics
    assert "no such file" in found.message.lower()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b/mixed.sched", "mixed.sched"),
        ('x"\n#include "y.sched', "x___include__y.sched"),
        ('x"#error.sched', "x__error.sched"),
        ("<stdin>", "_stdin_"),
        ("..", "policy.sched"),
    ],
)
def test_line_names_are_plain(name: str, expected: str) -> None:
    assert line_name(name) == expected


@pytest.mark.parametrize("mark", ["unproven", f"proof {'5' * 64}"])
def test_an_object_says_whether_it_is_proved(compiler: Compiler, mark: str) -> None:
    text = '#include "scx.h"\nchar _license[] SEC("license") = "GPL";\n'
    done = compile_c(text, compiler, mark=mark)
    assert done.object is not None, done.log
    assert read_mark(done.object) == mark
    made = built(text, done.object, compiler, mark)
    assert not any("/" in flag for flag in made["flags"]), "a place on this machine"
    assert mark in " ".join(made["flags"])
    assert {"scx.h", "runtime.h"} <= set(made["headers"])


def test_bytes_that_are_no_object_have_no_mark(compiler: Compiler) -> None:
    text = '#include "scx.h"\nchar _license[] SEC("license") = "GPL";\n'
    whole = compile_c(text, compiler).object
    assert whole is not None and read_mark(whole) == "unproven"
    for size in range(0, len(whole), 97):
        assert read_mark(whole[:size]) in (None, "unproven")
    for at in range(0, len(whole), 61):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        read_mark(bytes(broken))
    assert read_mark(whole.replace(b"unproven", b"proved!!")) is None
