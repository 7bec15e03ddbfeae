"""What a user sees: each `<area>/<case>.sched` is run and its stderr compared with `.stderr`.

The command is `schedc check CASE`, or what the first line says: `# args: compile --emit c CASE`.
Only the cases in `proof/` are proved too, so that a mistake in a name costs no solver.
A case without diagnostics must still have its `.stderr`, so that a new warning is noticed.
`pytest tests/ui --update` rewrites the goldens; read the difference before you commit it.
"""

import re
import shlex
from pathlib import Path

import pytest

from schedc.cli import run
from schedc.diagnostics.codes import CODES

HERE = Path(__file__).parent
CASES = sorted(path.relative_to(HERE).as_posix() for path in HERE.rglob("*.sched"))


def arguments(case: str) -> list[str]:
    first = (HERE / case).read_bytes().split(b"\n", 1)[0].decode("utf-8", "replace")
    if first.startswith("# args: "):
        words = shlex.split(first.removeprefix("# args: "))
        return [case if word == "CASE" else word for word in words]
    return ["check", case] if case.startswith("proof/") else ["check", "--no-proof", case]


def expected_code(shown: str) -> int:
    """1 for an error, 3 if none of them is more than unproven."""
    codes = re.findall(r"^error\[(\w+)\]", shown, re.MULTILINE)
    if not codes:
        return 0
    # E0594 says that no object was written, whatever the reason.
    return 3 if all(code.startswith("E059") for code in codes) else 1


@pytest.mark.parametrize("case", CASES)
def test_what_the_user_sees(
    case: str, update: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(HERE)
    monkeypatch.delenv("SCHEDC_FORMAT", raising=False)
    code = run(["--no-config", *arguments(case)])
    shown = capfd.readouterr().err
    golden = (HERE / case).with_suffix(".stderr")
    if update:
        golden.write_text(shown, encoding="utf-8")
    assert golden.exists(), f"no golden: run pytest tests/ui --update and read {golden.name}"
    assert shown == golden.read_text(encoding="utf-8")
    assert code == expected_code(shown)


@pytest.mark.parametrize("golden", sorted(HERE.rglob("*.stderr")), ids=lambda path: path.stem)
def test_every_golden_has_its_case(golden: Path) -> None:
    assert golden.with_suffix(".sched").exists()


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60


def seen_codes() -> set[str]:
    text = "".join(path.read_text(encoding="utf-8") for path in HERE.rglob("*.stderr"))
    return set(re.findall(r"^(?:error|warning|note)\[(\w+)\]", text, re.MULTILINE))


@pytest.mark.parametrize("code", [code for code, info in CODES.items() if info.needs_policy])
def test_every_code_of_the_language_has_a_case(code: str) -> None:
    assert code in seen_codes()
