"""Drafts of plans, and plans of persons that the server may apply."""

from __future__ import annotations

import json
import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from schedc.load import plan as plans
from schedc.load.plan import Current, Kernel, Plan
from schedc.mcp import work
from schedc.mcp.deploying import _MOST_DRAFTS, _make_room
from schedc.mcp.refusal import Refused
from schedc.mcp.server import answer, checked, failed
from schedc.mcp.setup import Setup
from schedc.mcp.tools import TOOLS
from tests.mcp.session import Home, Session, said, unsafe

TARGET = {"release": "6.18.9-test", "boot_id": "0123-4567", "state": "disabled", "enable_seq": 3}
THERE = Kernel("6.18.9-test", "0123-4567"), Current("disabled", "", 3, None)


def drafted(session: Session, home: Home, **arguments: Any) -> tuple[dict[str, Any], Plan]:
    found = session.good("plan", policy="fair", target=TARGET, **arguments)
    path = home.root / "data/schedc/plans" / found["plan"]
    return found, plans.parse(path.read_bytes())


def test_a_draft_is_a_plan_that_a_loader_takes(session: Session, shared_home: Home) -> None:
    found, plan = drafted(session, shared_home, minutes=5, set={"slice": "5ms"})
    plans.verify(plan, now=plan.made, kernel=THERE[0], current=THERE[1])
    assert (plan.by, plan.sha256, plan.expires - plan.made) == ("mcp", found["sha256"], 300)
    assert "set tune_slice 5000000\n" in plan.settings
    assert f"schedc apply {shared_home.root}" in found["next"]
    assert found["current"] == "default" and "It changes nothing." in found["text"]
    folder = shared_home.root / "data/schedc/plans"
    assert folder.stat().st_mode & 0o077 == 0


def test_a_machine_that_can_run_no_policy_says_so(session: Session) -> None:
    if Path("/sys/kernel/sched_ext").exists():
        found = session.good("plan", policy="fair")
        assert found["kernel"] == os.uname().release
    else:
        code, text = session.bad("plan", policy="fair")
        assert code == "E0831" and "has no sched_ext" in text and "= help: boot one" in text


def test_old_drafts_make_room(tmp_path: Path) -> None:
    for number in range(_MOST_DRAFTS + 5):
        path = tmp_path / f"fair-{number:012x}.json"
        path.touch()
        os.utime(path, (number, number))
    (tmp_path / "mine.json").touch()
    os.utime(tmp_path / "mine.json", (0, 0))
    _make_room(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == _MOST_DRAFTS and left[0] == "fair-000000000006.json"
    assert "mine.json" in left


# --- applying


HISTORY = [
    {"at": 1.0, "what": "loaded", "policy": "fair", "by": "uid 0", "why": "on trial"},
    {"at": 2.0, "what": "aborted", "policy": "\x1b[31mevil", "by": "\u202euid", "why": "a\nb"},
]


class Loader:
    """A loader that says yes, or no: it speaks the real protocol over a real socket, and loads
    nothing. The true one is tried in the virtual machine (tests/vm)."""

    def __init__(self, folder: Path, confirms: bool = True) -> None:
        self.asked: list[dict[str, Any]] = []
        self.confirms = confirms
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(folder / "loader.sock"))
        self.socket.listen()
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as file:
            for line in file:
                request = json.loads(line)
                self.asked.append(request)
                file.write(json.dumps(self._answer(request)).encode() + b"\n")
                file.flush()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "confirm" and not self.confirms:
            return {"ok": False, "code": "E0843", "message": "it did not stay", "notes": [],
                    "help": None}  # fmt: skip
        if request["do"] == "history":
            return {"ok": True, "history": HISTORY[-request["last"] :]}
        kernel = {"release": "6.18.9-test", "state": "enabled", "ops": "fair", "enable_seq": 4,
                  "nr_rejected": 0, "events": {}}  # fmt: skip
        return {"ok": True, "kernel": kernel, "policy": None, "previous": None, "programs": [],
                "counters": {"classes": [], "queues": []}, "quarantined": []}  # fmt: skip

    def done(self) -> list[str]:
        return [str(one["do"]) for one in self.asked if one["do"] != "status"]


@pytest.fixture(scope="module")
def draft(session: Session, shared_home: Home) -> tuple[Path, Plan]:
    """A draft of the server's: its file, and what it says."""
    found, plan = drafted(session, shared_home)
    return shared_home.root / "data/schedc/plans" / found["plan"], plan


