"""From one policy to the next, and back: every way that a change can go."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedc.load.errors import NOT_NOW, QUARANTINED, STALE, LoadError
from schedc.load.plan import Plan
from tests.load.fake import Loader, loader, until
from tests.load.samples import plan


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Loader]:
    with loader(tmp_path) as running:
        yield running


def refusal(load: Loader, plan: Plan) -> LoadError:
    with load.connect() as client, pytest.raises(LoadError) as refused:
        client.ask({"do": "load", "plan": plan.as_json(), "canary_s": None, "by": "tests"})
    return refused.value


def test_loaded_for_good(one: Loader) -> None:
    plan = one.load("unresolved")
    with one.connect() as client:
        status = client.ask({"do": "status"})
    assert status["policy"]["stage"] == "confirmed"
    assert status["policy"]["object"] == plan.object_sha256
    assert status["policy"]["by"].startswith("tests (uid ")
    assert status["counters"]["classes"] == [{"name": "everyone", "run": 7}]
    assert status["kernel"]["ops"] == "unresolved" and status["previous"] is None
    assert one.told() == [("loaded", "unresolved"), ("confirmed", "unresolved")]


def test_one_that_is_slow_to_tell_its_figures_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedc.load.holder.READ_S", 0.2)
    with loader(tmp_path) as one:
        one.load("slow")
        holder = (one.fake.folder / "holder").read_text()
        with one.connect() as client:
            for _ in range(3):
                assert client.ask({"do": "status"})["counters"]["classes"] == []
        time.sleep(2.0)
        assert one.running() == ("slow", "confirmed")
        assert (one.fake.folder / "holder").read_text() == holder
        # An answer that comes too late is not taken for that of a later order.
        one.load("fast", plan("slow"))
        assert one.running() == ("fast", "confirmed")
        assert [what for what, _ in one.told()] == ["loaded", "confirmed"] * 2


def test_a_trial_that_is_confirmed(one: Loader) -> None:
    with one.connect() as client:
        trial = client.canary(one.plan("new"), 30, "tests")
        assert one.running() == ("new", "canary")
        assert trial.poll() is None
        trial.confirm()
    assert one.running() == ("new", "confirmed")
    assert one.told() == [("loaded", "new"), ("confirmed", "new")]


@pytest.mark.parametrize("way", ["abort", "end", "deadline", "rollback", "unload"])
def test_a_trial_that_is_not(one: Loader, way: str) -> None:
    old = one.load("old")
    client = one.connect()
    trial = client.canary(one.plan("new", old), 0.1 if way == "deadline" else 30, "tests")
    assert trial.loaded["stage"] == "canary" and one.running() == ("new", "canary")
    match way:
        case "abort":
            assert trial.abort("guard p99")["policy"] == "old"
        case "end":
            client.close()
        case "deadline":
            said = until(trial.poll)
            assert said.code == NOT_NOW and "in time" in said.message
        case _:
            with one.connect() as other:
                other.ask({"do": way, "reason": "by hand"})
    wanted = ("", "") if way == "unload" else ("old", "confirmed")
    until(lambda: one.running() == wanted)
    ends = ["unloaded"] if way == "unload" else ["aborted", "reattached"]
    assert [what for what, _ in one.told()] == ["loaded", "confirmed", "loaded", *ends]


def test_only_its_own_connection_confirms_a_trial(one: Loader) -> None:
    with one.connect() as client, one.connect() as other:
        client.canary(one.plan("new"), 30, "tests")
        for request in ({"do": "confirm"}, {"do": "abort", "reason": "x"}):
            with pytest.raises(LoadError) as refused:
                other.ask(request)
            assert refused.value.code == NOT_NOW
        assert one.running() == ("new", "canary")


def test_one_trial_at_a_time(one: Loader) -> None:
    with one.connect() as client:
        client.canary(one.plan("new"), 30, "tests")
        assert refusal(one, one.plan("other")).code == NOT_NOW


def test_a_refused_one_changes_nothing(one: Loader) -> None:
    old = one.load("old")
    before = one.fake.read()
    assert "as its name says" in refusal(one, one.plan("refused", old)).message
    assert one.fake.read() == before and one.running() == ("old", "confirmed")
    assert one.told()[-1] == ("refused", "refused")


def test_one_that_does_not_attach_gives_way_to_the_old(one: Loader) -> None:
    old = one.load("old")
    assert "not attached" in refusal(one, one.plan("unattached", old)).message
    assert one.running() == ("old", "confirmed")
    assert one.told()[-2:] == [("reattached", "old"), ("refused", "unattached")]


def test_a_plan_for_something_else_than_what_runs(one: Loader) -> None:
    before = one.plan("new")
    one.load("old")
    assert refusal(one, before).code == STALE
    assert one.running() == ("old", "confirmed")


def test_two_ejections_are_a_quarantine_until_a_person_clears_it(one: Loader) -> None:
    for _ in range(2):
        with one.connect() as client:
            trial = client.canary(one.plan("ejected"), 30, "tests")
            said = until(trial.poll)
        assert said.code == "E0803" and "x[7] failed to run for 2.0s" in said.notes[0]
        until(lambda: one.running() == ("", ""))
    refused = refusal(one, one.plan("ejected"))
    assert refused.code == QUARANTINED
    with one.connect() as client:
        (entry,) = client.ask({"do": "status"})["quarantined"]
        assert entry["policy"] == "ejected" and "failed to run" in entry["why"][0]
        client.ask({"do": "clear", "hash": entry["source"][:12]})
        client.canary(one.plan("ejected"), 30, "tests")


def test_a_confirmed_one_that_is_ejected_gives_way_to_the_one_before(one: Loader) -> None:
    old = one.load("old")
    one.load("ejected", old)
    until(lambda: one.running() == ("old", "confirmed"))
    assert one.told()[-2:] == [("ejected", "ejected"), ("reattached", "old")]
    one.stop()
    one.start()
    until(lambda: one.running() == ("old", "confirmed"))


def test_rollback_goes_one_back(one: Loader) -> None:
    old = one.load("old")
    one.load("new", old)
    with one.connect() as client:
        assert client.ask({"do": "status"})["previous"]["name"] == "old"
        assert client.ask({"do": "rollback", "reason": "regret"})["policy"] == "old"
        assert one.running() == ("old", "confirmed")
        with pytest.raises(LoadError) as refused:
            client.ask({"do": "rollback", "reason": "again"})
    assert refused.value.code == NOT_NOW


def test_a_holder_that_dies_comes_back(one: Loader) -> None:
    one.load("old")
    pid = int((one.fake.folder / "holder").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    until(lambda: ("reattached", "old") in one.told())
    assert one.running() == ("old", "confirmed")
    with one.connect() as client:
        died = client.ask({"do": "history", "last": 2})["history"][0]
    assert died["what"] == "loader-died" and "SIGKILL" in died["why"]


def test_a_holder_that_dies_in_a_trial_does_not(one: Loader) -> None:
    with one.connect() as client:
        trial = client.canary(one.plan("new"), 30, "tests")
        os.kill(int((one.fake.folder / "holder").read_text().split()[0]), signal.SIGKILL)
        assert "SIGKILL" in until(trial.poll).message
    time.sleep(1.5)
    assert one.running() == ("", "")
    assert one.told()[-1] == ("loader-died", "new")


def test_a_cpu_that_comes_or_goes_loads_it_again(one: Loader) -> None:
    one.load("hotplug")
    until(lambda: one.told()[-1] == ("reattached", "hotplug"))
    assert one.running() == ("hotplug", "confirmed")


def test_a_trial_goes_on_when_a_cpu_comes_or_goes(one: Loader) -> None:
    with one.connect() as client:
        trial = client.canary(one.plan("hotplug"), 30, "tests")
        until(lambda: one.told()[-1] == ("reattached", "hotplug"))
        assert one.running() == ("hotplug", "canary") and trial.poll() is None
        trial.confirm()
    assert one.running() == ("hotplug", "confirmed")


def test_the_service_stops_and_starts(one: Loader) -> None:
    one.load("old")
    assert one.stop() == 0
    assert one.fake.read().state == "disabled"
    assert not one.where.socket.exists()
    one.start()
    until(lambda: one.running() == ("old", "confirmed"))
    assert [what for what, _ in one.told()] == ["loaded", "confirmed", "unloaded", "reattached"]


def test_if_both_are_killed_nothing_stays(one: Loader) -> None:
    one.load("old")
    one.stop(signal.SIGKILL)
    until(lambda: one.fake.read().state == "disabled")  # PR_SET_PDEATHSIG
    one.start()  # a stale socket and lock don't matter
    until(lambda: one.running() == ("old", "confirmed"))
    # Nobody was left to tell it, so the next one does; and only once.
    assert one.told()[-2:] == [("loader-died", "old"), ("reattached", "old")]
    one.stop()
    one.start()
    until(lambda: one.running() == ("old", "confirmed"))
    assert one.told()[-2:] == [("unloaded", "old"), ("reattached", "old")]


def test_unloaded_is_not_loaded_again(one: Loader) -> None:
    one.load("old")
    with one.connect() as client:
        client.ask({"do": "unload", "reason": "enough"})
        with pytest.raises(LoadError) as refused:
            client.ask({"do": "unload", "reason": "enough"})
    assert refused.value.code == NOT_NOW
    one.stop()
    one.start()
    assert one.running() == ("", "")


def test_a_quarantined_or_changed_confirmed_plan_is_not_loaded_at_start(one: Loader) -> None:
    one.load("old")
    one.stop()
    path = one.where.confirmed / "current.json"
    path.write_text(path.read_text().replace("tune_slice 5000000", "tune_slice 5000001"))
    one.start()
    assert one.running() == ("", "") and one.told()[-1] == ("refused", None)
