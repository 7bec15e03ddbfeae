"""Which part may import which: the contracts of `pyproject.toml`, and what starts quickly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_import_contracts() -> None:
    pytest.importorskip("importlinter")
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], ["lark", "jinja2", "rich", "schedc.pipeline", "schedc.vm"]),
        (["check", "stdlib_policies/fifo.sched"],
         ["lark", "jinja2", "rich", "subprocess", "z3", "schedc.vm", "schedc.emit",
          "schedc.prove.prove", "schedc.refute", "schedc.model"]),
    ],
)
def test_what_starts_quickly_imports_little(
    arguments: list[str], heavy: list[str], tmp_path: Path
) -> None:
    """The times of `tests/cli/test_frame.py` hold because none of these is imported: the second
    time, when the cache has the proof."""
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "schedc", *arguments], cwd=ROOT, check=True, env=env)
    program = (
        "import sys; from schedc.cli import run; code = run(sys.argv[1:]);"
        "print('\\n'.join(['MODULES', *sys.modules])); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True,
        check=True, env=env,
    )
    imported = set(done.stdout.partition("MODULES\n")[2].split())
    assert "schedc.cli.root" in imported
    assert not imported & set(heavy)