@pytest.fixture
def setup(
    home: Home, draft: tuple[Path, Plan], monkeypatch: pytest.MonkeyPatch
) -> Setup:
    """A folder with a person's plan, `by_hand.json`, and a draft of the server's."""
    for variable, value in home.environment.items():
        monkeypatch.setenv(variable, value)
    for folder in ("apply", "run"):
        (home.root / folder).mkdir(mode=0o700)
    monkeypatch.setenv("SCHEDC_RUN_DIR", str(home.root / "run"))
    folder = home.root / "apply"
    (folder / "by_hand.json").write_text(replace(draft[1], by="a person").text())
    shutil.copy(draft[0], folder / "draft.json")
    return Setup(home.root / "tmp", home.root / "plans", home.root / "profiles", apply=folder)


def apply(setup: Setup, **arguments: Any) -> tuple[bool, str]:
    """Whether it is refused, and what is said."""
    try:
        values = checked(TOOLS["apply_plan"], arguments)
        result = answer(work.call("apply_plan", values, setup))
    except Refused as refused:
        result = failed(refused)
    return bool(result.is_error), said(result)


def test_a_draft_is_never_applied(setup: Setup, home: Home) -> None:
    loader = Loader(home.root / "run")
    wrong, text = apply(setup, plan="draft.json")
    assert wrong and "error[E1245]: `draft.json` was drafted by an agent" in text
    assert loader.asked == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"plan": "no.json"}, "there is: by_hand.json, draft.json"),
        ({"plan": "../apply/by_hand.json"}, "no plan in the server's folder is called"),
        ({"plan": "by_hand.json", "guards": ["cmd:touch /tmp/owned < 1"]}, "runs no command"),
        ({"plan": "by_hand.json", "guards": ["throughput:./x > 9%"]}, "runs no command"),
        ({"plan": "by_hand.json", "guards": ["p99 > 20ms"]}, "error[E0910]"),
        ({"plan": "by_hand.json", "seconds": 1}, "error[E1241]"),
        ({"plan": "link.json"}, "can't be read"),
        ({"plan": "changed.json"}, "error[E0835]"),
    ],
)
def test_what_is_not_applied(
    arguments: dict[str, Any], why: str, setup: Setup, home: Home
) -> None:
    loader = Loader(home.root / "run")
    assert setup.apply is not None
    (setup.apply / "changed.json").write_text(
        (setup.apply / "draft.json").read_text().replace('"by": "mcp"', '"by": "me"')
    )
    if arguments["plan"] == "link.json":
        (setup.apply / "link.json").symlink_to("by_hand.json")
    elif arguments["plan"] != "changed.json":
        (setup.apply / "changed.json").unlink()
    wrong, text = apply(setup, **arguments)
    assert wrong and why in text
    assert loader.done() == []


def test_without_a_loader_nothing_happens(setup: Setup) -> None:
    wrong, text = apply(setup, plan="by_hand.json")
    assert wrong and "error[E0830]: no loader is running" in text


@pytest.mark.parametrize("confirms", [True, False])
def test_a_persons_plan_is_a_canary(
    confirms: bool, setup: Setup, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Always with a time and an end; what the loader is told says who asked."""
    monkeypatch.setattr("schedc.deploy.canary.time.sleep", lambda seconds: None)
    now = iter(range(10_000))
    monkeypatch.setattr("schedc.deploy.canary.time.monotonic", lambda: float(next(now)))
    loader = Loader(home.root / "run", confirms)
    wrong, text = apply(setup, plan="by_hand.json", seconds=12)
    load = loader.asked[0]
    assert (load["do"], load["canary_s"]) == ("load", 12)
    assert load["plan"]["by"] == "a person" and load["by"] == "mcp: plan by a person"
    assert loader.done()[1] == "confirm"
    assert not wrong and ("confirmed" if confirms else "aborted: it did not stay") in text


def test_what_was_loaded_is_told(setup: Setup, home: Home) -> None:
    Loader(home.root / "run")
    found = answer(work.call("history", checked(TOOLS["history"], {}), setup))
    first, second = found.structured_content["events"]
    assert (first["what"], first["policy"], first["why"]) == ("loaded", "fair", "on trial")
    assert second["policy"].startswith("name-") and second["why"] == "a b"
    assert not unsafe(said(found)) and not unsafe(second["by"])
    one = answer(work.call("history", checked(TOOLS["history"], {"last": 1}), setup))
    assert len(one.structured_content["events"]) == 1
