"""The sdist, the wheel made from it, and schedc from that wheel alone, far from the repository."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ("grammar", "backends", "stdlib_policies", "docs/errors", "docs/language")

pytestmark = pytest.mark.packaging


def run(*command: str | Path, cwd: Path | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, text=True,
        capture_output=True, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "-o", out, ROOT)
    (made,) = out.glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the unpacked sdist, as an installer does that finds no wheel."""
    out = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
    (tree,) = (path for path in out.iterdir() if path.is_dir())
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", out, tree)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment that has the wheel, and the libraries of this one."""
    home = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home)
    python = home / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps",
        "--no-index", wheel)
    # A plain path line: an editable schedc of this environment, which is a `.pth` file of its
    # own, stays invisible, and so does the repository.
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


def tracked(folder: str) -> set[str]:
    """Files of a folder that belong to the project, relative to the root."""
    names = run("git", "ls-files", "--", folder, cwd=ROOT).split()
    return {name for name in names if (ROOT / name).exists()}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_the_wheel_has_all_code_and_data(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    missing = tracked("schedc") - inside
    for folder in DATA:
        missing |= {name for name in tracked(folder) if f"schedc/_data/{name}" not in inside}
    assert not missing
    assert not {name for name in inside if name.startswith(("tests/", "grammar/"))}


def test_it_runs_far_from_the_repository(installed: Path, tmp_path: Path) -> None:
    schedc, python = installed / "bin" / "schedc", installed / "bin" / "python"
    where = run(python, "-c", "import schedc.data as d; print(d.data_root())", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed)
    run(schedc, "init", "mine", cwd=tmp_path)
    run(schedc, "check", "mine.sched", cwd=tmp_path)
    text = run(schedc, "compile", "--emit", "c", "mine.sched", cwd=tmp_path)
    assert 'SEC(".struct_ops.link")' in text
    assert "E0301" in run(schedc, "explain", "E0301", cwd=tmp_path)


def test_it_compiles_to_an_object(installed: Path, tmp_path: Path) -> None:
    from schedc.diagnostics.model import Diagnostic
    from schedc.toolchain import find_compiler

    found = find_compiler()
    if isinstance(found, Diagnostic):
        pytest.skip(found.message)
    run(installed / "bin" / "schedc", "init", "mine", cwd=tmp_path)
    run(installed / "bin" / "schedc", "compile", "mine.sched", "-o", "mine.o", cwd=tmp_path)
    assert (tmp_path / "mine.o").read_bytes().startswith(b"\x7fELF")


def test_it_simulates(installed: Path, tmp_path: Path) -> None:
    """From its own data, far from the repository: the runtime and the policy are built there."""
    from schedc.sim import build
    from schedc.sim.errors import SimError

    try:
        build.compiler()
    except SimError as failure:
        pytest.skip(failure.message)
    text = run(
        installed / "bin" / "schedc", "sim", "interactive", "-w", "wakeup", "--duration", "200ms",
        "--runs", "2", "--html", "r.html", cwd=tmp_path,
    )
    assert "interactive : eevdf" in text
    assert (tmp_path / "r.html").stat().st_size > 10_000
