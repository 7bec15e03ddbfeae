"""A model behind HTTP: one question, one answer, with what it cost.

Input: a request (system text, the conversation, the grammar). Output: an `Answered`. Invariant: a
failure is an `EndpointError` with a code; the key is read from the environment or from a file that
only its owner can read, is sent in the header alone, and never shown.

The ladder. An endpoint may take the grammar as a custom tool (the responses protocol), as a field
of vLLM-like servers beside chat completions, or not at all; it is asked in this order, and the rung
that it understands is remembered. Retries with back-off (429, 5xx, time-outs, cut connections) are
those of the openai client, plus our own for streams that end early.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from schedc.diagnostics.model import error
from schedc.records import dataclass
from schedc.synth.messages import Answered

if TYPE_CHECKING:
    import openai

Rung = Literal["tool", "guided", "plain"]
RUNGS: tuple[Rung, ...] = ("tool", "guided", "plain")
TOOL = "write_policy"
_CUT_TRIES = 3
_BACK_OFF_S = 0.5
_NOT_UNDERSTOOD = (400, 404, 405, 415, 422, 501)
"""What servers answer to a protocol, tool or field that they don't know."""


class EndpointError(Exception):
    """The endpoint can't be used; `diagnostic` says why. `passing`: trying again may help."""

    def __init__(self, message: str, help: str, passing: bool = False) -> None:
        super().__init__(message)
        self.diagnostic = error("E1105", message, None, help=help)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said: `user` and `assistant` in turn."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """A question. `system` is the project's own text, `turns` hold data of others, quoted."""

    system: str
    turns: tuple[Turn, ...]
    grammar: str
    most_tokens: int = 4000


@dataclass(frozen=True, slots=True)
class Access:
    """Where the model is, and what a million tokens cost (prompt, reply)."""

    base_url: str
    model: str
    key: str = field(repr=False)
    timeout_s: float = 120.0
    retries: int = 5
    price: tuple[float, float] = (0.0, 0.0)


def access(model: str, prices: Mapping[str, tuple[float, float]] | None = None) -> Access:
    """What the environment says: OPENAI_BASE_URL, and OPENAI_API_KEY or OPENAI_API_KEY_FILE."""
    base = os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    key = os.environ.get("OPENAI_API_KEY") or _key_of_file(os.environ.get("OPENAI_API_KEY_FILE"))
    if not key:
        raise EndpointError(
            "no key for the model's endpoint",
            "set OPENAI_API_KEY, or OPENAI_API_KEY_FILE to a file with mode 0600; "
            "without a key: --engine search",
        )
    return Access(base, model, key, price=(prices or {}).get(model, (0.0, 0.0)))


