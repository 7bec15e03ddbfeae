"""`schedc plan` of objects: what it shows, what it writes, what it refuses."""

import json
import stat
import time
from pathlib import Path

import pytest

import schedc.cli
from schedc.load.plan import parse
from tests.deploy.machine import Place, write_policy
from tests.load.forge import claim, forge, marked_elf, reseal, sealed


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = schedc.cli.run(arguments)
    out, err = capfd.readouterr()
    return code, out, err


def test_what_would_change(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capfd, "plan", write_policy("calm"))
    assert code == 0, err
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == "calm 1.0.0 would run on this machine:"
    assert "  - the kernel's own scheduler" in lines and "  + calm 1.0.0" in lines
    assert "    everyone  1000 ms + 250 ms N    17 s     30 s" in lines
    assert any("not known: no loader is running" in line for line in lines)
    assert "wrote plan.json; nothing is changed yet" in err
    file = Path("plan.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    plan = parse(file.read_bytes())
    assert plan.policy.name == "calm" and plan.policy.classes == ("everyone",)
    assert plan.expires - plan.made == 3600
    assert abs(plan.made - time.time()) < 60


def test_options(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    name = write_policy("calm")
    Path("calm.cert").rename("other.cert")
    code, out, _ = run(capfd, "plan", name, "--certificate", "other.cert", "--expires", "30min",
                       "-o", "mine.json", "--json")  # fmt: skip
    assert code == 0
    shown = json.loads(out)
    assert shown["expires"] - shown["made"] == 1800
    assert shown["now"]["what"] == "the kernel's own scheduler"
    assert "certificate" not in shown and shown["object"]["bytes"] > 0
    code, out, _ = run(capfd, "plan", name, "--certificate", "other.cert", "-o", "-")
    assert code == 0 and parse(out).policy.name == "calm"


def test_an_existing_file_becomes_private(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    Path("plan.json").write_text("old")
    Path("plan.json").chmod(0o644)
    assert run(capfd, "plan", write_policy("calm"))[0] == 0
    assert stat.S_IMODE(Path("plan.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("calm.o", "--expires", "1"), "1 is no time; write one such as 60s, 5min, 1h"),
        (("calm.o", "--expires", "0s"), "is no time"),
        (("calm.o", "--set", "slice=2ms"), "an object has them built in"),
        (("calm.sched", "--certificate", "calm.cert"), "--certificate belongs to an object"),
    ],
)
def test_usage(
    place: Place, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    write_policy("calm")
    code, out, err = run(capfd, "plan", *arguments)
    assert code == 2 and out == "" and message in err
    assert not Path("plan.json").exists()


def test_no_certificate(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    write_policy("calm")
    Path("calm.cert").unlink()
    code, _, err = run(capfd, "plan", "calm.o")
    assert code == 2
    assert "error[E0919]: `calm.o` has no certificate beside it" in err
    assert "schedc compile POLICY.sched --emit obj,cert" in err


def test_no_object(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert "E0111" in run(capfd, "plan", "none.o")[2]
    Path("large.o").write_bytes(b"\0" * (5 << 20))
    code, _, err = run(capfd, "plan", "large.o")
    assert code == 2 and "`large.o` is larger than 4 MiB" in err


def test_an_unproven_object(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    write_policy("calm")
    Path("calm.o").write_bytes(marked_elf("unproven"))
    code, _, err = run(capfd, "plan", "calm.o")
    assert code == 3 and "error[E0837]" in err
    body = {**claim("calm", "calm"), "verdict": "unproven"}
    body["build"] = {"c": "", "object": ""}
    Path("calm.cert").write_text(sealed(body))
    Path("calm.o").write_bytes(marked_elf("proof " + 64 * "0"))
    code, _, err = run(capfd, "plan", "calm.o")
    assert code == 3 and "error[E0837]" in err and "its verdict is `unproven`" in err
    assert not Path("plan.json").exists()


def test_an_object_of_another_proof(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    write_policy("calm")
    data = Path("calm.o").read_bytes()
    Path("calm.o").write_bytes(data + b"\0")
    code, _, err = run(capfd, "plan", "calm.o")
    assert code == 4 and "error[E0836]" in err


def test_paths_of_conditions_become_settings(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    data, certificate = forge("calm", marked_elf)
    build = json.loads(certificate)["build"]
    names = {**build["names"], "cgroups": ["system.slice"], "exes": ["/usr/bin/make"]}
    Path("calm.o").write_bytes(data)
    Path("calm.cert").write_text(reseal(certificate, build={**build, "names": names}))
    code, out, err = run(capfd, "plan", "calm.o")
    assert code == 0, err
    plan = parse(Path("plan.json").read_bytes())
    assert plan.settings == "cgroup 0 system.slice\nexe 0 /usr/bin/make\n"
    assert "  setting     cgroup 0 system.slice" in out


def test_another_scheduler_runs(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.write("enabled", "scx_la\x1b[2Jvd", 3)
    code, out, err = run(capfd, "plan", write_policy("calm"))
    assert code == 4
    assert "  - another scheduler (scx_la<U+001B>[2Jvd)" in out
    assert "error[E0833]" in err and "systemctl stop scx" in err
    assert "\x1b" not in out + err
    assert not Path("plan.json").exists()


def test_a_kernel_that_can_run_none(
    place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write_policy("calm")
    (place.kernel / "btf").unlink()
    code, _, err = run(capfd, "plan", name)
    assert code == 2 and "error[E0831]" in err and "CONFIG_DEBUG_INFO_BTF" in err
    monkeypatch.setattr("schedc.load.kernel.SCHED_EXT", place.kernel / "none")
    code, _, err = run(capfd, "plan", name)
    assert code == 2 and "has no sched_ext" in err and "CONFIG_SCHED_CLASS_EXT" in err


REFUTED = """policy unfair 1.0.0
queue first fifo
queue second fifo
class a when nice < 0
class b
enqueue a to first slice 5ms
enqueue b to second slice 5ms
dispatch {
  take first
  take second
}
"""


def test_a_policy_that_is_not_proved(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    Path("unfair.sched").write_text(REFUTED)
    code, out, err = run(capfd, "plan", "unfair.sched")
    assert code == 1 and out == ""
    assert "error[E0501]" in err
    assert "error[E0594]: no plan is made: the policy is refuted" in err
    assert not Path("plan.json").exists()
