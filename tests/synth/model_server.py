"""A real HTTP server that speaks the chat-completions and responses protocols, by a script.

`Script.answers` are given in turn (the last one again and again): a text is a policy or a
sentence; an `Odd` is a misbehaviour. `asked` keeps every request as it came.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Odd:
    """A misbehaviour: a status, a body that is no JSON, a cut after so many bytes, a delay."""

    status: int = 200
    body: bytes | None = None
    cut: int | None = None
    delay_s: float = 0.0
    text: str = ""


@dataclass
class Script:
    """What the server does. `dialects`: which of tool, guided and stream it understands."""

    answers: list[str | Odd]
    dialects: frozenset[str] = frozenset({"tool", "guided", "stream"})
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    paid: dict[str, str] = field(default_factory=dict)
    """Answers by idempotency key: the same call again costs nothing."""
    given: int = 0

    def next(self, key: str) -> str | Odd:
        if key in self.paid:
            return self.paid[key]
        answer = self.answers[min(self.given, len(self.answers) - 1)]
        self.given += 1
        if isinstance(answer, str):
            self.paid[key] = answer
        return answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script = self.script
        tool = self.path.endswith("/responses")
        if (tool and "tool" not in script.dialects) or (
            "guided_grammar" in body and "guided" not in script.dialects
        ) or (body.get("stream") and "stream" not in script.dialects):
            self._json(404 if tool else 400, {"error": {"message": "unknown field"}})
            return
        script.asked.append({"path": self.path, **body,
                             "authorization": self.headers.get("Authorization", "")})
        key = self.headers.get("Idempotency-Key", "")
        script.keys.append(key)
        answer = script.next(key)
        odd = answer if isinstance(answer, Odd) else Odd()
        text = answer if isinstance(answer, str) else answer.text
        time.sleep(odd.delay_s)
        if odd.status != 200:
            self._json(odd.status, {"error": {"message": "no"}}, {"Retry-After": "0"})
        elif odd.body is not None:
            self._bytes(200, odd.body, "application/json")
        elif tool:
            self._json(200, responses(text), cut=odd.cut)
        elif body.get("stream"):
            self._bytes(200, stream(text), "text/event-stream", cut=odd.cut)
        else:
            self._json(200, completion(text), cut=odd.cut)

    def _json(
        self, status: int, value: object, more: dict[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        self._bytes(status, json.dumps(value).encode(), "application/json", more, cut)

    def _bytes(
        self, status: int, data: bytes, kind: str, more: dict[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data if cut is None else data[:cut])
        self.wfile.flush()
        if cut is not None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


def responses(text: str) -> dict[str, Any]:
    return {
        "id": "r1", "object": "response", "created_at": 1, "model": "test", "status": "completed",
        "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
        "output": [{"type": "custom_tool_call", "id": "c1", "call_id": "c1",
                    "name": "write_policy", "input": text}],
        "usage": {"input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200,
                  "input_tokens_details": {"cached_tokens": 0},
                  "output_tokens_details": {"reasoning_tokens": 0}},
    }  # fmt: skip


def completion(text: str) -> dict[str, Any]:
    return {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "test",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
    }  # fmt: skip


def stream(text: str) -> bytes:
    def chunk(**more: Any) -> bytes:
        value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "test",
                 "choices": [], **more}
        return f"data: {json.dumps(value)}\n\n".encode()

    parts = [text[at : at + 40] for at in range(0, len(text), 40)]
    body = b"".join(
        chunk(choices=[{"index": 0, "delta": {"content": one}, "finish_reason": None}])
        for one in parts
    )
    end = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    usage = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
    return body + end + chunk(usage=usage) + b"data: [DONE]\n\n"


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """The server, on loopback; gives its base URL."""
    handler = type("Scripted", (Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