def has_key() -> bool:
    """Whether a key is set at all, for `--engine auto`."""
    return bool(os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_API_KEY_FILE"))


def _key_of_file(name: str | None) -> str:
    if not name:
        return ""
    path = Path(name).expanduser()
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise EndpointError(
                f"the key's file can be read by others (mode {mode:04o})", f"chmod 600 {path}"
            )
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as failure:
        raise EndpointError(
            f"the key's file can't be read: {failure}", "set OPENAI_API_KEY instead"
        ) from failure


class Endpoint:
    """One model of one endpoint. `said`: called with the text so far, as it streams in."""

    def __init__(self, access: Access, said: Callable[[str], None] = lambda text: None) -> None:
        self.access = access
        self.said = said
        self._rung = 0
        self._streams = True
        self._made: openai.OpenAI | None = None

    def ask(self, request: Request, name: str) -> Answered:
        """The answer to a request; `name` is the same whenever the same step is made, so that an
        endpoint which knows idempotency keys does it once."""
        while True:
            rung = RUNGS[self._rung]
            try:
                return self._ask(rung, request, name)
            except _NotUnderstood as refused:
                if self._rung + 1 < len(RUNGS):
                    self._rung += 1  # the next dialect, for this and all later questions
                    self._streams = True
                    continue
                raise EndpointError(
                    f"the endpoint takes none of the protocols: {refused}",
                    "check OPENAI_BASE_URL and --model",
                ) from refused

    def _ask(self, rung: Rung, request: Request, name: str) -> Answered:
        for attempt in range(_CUT_TRIES):
            try:
                with _failures():
                    match rung:
                        case "tool":
                            return self._by_tool(request, name)
                        case "guided" | "plain":
                            return self._by_chat(rung, request, name)
            except _Cut:
                time.sleep(_BACK_OFF_S * 2**attempt)
        raise EndpointError("the endpoint's answers are cut off again and again",
                            "try again later, or with --max-rounds lower", passing=True)

    @property
    def _client(self) -> openai.OpenAI:
        if self._made is None:
            import openai

            self._made = openai.OpenAI(
                api_key=self.access.key, base_url=self.access.base_url,
                timeout=self.access.timeout_s, max_retries=self.access.retries,
            )
        return self._made

    # --- the responses protocol, with the grammar as a tool --------------------------------------

    def _by_tool(self, request: Request, name: str) -> Answered:
        tool: Any = {
            "type": "custom", "name": TOOL,
            "description": "Gives the policy. Its input is the whole text of the policy.",
            "format": {"type": "grammar", "syntax": "lark", "definition": request.grammar},
        }  # fmt: skip
        messages: Any = [{"role": one.role, "content": one.text} for one in request.turns]
        answer = self._client.responses.create(
            model=self.access.model, instructions=request.system, input=messages, tools=[tool],
            tool_choice={"type": "custom", "name": TOOL}, parallel_tool_calls=False, store=False,
            max_output_tokens=request.most_tokens, extra_headers={"Idempotency-Key": name},
        )
        output = getattr(answer, "output", None)
        if not isinstance(output, list):
            raise _NotUnderstood("no `output` in the answer")
        texts = [
            one.input for one in output
            if getattr(one, "type", "") == "custom_tool_call" and isinstance(one.input, str)
        ]
        text = texts[0] if texts else getattr(answer, "output_text", "") or ""
        used = getattr(answer, "usage", None)
        return self._answered(name, text, "tool", _count(used, "input_tokens"),
                              _count(used, "output_tokens"))

    # --- chat completions ------------------------------------------------------------------------

    def _by_chat(self, rung: Rung, request: Request, name: str) -> Answered:
        messages: Any = [
            {"role": "system", "content": request.system},
            *({"role": one.role, "content": one.text} for one in request.turns),
        ]
        more: dict[str, Any] = {"guided_grammar": request.grammar} if rung == "guided" else {}
        common: dict[str, Any] = {
            "model": self.access.model, "messages": messages, "max_tokens": request.most_tokens,
            "extra_body": more or None, "extra_headers": {"Idempotency-Key": name},
        }  # fmt: skip
        if self._streams:
            try:
                with _failures():
                    return self._stream(common, rung, name)
            except _NotUnderstood:
                self._streams = False  # perhaps only the stream is what it doesn't know
        answer = self._client.chat.completions.create(**common, stream=False)
        choices = getattr(answer, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            raise _NotUnderstood("no `choices` in the answer")
        used = getattr(answer, "usage", None)
        return self._answered(name, choices[0].message.content or "", rung,
                              _count(used, "prompt_tokens"), _count(used, "completion_tokens"))

    def _stream(self, common: Mapping[str, Any], rung: Rung, name: str) -> Answered:
        parts: list[str] = []
        finished, used = False, None
        stream = self._client.chat.completions.create(
            **common, stream=True, stream_options={"include_usage": True}
        )
        for chunk in _chunks(stream):
            used = getattr(chunk, "usage", None) or used
            for choice in getattr(chunk, "choices", None) or ():
                delta = getattr(choice, "delta", None)
                if delta is not None and isinstance(delta.content, str):
                    parts.append(delta.content)
                    self.said("".join(parts))
                finished |= getattr(choice, "finish_reason", None) is not None
        if not finished:
            if not parts:
                raise _NotUnderstood("no stream of choices")
            raise _Cut
        return self._answered(name, "".join(parts), rung, _count(used, "prompt_tokens"),
                              _count(used, "completion_tokens"))

    def _answered(
        self, name: str, text: str, rung: Rung, prompt: int, reply: int
    ) -> Answered:
        per_prompt, per_reply = self.access.price
        cost = (prompt * per_prompt + reply * per_reply) / 1e6
        return Answered(name, text, rung, prompt, reply, cost)


class _NotUnderstood(Exception):
    """The endpoint speaks, but not this dialect."""


class _Cut(Exception):
    """A stream that ended before its end."""


class _failures:
    """The client's exceptions as ours; what it retried in vain is final."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, failure: BaseException | None, _: object) -> None:
        import openai

        match failure:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                raise EndpointError("the endpoint refuses the key",
                                    "check OPENAI_API_KEY") from None
            case openai.RateLimitError():
                raise EndpointError("the endpoint asks for patience (429), again and again",
                                    "try again later", passing=True) from None
            case openai.APIStatusError() if failure.status_code in _NOT_UNDERSTOOD:
                raise _NotUnderstood(f"status {failure.status_code}") from None
            case openai.APIStatusError():
                raise EndpointError(f"the endpoint fails with status {failure.status_code}",
                                    "try again later", passing=True) from None
            case openai.APITimeoutError():
                raise EndpointError("the endpoint does not answer in time",
                                    "try again later", passing=True) from None
            case openai.APIConnectionError():
                raise EndpointError("the endpoint can't be reached",
                                    "check OPENAI_BASE_URL and the network", passing=True) from None
            case openai.APIResponseValidationError() | openai.APIError():
                raise _NotUnderstood("an answer of another form") from None
            case Exception() if _of_transport(failure):
                raise _Cut from None
            case ValueError() | TypeError() | AttributeError():
                # What the client makes of JSON that is none, or of another shape.
                raise _NotUnderstood("an answer that is not of the protocol") from None


def _chunks(stream: Any) -> Iterator[Any]:
    import openai

    try:
        yield from stream
    except openai.APIConnectionError:
        raise _Cut from None
    except Exception as failure:
        if not _of_transport(failure):
            raise
        raise _Cut from None


def _of_transport(failure: BaseException) -> bool:
    """Whether it comes from below the client, which has used httpx and httpx2."""
    return type(failure).__module__.partition(".")[0].startswith(("httpx", "httpcore"))


def _count(used: object, name: str) -> int:
    """A count of tokens as the endpoint says; 0 if it says none."""
    value = getattr(used, name, 0)
    return value if isinstance(value, int) and 0 <= value < 10**9 else 0
