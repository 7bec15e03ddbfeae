"""What a client finds: tools with schemas and examples, resources; and what each tool gives."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest
from mcp import MCPError

import schedc.cli
from schedc.data import read_data
from schedc.mcp.profiles import _MOST_KEPT, _reserved
from schedc.mcp.setup import Setup
from schedc.mcp.tools import TOOLS, offered
from schedc.pipeline import analyze, generate
from schedc.source import Source
from tests.mcp.session import Home, Session, said, unsafe

ROOT = Path(__file__).parents[2]
READING = {
    "list_policies", "search_policies", "show_policy", "history", "list_workloads",
    "show_workload", "list_profiles", "read_profile", "create_profile", "check", "prove",
    "compile", "simulate", "status",
}  # fmt: skip
BROKEN = "policy mine 1.0.0\nqueue all fifo\nclass everyone\nenqueue everyone to al\n" \
    "dispatch { take all }\n"


# --- what there is


def test_by_default_nothing_is_offered_that_changes_anything(session: Session) -> None:
    tools = session.tools()
    assert set(tools) == READING | {"plan"}
    for name, tool in tools.items():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (name != "plan")
        assert tool.annotations.destructive_hint is False


def test_what_is_allowed_is_offered(tmp_path: Path) -> None:
    plain = Setup(tmp_path, tmp_path, tmp_path)
    assert {one.name for one in offered(plain)} == READING | {"plan"}
    allowed = Setup(tmp_path, tmp_path, tmp_path, apply=tmp_path, vm=True)
    assert {one.name for one in offered(allowed)} == set(TOOLS)
    (applies,) = (one for one in offered(allowed) if one.outside)
    assert applies.name == "apply_plan" and not applies.reads


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_explains_itself(name: str, session: Session) -> None:
    """Its example is JSON that its own schema takes, and each argument says what it is."""
    from schedc.mcp.server import shown

    tool = shown(TOOLS[name])
    jsonschema.Draft202012Validator.check_schema(tool.input_schema)
    jsonschema.Draft202012Validator.check_schema(tool.output_schema)
    assert tool.input_schema["additionalProperties"] is False
    head, _, example = (tool.description or "").partition("Example: ")
    assert 20 < len(head) < 600
    value = json.loads(example.partition(" or {")[0], strict=False)
    jsonschema.validate(value, tool.input_schema)
    TOOLS[name].arguments.model_validate(value)
    for argument, schema in tool.input_schema["properties"].items():
        assert "description" in json.dumps(schema), f"{name}: {argument}"
    listed = session.tools().get(name)
    assert listed is None or listed.input_schema == tool.input_schema


def test_the_instructions_are_short(session: Session) -> None:
    text = session.client.instructions or ""
    assert "schedc://card" in text and len(text) < 1200


def test_the_card_and_the_pages_are_resources(session: Session) -> None:
    assert session.read("schedc://card") == read_data("docs/language/card.md")
    assert session.read("schedc://errors/E0301").startswith("# E0301: ")
    assert "- E1241: " in session.read("schedc://errors")
    listed = session.portal.call(session.client.list_resources).resources
    for one in listed:
        assert session.read(one.uri)


@pytest.mark.parametrize(
    "uri", ["schedc://errors/E9999", "schedc://errors/../../README", "file:///etc/passwd",
            "schedc://card/../../../pyproject.toml"],
)  # fmt: skip
def test_nothing_else_is_a_resource(uri: str, session: Session) -> None:
    with pytest.raises(MCPError, match="no resource"):
        session.read(uri)


def test_an_unknown_tool_is_no_tool(session: Session) -> None:
    with pytest.raises(MCPError, match="no tool is called"):
        session.call("vm_trial", policy="fair")
    with pytest.raises(MCPError, match="no tool is called"):
        session.call("apply_plan", plan="x")


# --- policies and workloads


def test_policies_are_listed_found_and_shown(session: Session) -> None:
    listed = session.good("list_policies")["policies"]
    assert len(listed) == 14
    found = session.good("search_policies", words="short sleepers", goal="latency", most=1)
    assert [one["name"] for one in found["policies"]] == ["interactive"]
    one = session.good("show_policy", policy="stdlib/fifo")
    assert one["source"] == read_data("stdlib_policies/fifo.sched")
    assert one["policy"]["sha256"] == hashlib.sha256(one["source"].encode()).hexdigest()
    assert session.good("history", policy="fifo")["versions"] == []
    code, text = session.bad("show_policy", policy="nothing")
    assert code == "E1002" and "no policy is called `nothing`" in text


def test_ones_own_policies_have_a_history(shared_home: Home, session: Session) -> None:
    from schedc.repository.library import Library
    from schedc.repository.place import Place

    library = Library(Place(shared_home.root / "data/schedc"))
    text = 'policy own 1.0.0\n"mine"\nextends stdlib/fifo@1\ntune slice = 7ms in 1ms..10ms "why"\n'
    library.add(Source.from_text("own.sched", text), "first")
    listed = session.good("list_policies")["policies"]
    assert ("mine", "own") in {(one["origin"], one["name"]) for one in listed}
    versions = session.good("history", policy="mine/own")["versions"]
    assert [(one["version"], one["subject"]) for one in versions] == [("1.0.0", "own 1.0.0: first")]


def test_workloads_are_listed_and_shown(session: Session) -> None:
    assert len(session.good("list_workloads")["workloads"]) == 16
    shown = session.good("show_workload", workload="wakeup", params={"think": "2ms"})
    assert {one["name"]: one["value"] for one in shown["params"]}["think"] == "2ms"
    again = session.good("show_workload", workload_toml=shown["toml"])
    assert again["groups"] == shown["groups"] and again["workload"] == shown["workload"]
    assert session.bad("show_workload", workload="wakup")[0] == "E1208"
    code, text = session.bad("show_workload", workload_toml=shown["toml"] + "\n[bogus]\n")
    assert code == "E1202" and "workload.toml:" in text and "[bogus]" in text


def test_a_profile_of_this_machine_has_an_id(session: Session) -> None:
    made = session.good("create_profile", seconds=0.5)
    id_ = made["profile"]["id"]
    assert made["profile"]["collector"] == "proc" and made["groups"]
    assert session.good("read_profile", profile=id_)["groups"] == made["groups"]
    assert id_ in [one["id"] for one in session.good("list_profiles")["profiles"]]
    shown = session.good("show_workload", profile=id_, params={"duration": "1s"})
    assert shown["workload"]["name"] == "profile" and "dist" in shown["toml"]


def test_old_profiles_make_room(tmp_path: Path) -> None:
    taken = [_reserved(tmp_path / "profiles")[0] for _ in range(_MOST_KEPT + 2)]
    assert taken[0] == "p1" and len(set(taken)) == _MOST_KEPT + 2
    left = {path.stem for path in (tmp_path / "profiles").iterdir()}
    assert left == set(taken[2:])


# --- check, prove, compile


def test_a_mistake_comes_back_as_on_the_command_line(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("policy.sched").write_text(BROKEN)
    schedc.cli.run(["check", "policy.sched"])
    expected = capsys.readouterr().err.rpartition("checked 1 policy")[0].strip()
    result = session.call("check", source=BROKEN)
    assert result.is_error and said(result) == expected
    rows = result.structured_content["diagnostics"]
    row = next(one for one in rows if one["line"] == 4)
    assert (row["severity"], row["help"]) == ("error", "did you mean `all`?")
    assert session.read(row["page"]).startswith(f"# {row['code']}: ")


def test_a_good_policy_is_checked_and_proved(session: Session) -> None:
    found = session.good("check", policy="fair")
    assert (found["ok"], found["verdict"]) == (True, "proved")
    assert session.good("check", policy="fair", proof=False)["verdict"] is None
    proof = session.good("prove", policy="fair", runnable=16, set={"slice": "4ms..5ms"})
    assert proof["runnable"] == 16 and proof["verdict"] == "proved"
    assert proof["bounds"][0]["wait_ns"] < found["bounds"][0]["wait_ns"]
    assert all(one["verdict"] in ("proved", "waived") for one in proof["obligations"])


def test_a_policy_that_starves_somebody_is_refuted_with_a_run(session: Session) -> None:
    text = (ROOT / "examples/refuted/strict_priority/flawed.sched").read_text()
    code, said_ = session.bad("check", source=text)
    assert code == "E0501" and "help: write `take upper at most 50%" in said_
    assert "a task of class `rest` can wait for ever: 2 tasks on 1 cpu show it" in said_
    assert session.bad("prove", source=text)[0] == code
    assert session.bad("compile", source=text)[0] == code
    assert session.bad("plan", source=text, target=TARGET)[0] == code


TARGET = {"release": "6.18.9-test", "boot_id": "0123-4567", "state": "disabled", "enable_seq": 3}


def test_the_c_is_that_of_the_compiler(session: Session) -> None:
    found = session.good("compile", policy="fair")
    source = Source.from_text("fair.sched", read_data("stdlib_policies/fair.sched"))
    analysis = analyze(source)
    assert analysis.policy is not None
    text = generate(analysis.policy, source)
    assert found["c"] == text
    assert found["c_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert found["object_bytes"] > 1000 and len(found["certificate_sha256"]) == 64


# --- trying


def test_figures_are_those_of_the_command_line(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    found = session.good(
        "simulate", policy="interactive", workload="wakeup", params={"duration": "300ms"}, runs=5,
        cpus=4, against=["eevdf"],
    )
    schedc.cli.run(["sim", "interactive", "-w", "wakeup", "--duration", "300ms", "--runs", "5",
                    "--cpus", "4", "--json"])  # fmt: skip
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    expected = {
        row["metric"]: (row["ratio"]["median"], row["verdict"])
        for row in report["comparisons"] if row["ratio"]
    }  # fmt: skip
    rows = {row["metric"]: (row["ratio"], row["verdict"]) for row in found["rows"] if row["ratio"]}
    assert rows == expected and len(rows) > 6
    assert found["proved"] and found["void"] == 0
    assert "interactive against eevdf:" in found["text"]


def test_a_tunable_and_several_others(session: Session) -> None:
    found = session.good(
        "simulate", policy="fair", workload="wakeup", params={"duration": "100ms"}, runs=1,
        against=["fifo", "fair", "interactive"], set={"slice": "5ms"},
    )
    others = {row["against"] for row in found["rows"]}
    assert others == {"fifo", "fair (2)", "interactive"}
    assert {row["verdict"] for row in found["rows"]} == {"too few runs"}
    code, text = session.bad(
        "simulate", policy="fair", workload="wakeup", set={"slice": "900s"}
    )
    assert code == "E1241" and "write a value in" in text


def test_what_runs_now_is_told(session: Session) -> None:
    found = session.good("status")
    state = Path("/sys/kernel/sched_ext/state")
    expected = state.read_text().strip() if state.exists() else "this kernel has no sched_ext"
    assert found["sched_ext"] == expected


# --- arguments


@pytest.mark.parametrize(
    ("tool", "arguments", "what"),
    [
        ("check", {"policy": "fair", "sauce": "x"}, "`sauce`: there is no such argument"),
        ("check", {}, "give either `policy` (a name) or `source` (a text)"),
        ("check", {"policy": "fair", "source": "x"}, "give either"),
        ("check", {"source": "x" * 70_000}, "at most 65536 characters"),
        ("prove", {"policy": "fair", "runnable": 0}, "greater than or equal to 1"),
        ("simulate", {"policy": "fair"}, "give one of `workload`"),
        ("simulate", {"policy": "fair", "workload": "wakeup", "runs": 1000}, "`runs`"),
        ("create_profile", {"seconds": 3600}, "`seconds`"),
        ("create_profile", {"pid": 1, "cgroup": "/"}, "not both"),
        ("list_workloads", {"path": "/etc"}, "it takes none"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_told(
    tool: str, arguments: dict[str, object], what: str, session: Session
) -> None:
    code, text = session.bad(tool, **arguments)
    assert code == "E1241" and what in text
    assert text.startswith(f"error[E1241]: these are no arguments of {tool}\n")


def test_every_text_is_safe_to_show(session: Session) -> None:
    result = session.call("check", source=BROKEN.replace("to al", "to \u202e\x1b[31mal\x00"))
    assert result.is_error and not unsafe(json.dumps(said(result), ensure_ascii=False))
