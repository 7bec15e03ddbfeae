"""Files of /proc, in the kernel's form and in others."""

from pathlib import Path

import pytest

from schedc.deploy import host


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("some avg10=12.34 avg60=1.00 avg300=0.10 total=99\nfull avg10=0.00 avg60=0.00\n", 12.34),
        ("full avg10=1.00\nsome avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", 0.0),
        ("some avg10=100.00 avg60=1.00\n", 100.0),
        ("", None),
        ("some avg10=x\n", None),
        ("awesome avg10=1.00 \n", None),
    ],
)
def test_pressure(tmp_path: Path, text: str, value: float | None) -> None:
    file = tmp_path / "cpu"
    file.write_text(text)
    assert host.psi_some(file) == value
    assert host.psi_some(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("cpu  1 2 3\nintr 5 6\nctxt 123456\nbtime 7\n", 123456), ("ctxt -1\n", None), ("x", None)],
)
def test_switches(tmp_path: Path, text: str, value: int | None) -> None:
    file = tmp_path / "stat"
    file.write_text(text)
    assert host.switches(file) == value


def test_here() -> None:
    first, second = host.switches(), host.switches()
    assert first is not None and second is not None and 0 < first <= second
    assert host.cpus() >= 1
