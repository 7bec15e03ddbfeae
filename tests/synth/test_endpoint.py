"""The endpoint over real HTTP: dialects, failures, keys, counts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schedc.data import read_data
from schedc.synth.engine.llm import prompt
from schedc.synth.engine.llm.endpoint import (
    Access,
    Endpoint,
    EndpointError,
    Request,
    Turn,
    access,
    has_key,
)
from schedc.synth.engine.llm.reply import NoPolicy, policy_of
from tests.synth.model_server import Odd, Script, serving

GOOD = read_data("stdlib_policies/fifo.sched")
KEY = "sk-secret-0123456789"


def ask(script: Script, timeout_s: float = 10.0, retries: int = 3) -> Endpoint:
    with serving(script) as url:
        endpoint = Endpoint(Access(url, "test", KEY, timeout_s, retries, (2.0, 8.0)))
        request = Request("system", (Turn("user", "write"),), prompt.grammar())
        endpoint.answer = endpoint.ask(request, "step-1")  # type: ignore[attr-defined]
        return endpoint


@pytest.mark.parametrize(
    ("dialects", "rung", "path"),
    [
        ({"tool", "guided", "stream"}, "tool", "/v1/responses"),
        ({"guided", "stream"}, "guided", "/v1/chat/completions"),
        ({"stream"}, "plain", "/v1/chat/completions"),
        ({"guided"}, "guided", "/v1/chat/completions"),
        (set(), "plain", "/v1/chat/completions"),
    ],
)
def test_the_ladder_falls_to_what_is_understood(dialects: set[str], rung: str, path: str) -> None:
    script = Script([GOOD], frozenset(dialects))
    answer = ask(script).answer  # type: ignore[attr-defined]
    assert (answer.text, answer.rung) == (GOOD, rung)
    assert (answer.prompt_tokens, answer.reply_tokens) == (1000, 200)
    assert answer.cost == pytest.approx((1000 * 2 + 200 * 8) / 1e6)
    sent = script.asked[-1]
    assert sent["path"] == path
    assert sent["authorization"] == f"Bearer {KEY}"
    if rung == "tool":
        assert sent["tools"][0]["format"]["syntax"] == "lark"
    assert KEY not in str({name: one for name, one in sent.items() if name != "authorization"})


def test_the_rung_is_remembered() -> None:
    script = Script([GOOD], frozenset({"stream"}))
    with serving(script) as url:
        endpoint = Endpoint(Access(url, "test", KEY))
        request = Request("system", (Turn("user", "write"),), "start: \"x\"")
        endpoint.ask(request, "a")
        before = len(script.asked)
        endpoint.ask(request, "b")
    assert len(script.asked) == before + 1


@pytest.mark.parametrize(
    "odd", [Odd(429), Odd(500), Odd(503), Odd(cut=30), Odd(cut=0), Odd(cut=400, text=GOOD)],
    ids=lambda odd: f"{odd.status}-{odd.cut}",
)
@pytest.mark.parametrize("dialect", ["tool", "stream", "neither"])
def test_what_passes_is_tried_again(odd: Odd, dialect: str) -> None:
    script = Script([odd, GOOD], frozenset({dialect}))
    assert ask(script).answer.text == GOOD  # type: ignore[attr-defined]
    assert len(set(script.keys[-2:])) == 1, "the same step has the same key"


@pytest.mark.parametrize(
    ("odd", "said"),
    [(Odd(429), "patience"), (Odd(500), "status 500"), (Odd(401), "refuses the key"),
     (Odd(403), "refuses the key"), (Odd(422), "none of the protocols"),
     (Odd(body=b"<html>hello</html>"), "none of the protocols"),
     (Odd(body=b"[1, 2"), "none of the protocols"), (Odd(body=b"{}"), "none of the protocols"),
     (Odd(body=b'{"choices": [{"message": null}]}'), "none of the protocols"),
     (Odd(delay_s=1.5), "in time"), (Odd(cut=40), "cut off|reached")],
    ids=str,
)  # fmt: skip
def test_what_does_not_pass_ends_with_a_reason(odd: Odd, said: str) -> None:
    with pytest.raises(EndpointError) as caught:
        ask(Script([odd]), timeout_s=0.4, retries=1)
    assert caught.value.diagnostic.code == "E1105"
    assert re.search(said, caught.value.diagnostic.message)
    assert KEY not in str(caught.value)


def test_no_server() -> None:
    endpoint = Endpoint(Access("http://127.0.0.1:9/v1", "test", KEY, retries=0))
    with pytest.raises(EndpointError, match="reached"):
        endpoint.ask(Request("s", (Turn("user", "u"),), ""), "k")


# --- keys ---------------------------------------------------------------------------------------


def test_the_key_comes_from_the_environment_or_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert not has_key()
    with pytest.raises(EndpointError, match="no key"):
        access("m")
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o644)
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(path))
    with pytest.raises(EndpointError, match="read by others") as caught:
        access("m")
    assert KEY not in str(caught.value)
    path.chmod(0o600)
    found = access("m", {"m": (1.0, 2.0)})
    assert (found.key, found.price) == (KEY, (1.0, 2.0))
    assert KEY not in repr(found)


# --- replies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        GOOD, f"Here it is:\n```sched\n{GOOD}```\nIt is short.", f"```\n{GOOD}\n```",
        f"~~~\n{GOOD}\n~~~", f"```python\nimport os\n```\nand\n```\n{GOOD}\n```",
        f"Sure!\n\n{GOOD}", f"\ufeff{GOOD}".lstrip("\ufeff"),
    ],
)  # fmt: skip
def test_the_policy_in_a_reply(reply: str) -> None:
    body = "\n".join(line for line in policy_of(reply).splitlines() if not line.startswith("#"))
    wanted = "\n".join(line for line in GOOD.splitlines() if not line.startswith("#"))
    assert body.strip() == wanted.strip()


@pytest.mark.parametrize("reply", ["", "I can't.", "```c\nint main;\n```", "policyholder x",
                                   "x" * 300_000, "policy a 1.0.0\n" + "#" * 70_000])
def test_a_reply_without_one(reply: str) -> None:
    with pytest.raises(NoPolicy):
        policy_of(reply)
