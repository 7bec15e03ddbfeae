"""`schedc watch` against the loader's real server: the policy goes when the load does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import schedc.cli
from schedc.profile import collect as collecting
from schedc.profile.errors import NO_TARGET, ProfileError
from schedc.profile.file import write_profile
from schedc.profile.looks import Looks, Pace
from schedc.profile.model import Profile
from tests.deploy.machine import Place, history, write_policy
from tests.synth.profiles import batch, service

FAST = ("--every", "1ms", "--look", "1ms")


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = schedc.cli.run(arguments)
    out, err = capfd.readouterr()
    return code, out, err


def planned(capfd: pytest.CaptureFixture[str], name: str) -> str:
    code, _, err = run(capfd, "plan", write_policy(name), "-o", f"{name}.json")
    assert code == 0, err
    return f"{name}.json"


def running(capfd: pytest.CaptureFixture[str], name: str = "calm") -> None:
    assert run(capfd, "apply", planned(capfd, name))[0] == 0


class Days:
    """Looks at a machine that has one load after another; what is callable happens just then."""

    def __init__(self, *looks: object) -> None:
        self.looks: Iterator[object] = iter(looks)

    def __call__(self, *_args: object, **_more: object) -> Profile:
        found = next(self.looks)
        while callable(found):
            found()
            found = next(self.looks)
        if not isinstance(found, Profile):
            raise ProfileError(NO_TARGET, "it is gone for a moment")
        return found


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> object:
    """Sets what the looks see; the profile to compare with is in p.json."""
    write_profile(service(), Path("p.json"))

    def see(*looks: object) -> None:
        monkeypatch.setattr(collecting, "collect", Days(*looks))

    return see


def test_another_load_unloads_the_policy_and_the_history_says_why(
    machine: Place, capfd: pytest.CaptureFixture[str], day
) -> None:  # type: ignore[no-untyped-def]
    running(capfd)
    day(service(), batch(), service(), None, batch(), batch())
    code, out, err = run(capfd, "watch", "p.json", *FAST)
    assert code == 1, err
    lines = out.splitlines()
    assert lines[0].startswith("watching object ")
    # One odd look, and one that can't be taken, change nothing.
    assert [line.split(":")[0] for line in lines[1:7]] == [f"look {n}" for n in range(1, 7)]
    assert "not taken: E1220" in lines[4]
    assert lines[7].startswith("the load is another one: drift 1.00 > 0.30, twice: ")
    assert lines[8] == "unloaded: the kernel's default scheduler is back"
    events = history(machine)
    assert [one[0] for one in events] == ["loaded", "confirmed", "unloaded"]
    assert events[2][2].startswith("watch: drift 1.00 > 0.30, twice: ")
    assert "web is gone" in events[2][2]
    assert (machine.kernel / "state").read_text() == "disabled\n"


def test_nothing_is_done_while_the_load_stays(
    machine: Place, capfd: pytest.CaptureFixture[str], day
) -> None:  # type: ignore[no-untyped-def]
    running(capfd)
    day(service(), service(), batch())
    code, out, _ = run(capfd, "watch", "p.json", *FAST, "--looks", "3", "--json")
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    assert [one["event"] for one in events] == ["watching", "look", "look", "look"]
    assert events[1]["distance"] == 0 and events[3]["distance"] > 0.3
    assert [one[0] for one in history(machine)] == ["loaded", "confirmed"]


def test_a_prepared_plan_takes_over_and_goes_with_its_load(
    machine: Place, capfd: pytest.CaptureFixture[str], day
) -> None:  # type: ignore[no-untyped-def]
    running(capfd)
    night = planned(capfd, "night")
    # Many names in the reason, which is then longer than the loader takes.
    names = [f"worker-{number:08}" for number in range(8)]
    busy = replace(batch(), groups=tuple(replace(batch().groups[0], name=one) for one in names))
    day(busy, busy, busy, service(), service())
    code, out, err = run(capfd, "watch", "p.json", *FAST, "--on-drift", night, "--for", "1s",
                         "--guard", "p99 < 20ms")  # fmt: skip
    assert code == 1, err
    assert re.search(r"the plan took over: object [0-9a-f]{12} was confirmed after 1 s", out)
    assert "look 3: drift 0.00" in out
    events = history(machine)
    assert [(one[0], one[1]) for one in events] == [
        ("loaded", "calm"), ("confirmed", "calm"), ("loaded", "night"), ("confirmed", "night"),
        ("unloaded", "night"),
    ]  # fmt: skip


def test_a_plan_that_does_not_stay_ends_with_the_default(
    machine: Place, capfd: pytest.CaptureFixture[str], day
) -> None:  # type: ignore[no-untyped-def]
    running(capfd)
    night = planned(capfd, "night")
    day(batch(), lambda: machine.wait(50_000_000), batch())
    code, out, _ = run(capfd, "watch", "p.json", *FAST, "--on-drift", night, "--for", "20s",
                       "--guard", "p99 < 20ms")  # fmt: skip
    assert code == 4
    assert "the plan did not stay (E0912): `p99 < 20ms` does not hold" in out
    assert out.endswith("unloaded: the kernel's default scheduler is back\n")
    assert [one[0] for one in history(machine)][2:] == [
        "loaded", "aborted", "reattached", "unloaded",
    ]
    assert (machine.kernel / "state").read_text() == "disabled\n"


def test_a_plan_that_is_stale_by_then_ends_with_the_default(
    machine: Place, capfd: pytest.CaptureFixture[str], day
) -> None:  # type: ignore[no-untyped-def]
    running(capfd)
    night = planned(capfd, "night")
    sequence = machine.kernel / "enable_seq"
    day(batch(), lambda: sequence.write_text("77\n"), batch())
    code, out, _ = run(capfd, "watch", "p.json", *FAST, "--on-drift", night, "--for", "1s")
    assert code == 4 and "the plan did not stay (E0840)" in out
    assert [one[0] for one in history(machine)][-1] == "unloaded"


def test_a_plan_that_could_not_be_applied_is_refused_at_once(
    machine: Place, capfd: pytest.CaptureFixture[str], day
) -> None:  # type: ignore[no-untyped-def]
    stale = planned(capfd, "night")
    running(capfd)
    day()
    code, out, err = run(capfd, "watch", "p.json", *FAST, "--on-drift", stale)
    assert code == 4 and not out and "error[E0840]" in err
    code, _, err = run(capfd, "watch", "p.json", *FAST, "--on-drift", "missing.json")
    assert code == 2 and "error[E0111]" in err


def test_a_policy_of_somebody_else_is_left_alone(
    machine: Place, capfd: pytest.CaptureFixture[str], day
) -> None:  # type: ignore[no-untyped-def]
    running(capfd)
    day(batch(), lambda: running(capfd, "other"), batch())
    code, out, _ = run(capfd, "watch", "p.json", *FAST)
    assert code == 4
    assert "another policy was loaded meanwhile: it is left alone" in out
    assert [one[0] for one in history(machine)] == ["loaded", "confirmed", "loaded", "confirmed"]


def test_without_a_policy_there_is_nothing_to_watch(
    machine: Place, capfd: pytest.CaptureFixture[str], day
) -> None:  # type: ignore[no-untyped-def]
    day()
    code, out, _ = run(capfd, "watch", "p.json", *FAST)
    assert (code, out) == (1, "no policy of the loader runs\n")


def test_ctrl_c_leaves_the_policy(
    machine: Place, capfd: pytest.CaptureFixture[str], day
) -> None:  # type: ignore[no-untyped-def]
    def interrupt() -> None:
        raise KeyboardInterrupt

    running(capfd)
    day(service(), interrupt)
    code, _, err = run(capfd, "watch", "p.json", *FAST)
    assert code == 0 and "what runs is left alone" in err
    assert [one[0] for one in history(machine)] == ["loaded", "confirmed"]


@pytest.mark.parametrize(
    "option",
    [("--every", "soon"), ("--look", "0s"), ("--drift", "0"), ("--drift", "1.5"),
     ("--pid", "1", "--cgroup", "x")],
)
def test_options_that_make_no_sense(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, option: tuple[str, ...]
) -> None:
    path = tmp_path / "p.json"
    write_profile(service(), path)
    code, _, err = run(capfd, "watch", str(path), *option)
    assert code == 2 and err.startswith("error: ") and "help: see `schedc watch --help`" in err


def test_looks_begin_at_their_times_however_long_they_take() -> None:
    now, slept = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    def take() -> Profile:
        nonlocal now
        now += 4 if len(slept) == 2 else 1
        return service()

    looks = iter(Looks(service(), Pace(3, 0.3), take, lambda: now, sleep))
    assert [next(looks).number for _ in range(4)] == [1, 2, 3, 4]
    assert slept == [3, 2, 0, 2]
