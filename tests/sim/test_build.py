"""The simulator's executable and policies' shared objects: built once, whole or not at all."""

from __future__ import annotations

import errno
import multiprocessing
import subprocess
from pathlib import Path

import pytest

from schedc.sim import build, native
from schedc.sim.build import Toolchain
from schedc.sim.errors import BUILD_FAILED, NO_COMPILER, REFUSED_C, SimError
from schedc.sim.native import Native, find_native
from schedc.vm.store import Store

TEXT = "extern int answer(int); int twice(int x) { return 2 * answer(x); }\n"


@pytest.fixture
def tools(tmp_path: Path) -> Toolchain:
    return Toolchain(build.compiler(), "release", Store(tmp_path))


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def gcc(path: Path, script: str) -> Native:
    """A compiler that does what the script says."""
    return Native("gcc", (str(program(path, script)),), "12.0.0")


# --- which compiler


def test_without_a_compiler_it_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(native, "packaged_zig", lambda: None)
    with pytest.raises(SimError) as found:
        find_native()
    assert found.value.code == NO_COMPILER
    assert "-m pip install ziglang" in str(found.value.help)


def test_clang_comes_before_gcc_and_an_old_one_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(native, "packaged_zig", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path / "gcc", "echo 'gcc (Debian 12.2.0-14) 12.2.0'; "
            "echo 'Copyright (C) 2022 Free Software Foundation, Inc.'")  # fmt: skip
    program(tmp_path / "clang", "echo 'Debian clang version 14.0.6'")
    assert find_native().kind == "gcc"
    assert find_native().version == "12.2.0"
    program(tmp_path / "clang-17", "echo 'Debian clang version 17.0.1 (rc2)'")
    assert find_native().describe() == f"clang 17.0.1 ({tmp_path}/clang-17)"
    with pytest.raises(SimError, match="can't build"):
        find_native(str(tmp_path / "missing"))


def test_zig_comes_last_and_has_no_sanitizers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    zig = program(tmp_path / "zig", "echo 0.15.1")
    monkeypatch.setattr(native, "packaged_zig", lambda: str(zig))
    found = find_native()
    assert (found.kind, found.words) == ("zig", [str(zig), "cc"])
    with pytest.raises(SimError) as failure:
        find_native(sanitizers=True)
    assert "apt-get install gcc" in str(failure.value.help)
    program(tmp_path / "zig", "echo 0.9.1")
    with pytest.raises(SimError, match=r"0\.14 or newer"):
        find_native()


# --- what is built


def test_an_object_is_kept_by_what_it_is_made_of(tools: Toolchain) -> None:
    made = tools.policy(TEXT)
    assert made.read_bytes().startswith(b"\x7fELF")
    before = made.stat().st_mtime_ns
    assert tools.policy(TEXT) == made and made.stat().st_mtime_ns == before
    assert sorted(path.name for path in made.parent.iterdir()) == ["policy.so"]
    others = {
        tools.policy(TEXT + "int more;\n"),
        Toolchain(tools.compiler, "debug", tools.store).policy(TEXT),
        Toolchain(Native("gcc", tools.compiler.command, "1.2.3"), "release", tools.store)
        .policy(TEXT),
    }  # fmt: skip
    assert made not in others and len(others) == 3


def test_headers_beside_a_file_are_found_and_belong_to_the_key(
    tools: Toolchain, tmp_path: Path
) -> None:
    (tmp_path / "mine.h").write_text("#define THREE 3\n")
    text = '#include "mine.h"\nint three(void) { return THREE; }\n'
    first = tools.policy(text, folder=tmp_path)
    (tmp_path / "mine.h").write_text("#define THREE 4\n")
    assert tools.policy(text, folder=tmp_path) != first
    with pytest.raises(SimError, match="E0903"):
        tools.policy(text)


def test_bad_c_is_told_with_its_lines_and_leaves_nothing(tools: Toolchain) -> None:
    with pytest.raises(SimError) as found:
        tools.policy('#line 7 "mine.c"\nint x = ;\n', {"mine.c": "int y;\n"})
    assert found.value.code == REFUSED_C
    assert found.value.notes[0].startswith("mine.c:7: expected expression")
    assert list((tools.store.root / "policies").iterdir()) == []


def test_unknown_kernel_functions_are_left_to_the_loader(tools: Toolchain) -> None:
    """Undefined symbols resolve against the runtime, so linking must not refuse them."""
    symbols = subprocess.run(
        ["readelf", "-Ws", "--dyn-syms", tools.policy(TEXT)], capture_output=True, text=True,
        check=False,
    ).stdout  # fmt: skip
    if not symbols:
        pytest.skip("no readelf here")
    assert "UND answer" in symbols and " twice" in symbols


def contend(root: Path, log: Path) -> None:
    # Each call of the compiler is a line, and takes long enough for the other to come meanwhile.
    script = f"echo call >> {log}; sleep 0.5; for last; do :; done; echo made > $last"
    made = Toolchain(gcc(log.parent / f"cc{multiprocessing.current_process().pid}", script),
                     "release", Store(root)).policy(TEXT)  # fmt: skip
    assert made.read_text() == "made\n"


def test_two_at_once_build_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=contend, args=(tmp_path / "cache", log)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    assert log.read_text() == "call\n"


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = gcc(tmp_path / "cc", "echo 'fatal error: closing x.o: No space left on device' >&2; "
               "exit 1")  # fmt: skip
    with pytest.raises(SimError) as found:
        Toolchain(full, "release", Store(tmp_path / "cache")).policy(TEXT)
    assert found.value.code == "E0813" and "no space left" in found.value.message

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(SimError) as found:
        Toolchain(full, "release", Store(tmp_path / "other")).policy(TEXT)
    assert found.value.code == "E0813" and "XDG_CACHE_HOME" in str(found.value.help)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SimError) as found:
        Toolchain(build.compiler(), "release", Store(tmp_path / "file" / "cache")).policy(TEXT)
    assert found.value.code == "E0813"


def test_a_compiler_without_headers_is_named(tmp_path: Path) -> None:
    broken = gcc(tmp_path / "cc", "echo \"sim.h:24:10: fatal error: 'stdio.h' file not found\" >&2;"
                 " exit 1")  # fmt: skip
    with pytest.raises(SimError) as found:
        Toolchain(broken, "release", Store(tmp_path / "cache")).runtime()
    assert found.value.code == BUILD_FAILED
    assert found.value.notes == ("sim.h:24: 'stdio.h' file not found",)
    assert "libc6-dev" in str(found.value.help)
    assert list((tmp_path / "cache" / "runtime").iterdir()) == []
