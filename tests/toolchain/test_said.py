"""What compilers said of themselves is kept, and only as long as it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from schedc.toolchain import said


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that were really run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    commands: list[tuple[str, ...]] = []

    def ask(command: tuple[str, ...]) -> str:
        commands.append(command)
        return f"version {len(commands)}\n"

    monkeypatch.setattr(said, "_asked", ask)
    return commands


def program(path: Path, rest: bytes = b"") -> str:
    path.write_bytes(b"\x7fELF" + rest)
    return str(path)


def test_a_compiler_is_asked_once(tmp_path: Path, asked: list[tuple[str, ...]]) -> None:
    clang = program(tmp_path / "clang-16")
    assert [said.answer(clang, "--version") for _ in range(3)] == ["version 1\n"] * 3
    assert said.answer(clang, "--print-targets") == "version 2\n", "another question"
    assert asked == [(clang, "--version"), (clang, "--print-targets")]


def test_another_file_of_the_same_name_is_asked_anew(
    tmp_path: Path, asked: list[tuple[str, ...]]
) -> None:
    clang = program(tmp_path / "clang")
    assert said.answer(clang, "--version") == "version 1\n"
    program(tmp_path / "clang", b"newer")
    assert said.answer(clang, "--version") == "version 2\n"
    (tmp_path / "other").mkdir()
    program(tmp_path / "other" / "clang-17")
    (tmp_path / "clang").unlink()
    (tmp_path / "clang").symlink_to(tmp_path / "other" / "clang-17")
    assert said.answer(clang, "--version") == "version 3\n", "the link leads elsewhere"


def test_a_wrapper_is_asked_each_time(tmp_path: Path, asked: list[tuple[str, ...]]) -> None:
    script = tmp_path / "clang"
    script.write_text("#!/bin/sh\nexec clang-18 \"$@\"\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "clang").symlink_to(program(tmp_path / "ccache"))
    for command in (str(script), str(tmp_path / "bin" / "clang"), str(tmp_path / "absent")):
        said.answer(command, "--version")
        said.answer(command, "--version")
    assert len(asked) == 6


def test_without_a_cache_all_goes_on(
    tmp_path: Path, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clang = program(tmp_path / "clang")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert said.answer(clang, "--version") == "version 1\n"
    assert said.answer(clang, "--version") == "version 2\n"


def test_a_failure_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(said, "_asked", lambda _: "")
    clang = program(tmp_path / "clang")
    assert said.answer(clang, "--version") == ""
    assert not list(tmp_path.glob("cache/**/*"))
