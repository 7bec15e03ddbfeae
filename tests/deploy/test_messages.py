"""Messages, word by word."""

import re

import pytest

import schedc.cli
from tests.deploy.machine import Place, write_policy

GUARD = """\
error[E0910]: a guard says what must hold, and a wait may be \
too long or high, not the other way round
 --> --guard:1:5
  |
1 | p99 > 20ms
  |     ^ here
  |
  = help: write `p99 < 20ms`

"""

ASK = """error[E0917]: there is nobody to ask: stdin is no terminal
  = note: nothing was loaded
  = help: add --yes; or plan first, and apply what a person has read

"""

BESIDE = """error[E0919]: `calm.o` has no certificate beside it
  = note: looked for `calm.cert`
  = help: schedc compile POLICY.sched --emit obj,cert   (or give --certificate FILE)

"""

COMMAND = """error[E0913]: the command of `cmd:false < 5` failed with exit code 1
  = note: nothing was loaded

"""

ABORTED = """error[E0912]: calm 1.0.0 was taken back: `p99 < 20ms` does not hold: 50 ms
  = note: after N s on trial
  = note: `p99 < 20ms`: 50 ms (N waits)
  = note: now: the kernel's own scheduler
  = help: schedc history says the same later; after two such ends a policy is quarantined

"""


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("apply", "plan.json", "--guard", "p99 > 20ms"), 2, GUARD),
        (("load", "calm.o"), 2, ASK),
        (("apply", "plan.json", "--guard", "cmd:false < 5"), 4, COMMAND),
    ],
)
def test_before_anything_is_done(
    machine: Place, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int,
    text: str,
) -> None:
    assert schedc.cli.run(["plan", write_policy("calm")]) == 0
    capfd.readouterr()
    assert schedc.cli.run(arguments) == code
    assert capfd.readouterr() == ("", text)


def test_no_certificate(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    write_policy("calm")
    (place.run.parent.parent / "calm.cert").unlink()
    assert schedc.cli.run(["plan", "calm.o"]) == 2
    assert capfd.readouterr() == ("", BESIDE)


def test_taken_back(machine: Place, capfd: pytest.CaptureFixture[str]) -> None:
    machine.wait(50_000_000)
    assert schedc.cli.run(["plan", write_policy("calm")]) == 0
    capfd.readouterr()
    assert schedc.cli.run(["apply", "plan.json", "--guard", "p99 < 20ms"]) == 4
    out, err = capfd.readouterr()
    assert out == ""
    # How many looks there were is the host's affair.
    shown = re.sub(r"\b\d+ (s on trial|waits)", r"N \1", err[err.index("error["):])
    assert shown == ABORTED


def test_the_help_of_each_command(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("plan", "apply", "load", "status", "top", "rollback", "unload", "history",
                 "quarantine", "metrics", "service"):  # fmt: skip
        assert schedc.cli.run([name, "--help"]) == 0
        assert f"Usage: schedc {name} " in capfd.readouterr().out
