"""C programs that the tests of this folder build once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from schedc.data import data_path


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("no C compiler on this machine")
    return found


@pytest.fixture(scope="session")
def phases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`phases.c` with the plan's parser and the draws; with sanitizers, where there are any."""
    program = tmp_path_factory.mktemp("phases") / "phases"
    folder = data_path("backends/phases")
    command = [
        compiler(), "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", f"-I{folder}",
        str(Path(__file__).with_name("phases.c")), *map(str, sorted(folder.glob("*.c"))),
        "-o", str(program),
    ]
    sanitized = [*command, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    if subprocess.run(sanitized, capture_output=True, check=False).returncode:
        subprocess.run(command, check=True)
    return program


@pytest.fixture(scope="session")
def wl_phases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guest's program, built for this machine."""
    program = tmp_path_factory.mktemp("wl") / "wl-phases"
    sources = sorted(data_path("backends/vm/guest/phases").glob("*.c"))
    sources += sorted(data_path("backends/phases").glob("*.c"))
    subprocess.run(
        [compiler(), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-pthread",
         *map(str, sources), "-o", str(program)],
        check=True,
    )
    return program
