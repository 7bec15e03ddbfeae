"""Names that were chosen to do harm, in every place where a name can stand: nothing changes but
the quoted datum.

`hostile_names.txt` holds them. Every tool is asked with each of them, as an argument and as what
it finds on the machine: names of tasks, groups, policies, profiles, plans, descriptions, paths.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_types import CallToolResult

from schedc.mcp import quote, work
from schedc.mcp.refusal import BAD_ARGUMENTS, Refused
from schedc.mcp.server import answer, checked, failed
from schedc.mcp.setup import Setup
from schedc.mcp.tools import TOOLS
from tests.mcp.session import Home, Session, said, unsafe

NAMES = [
    json.loads(line)
    for line in (Path(__file__).parent / "hostile_names.txt").read_text().splitlines()
    if not line.startswith("#")
]
SECRET = "the-secret-of-another-file"
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,63}", re.ASCII)
LANGUAGE = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)


def test_there_are_enough() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 50


@pytest.mark.parametrize("name", NAMES)
def test_a_name_comes_out_plain_or_opaque(name: str) -> None:
    shown = quote.name(name)
    assert PLAIN.fullmatch(shown)
    assert shown == name or re.fullmatch(r"name-[0-9a-f]{8}", shown)
    assert not unsafe(quote.line(name)) and len(quote.line(name)) <= quote.MAX_TEXT
    assert "\n" not in quote.line(name)
    assert not unsafe(quote.block(name, 100)) and len(quote.block(name, 100)) <= 100


# --- as an argument


@pytest.fixture
def setup(home: Home, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """A user's folders, with secrets beside them that no name may reach."""
    for variable, value in home.environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(home.root / "work")
    found = Setup(
        home.root / "tmp", home.root / "data/schedc/plans", home.root / "data/schedc/profiles",
        apply=home.root / "apply",
    )
    for folder in ("apply", "data/schedc/profiles", "data/schedc/policies/.git"):
        (home.root / folder).mkdir(parents=True)
    for place in ("secret", "work/secret", "data/secret", "data/schedc/secret"):
        for suffix in ("", ".json", ".sched", ".toml"):
            (home.root / f"{place}{suffix}").write_text(SECRET)
    return found


def ask(setup: Setup, tool: str, **arguments: Any) -> CallToolResult:
    """As the server does it, in this process."""
    try:
        return answer(work.call(tool, checked(TOOLS[tool], arguments), setup))
    except Refused as refused:
        return failed(refused)


def everything(result: CallToolResult) -> str:
    """All texts of a result."""
    text = said(result) + json.dumps(result.structured_content, ensure_ascii=False)
    assert "internal error" not in text and SECRET not in text
    assert not unsafe(text)
    return text


ASKED = (
    ("show_policy", "policy", "E1002"), ("history", "policy", "E1002"),
    ("check", "policy", "E1002"), ("read_profile", "profile", "E1244"),
    ("show_workload", "workload", "E1208"), ("show_workload", "profile", "E1244"),
    ("apply_plan", "plan", "E1245"), ("create_profile", "cgroup", "E1220"),
)  # fmt: skip


@pytest.mark.parametrize(("tool", "argument", "code"), ASKED)
def test_as_an_argument(tool: str, argument: str, code: str, setup: Setup, home: Home) -> None:
    before = home.files()
    benign = said(ask(setup, tool, **{argument: "/no/benign"}))
    assert f"error[{code}]" in benign and "/no/benign" in benign
    for name in NAMES:
        if tool == "create_profile" and name.strip("/.") in ("", " "):
            continue  # a path of the root group, which there is
        result = ask(setup, tool, **{argument: name})
        everything(result)
        assert result.is_error
        found = result.structured_content["diagnostics"][0]["code"]
        assert found in (code, BAD_ARGUMENTS), name
        if found == BAD_ARGUMENTS:
            assert name in ("", " ") or len(name) > 40 or name not in said(result)
        elif not LANGUAGE.fullmatch(name) and code in ("E1002", "E1244", "E1245"):
            assert said(result) == benign.replace("/no/benign", quote.line(name, 60))
    assert home.files() == before


