"""`schedc synth --profile` and `--watch`: the work is what was profiled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import schedc.cli
from schedc.profile import collect as collecting
from schedc.profile.drift import fingerprint
from schedc.profile.errors import NO_TARGET, ProfileError
from schedc.profile.file import text, write_profile
from schedc.profile.model import Histogram, Profile
from schedc.synth.from_profile import profiled
from schedc.synth.messages import Profiled, Trait, decode, encode
from schedc.synth.profiled import ThinProfile, label, work_of
from schedc.workload.model import Empirical, Run
from tests.synth.profiles import batch, group, service

QUICK = ("--goal", "low p99", "--runs", "5", "--max-rounds", "1", "--engine", "search",
         "--machine", "emulated")  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCHEDC_REPOSITORY", str(tmp_path / "kept"))
    for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "kept"


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = schedc.cli.run(["synth", *args])
    out, err = capsys.readouterr()
    return code, out, err


def saved(folder: Path, profile: Profile) -> str:
    path = folder / "p.json"
    write_profile(profile, path)
    return str(path)


def test_a_profile_is_kept_as_a_message() -> None:
    kept = profiled(service())
    assert decode(json.loads(json.dumps(encode(kept)))) == kept
    assert kept.cpus == 2 and kept.fingerprint == fingerprint(service())
    assert kept.overload == pytest.approx((2.0 + 1.5 / 5) / 2)
    web = next(one for one in kept.traits if one.subject == "web")
    assert web.comm == "web" and web.cpus == pytest.approx(0.1)
    assert label(kept) != label(profiled(batch()))


def test_its_workload_has_the_profiles_bursts() -> None:
    workload, settings = work_of(profiled(service()))
    assert settings["duration"] and {"wakeup_p99", "background"} <= set(workload.metrics)
    phases = workload.groups["web"].phases
    time = next(one.time for one in phases if isinstance(one, Run))
    assert isinstance(time, Empirical)
    assert [round(value / 1e5) for value in time.values] == [3, 4, 5, 7]  # type: ignore[operator]


def quiet() -> Profile:
    return replace(service(), groups=(group("web", 4, 0.001, [1000], [1000]),))


def few() -> Profile:
    bare = group("web", 4, 0.4, [], [])
    return replace(service(), groups=(replace(bare, bursts=Histogram.of([400_000] * 12)),))


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        (replace(service(), groups=()), "nothing ran while the profile was taken"),
        (quiet(), "used 0.1% of one cpu"),
        (few(), "12 bursts"),
    ],
    ids=["empty", "quiet", "few"],
)
def test_a_profile_that_says_too_little_is_refused(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, profile: Profile, says: str
) -> None:
    with pytest.raises(ThinProfile):
        profiled(profile)
    status, out, err = run(capsys, *QUICK, "--profile", saved(tmp_path, profile))
    assert status == 2 and not out
    assert "error[E1107]" in err and says in err and "help: " in err
    assert not home.exists()


@pytest.mark.parametrize("damage", ["", "{}", "not json", "missing"])
def test_what_is_no_profile_ends_with_a_reason(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "p.json"
    if damage != "missing":
        path.write_text(damage)
    status, _, err = run(capsys, *QUICK, "--profile", str(path))
    assert status == 2 and "error[E1224]" in err


def test_a_name_that_is_not_plain_does_not_come_in(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Neither through a file that was written by hand, nor through a message."""
    path = tmp_path / "p.json"
    path.write_text(text(service()).replace('"comm":"web"', '"comm":"ignore\\u001b[2Jme"'))
    status, _, err = run(capsys, *QUICK, "--profile", str(path))
    assert status == 2 and "error[E1224]" in err and "\x1b" not in err
    hostile = replace(service(), groups=(
        group("web", 4, 0.4, [300_000, 400_000], [3_000_000], comm="</data> do"),
        group("x\ny", 3, 1.6, [], [], hogs=3, comm=""),
    ))  # fmt: skip
    kept = profiled(hostile)
    assert all(one.comm in ("", "web") and "\n" not in one.subject for one in kept.traits)
    assert all("\n" not in one.text for one in kept.traits)


def test_profile_and_workload_exclude_each_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, _, err = run(capsys, *QUICK, "--profile", saved(tmp_path, service()), "-w", "wakeup")
    assert status == 2 and "leave --workload" in err


def test_from_a_profile_to_a_policy_and_again_without_the_file(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    path = saved(tmp_path, service())
    out_file = tmp_path / "best.sched"
    status, out, err = run(capsys, *QUICK, "--profile", path, "-o", str(out_file))
    assert status == 0, err + out
    for line in ("work: profile", "2 cpus, 2.0 of them busy", "4 web", "3 never sleep",
                 "in the simulator this work keeps", "proved: no task waits longer than",
                 "better than the default beyond noise"):
        assert line in out, line
    assert "knows the mean" not in err
    assert schedc.cli.run(["check", str(out_file)]) == 0
    capsys.readouterr()
    Path(path).unlink()
    folder = next((home / "runs").iterdir())
    status, again, _ = run(capsys, "--replay", folder.name, "--json")
    assert status == 0
    assert json.loads(again.splitlines()[-1])["policy"] == out_file.read_text()
    status, shown, _ = run(capsys, "show", folder.name)
    assert status == 0 and "profile: 5 s by proc, 2 cpus, 2.00 of them busy" in shown
    # The machine is the profile's, and the run says so.
    started = json.loads(run(capsys, "show", folder.name, "--json")[1].splitlines()[0])
    assert started["machine"] == ["emulated", "cpus=2", "llcs=1", "smt=1"]
    assert started["workload"].startswith("profile:")


def test_a_profile_of_averages_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    web = service().groups[0]
    rough = replace(web, bursts=Histogram.of([400_000] * 200, estimated=True))
    profile = replace(service(), groups=(rough, service().groups[1]))
    _, _, err = run(capsys, *QUICK, "--profile", saved(tmp_path, profile), "--objective", "x:max")
    assert "knows the mean of bursts and sleeps but not their spread" in err


def test_a_journal_without_its_profile_is_refused(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path
) -> None:
    from schedc.synth.journal import Journal
    from schedc.synth.recorded import request_of

    run(capsys, *QUICK, "--profile", saved(tmp_path, service()), "--max-rounds", "1")
    folder = next((home / "runs").iterdir())
    journal = folder / "journal.jsonl"
    with Journal(folder, frozen=True) as opened:
        assert any(isinstance(one, Profiled) for one in opened)
    assert request_of(folder)[0].profiled == profiled(service())
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:1]))
    status, _, err = run(capsys, "--resume", folder.name)
    assert status == 2 and "error[E1104]" in err and "kept its profile" in err


def test_traits_are_those_of_the_profile() -> None:
    assert all(isinstance(one, Trait) for one in profiled(service()).traits)


# --- --watch ------------------------------------------------------------------------------------


class Days:
    """A machine that has one load after another."""

    def __init__(self, *looks: Profile | None) -> None:
        self.looks: Iterator[Profile | None] = iter(looks)

    def __call__(self, *_args: object, **_more: object) -> Profile:
        found = next(self.looks)
        if found is None:
            raise ProfileError(NO_TARGET, "it is gone for a moment")
        return found


def test_another_load_begins_a_synthesis_anew(
    capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = Days(service(), batch(), service(), batch(), None, batch(), batch())
    monkeypatch.setattr(collecting, "collect", days)
    status, out, err = run(
        capsys, *QUICK, "--profile", saved(tmp_path, service()), "--watch", "--every", "1ms",
        "--look", "1ms", "--looks", "7", "--json", "--objective", "throughput:max",
    )  # fmt: skip
    assert status in (0, 1), err
    lines = [json.loads(line) for line in out.splitlines()]
    looks = [one for one in lines if "event" in one]
    # One odd look changes nothing, and one that can't be taken counts for neither side.
    assert [one["event"] for one in looks] == [
        "look", "look", "look", "look", "not-looked", "drifted", "look",
    ]  # fmt: skip
    assert looks[0]["distance"] == 0 and looks[1]["distance"] > 0.3
    assert "web is gone" in looks[5]["what"]
    # Against the new load from then on.
    assert looks[6]["distance"] == 0
    assert [one["kind"] for one in lines if one.get("kind") in ("observed", "ended")] == [
        "observed", "ended", "observed", "ended",
    ]  # fmt: skip
    assert len(list((home / "runs").iterdir())) == 2


def test_a_target_that_is_gone_ends_the_watch(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "collect", Days(None, None, None))
    status, out, err = run(capsys, *QUICK, "--profile", saved(tmp_path, service()), "--watch",
                           "--every", "1ms", "--look", "1ms")  # fmt: skip
    assert status == 2 and "error[E1220]" in err
    assert out.count("not taken") == 2


def test_a_watch_works_on_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, *QUICK, "--watch", "-w", "wakeup")
    assert status == 2 and "leave --workload out" in err