def test_as_words_and_settings(setup: Setup, home: Home) -> None:
    before = home.files()
    for name in NAMES[::10]:  # each reads the whole library
        everything(ask(setup, "search_policies", words=name or "x"))
        everything(ask(setup, "list_policies", goal=name))
    for number, name in enumerate(NAMES):
        setting = {name: "1ms"} if number % 2 else {"slice": name}
        result = ask(setup, "prove", policy="fair", set=setting)
        assert result.is_error, name
        everything(result)
        params = {"think": name} if number % 2 else {name: "1"}
        result = ask(setup, "show_workload", workload="wakeup", params=params)
        assert result.is_error, name
        everything(result)
        for guard in (name, f"cmd:{name} < 1"):
            result = ask(setup, "apply_plan", plan="x", guards=[guard])
            assert result.is_error
            everything(result)
    assert home.files() == before and not Path("/tmp/owned").exists()


# --- in a policy's or a workload's text


def test_in_the_text_of_a_policy(setup: Setup) -> None:
    """A string of the language holds plain text alone: what holds more is refused, visibly."""
    template = (
        'policy {0} 1.0.0\n"{1}"\nqueue all fifo\nclass mine when {2} "{3}"\nclass other\n'
        "enqueue mine to all\nenqueue other to all\ndispatch {{ take all }}\n"
    )
    for name in NAMES:
        places = [("p", "d", kind, name) for kind in ("comm", "cgroup", "exe")]
        for place in (*places, (name, "d", "comm", "x"), ("p", name, "comm", "x")):
            everything(ask(setup, "check", source=template.format(*place), proof=False))


def test_in_the_text_of_a_workload(setup: Setup) -> None:
    for name in NAMES:
        text = json.dumps(name, ensure_ascii=False)
        for key in ("comm", "cgroup"):
            result = ask(setup, "show_workload", workload_toml=workload("quiet", key, text))
            everything(result)
            if not result.is_error and key == "comm":
                (group,) = result.structured_content["groups"]
                assert group["comm"] == quote.name(name)
        result = ask(setup, "show_workload", workload_toml=workload(text, "comm", '"x"'))
        everything(result)
        assert result.is_error or LANGUAGE.fullmatch(name)


def workload(group: str, key: str, value: str) -> str:
    return (
        f'format = 1\nname = "w"\ndescription = {value}\nmetrics = ["throughput"]\n'
        f"[groups.{group}]\n{key} = {value}\nloop = \"forever\"\nphases = [\n"
        '  { do = "sleep", time = "1ms" },\n  { do = "run", time = "1ms" },\n'
        '  { do = "count", what = "throughput" },\n]\n'
    )


# --- found on the machine, over the real transport


def files_named_so(folder: Path, suffix: str, text: str) -> int:
    """Files with these names, as far as the file system takes them, and a link to a secret."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for name in [*(name.encode() for name in NAMES), b"\xff\xfe", b"\x80\x1b[31m"]:
        if b"/" in name or b"\0" in name or len(name) > 240 or name in (b"", b".", b".."):
            continue
        (folder / (os.fsdecode(name) + suffix)).write_text(text)
        number += 1
    (folder / f"link{suffix}").symlink_to(folder.parent / f"secret{suffix}")
    return number


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Session, int]]:
    """A server on a machine whose files have these names."""
    home = Home(tmp_path_factory.mktemp("hostile"))
    data = home.root / "data/schedc"
    (data / "policies").mkdir(parents=True)
    (data / "secret.sched").write_text(SECRET)
    (data / "secret.json").write_text(SECRET)
    number = files_named_so(data / "policies", ".sched", f"# {SECRET}\n")
    assert files_named_so(data / "profiles", ".json", SECRET) == number
    apply = home.root / "apply"
    assert files_named_so(apply, "", SECRET) == number
    apply.chmod(0o700)
    with home.session("--allow-apply", str(apply)) as session:
        yield home, session, number


def test_as_names_of_files(found: tuple[Home, Session, int]) -> None:
    home, session, number = found
    before, tools = home.files(), session.tools()
    policies = session.call("list_policies")
    everything(policies)
    assert len(policies.structured_content["policies"]) == 14
    damaged = policies.structured_content["damaged"]
    assert len(damaged) == number + 1 and all(PLAIN.fullmatch(one) for one in damaged)
    profiles = session.call("list_profiles")
    everything(profiles)
    assert profiles.structured_content["profiles"] == []
    ids = profiles.structured_content["damaged"]
    assert len(ids) == number and all(PLAIN.fullmatch(one) for one in ids)
    for one in ids[:3]:
        code, text = session.bad("read_profile", profile=one)
        assert code == "E1224" and not unsafe(text) and SECRET not in text
    plans = session.call("apply_plan", plan="nothing")
    everything(plans)
    help_ = plans.structured_content["diagnostics"][0]["help"]
    assert all(PLAIN.fullmatch(one) for one in help_.removeprefix("there is: ").split(", "))
    assert home.files() == before and session.tools() == tools


def test_over_the_transport_nothing_changes(found: tuple[Home, Session, int]) -> None:
    """Each name once, each time in another tool; before and after, the same question has the
    same answer."""
    home, session, _ = found
    before, tools = home.files(), session.tools()
    same = [session.good("show_policy", policy="fair"), session.good("check", policy="fair")]
    for number, name in enumerate(NAMES):
        tool, argument, code = ASKED[number % 7]
        result = session.call(tool, **{argument: name})
        everything(result)
        assert result.is_error
        found_code = result.structured_content["diagnostics"][0]["code"]
        # Some are plain, and a file of that name is there: no profile, and no plan.
        assert found_code in (code, BAD_ARGUMENTS, "E1224", "E0835")
    again = [session.good("show_policy", policy="fair"), session.good("check", policy="fair")]
    assert again == same
    assert home.files() == before and session.tools() == tools


THREADS = """
import json, sys, threading, time
names = [json.loads(line) for line in sys.stdin]
ready = threading.Barrier(len(names) + 1)
def work(name):
    with open("/proc/thread-self/comm", "wb") as file:
        file.write(name.encode()[:15] or b"?")
    ready.wait()
    while True:
        sum(range(2000))
        time.sleep(0.02)
for name in names:
    threading.Thread(target=work, args=(name,), daemon=True).start()
ready.wait()
print("ready", flush=True)
time.sleep(600)
"""


def test_as_names_of_tasks(found: tuple[Home, Session, int]) -> None:
    _, session, _ = found
    tasks = subprocess.Popen(
        [sys.executable, "-c", THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert tasks.stdin is not None and tasks.stdout is not None
        tasks.stdin.write("".join(json.dumps(name) + "\n" for name in NAMES).encode())
        tasks.stdin.close()
        assert tasks.stdout.readline() == b"ready\n"
        result = session.call("create_profile", seconds=1, pid=tasks.pid)
        text = everything(result)
        assert not result.is_error
        groups = result.structured_content["groups"]
        assert sum(group["tasks"] for group in groups) > 20
        assert all(PLAIN.fullmatch(group["name"]) for group in groups)
        shown = session.call("show_workload", profile=result.structured_content["profile"]["id"])
        text += everything(shown)
        assert not shown.is_error, said(shown)
        for name in NAMES:
            cut = name.encode()[:15].decode(errors="ignore")
            if len(cut) > 3 and not PLAIN.fullmatch(cut):
                assert cut not in text, cut
    finally:
        tasks.kill()
        tasks.wait()
