"""What comes through the socket is hostile: every request is one of ours, or refused whole."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from schedc.load.client import Client
from schedc.load.errors import (
    BAD_PLAN,
    BAD_REQUEST,
    NO_LOADER,
    NOT_ALLOWED,
    NOT_NOW,
    TWO_LOADERS,
    LoadError,
    error_of,
)
from schedc.load.places import Places
from schedc.load.requests import MAX_LINE, parse_request
from schedc.load.serve import MAX_CLIENTS, Server
from schedc.load.state import State
from tests.load.fake import Loader, loader
from tests.load.samples import plan

GOOD: list[dict[str, Any]] = [
    {"do": "status"}, {"do": "confirm"}, {"do": "history", "last": 5},
    {"do": "abort", "reason": "x"}, {"do": "rollback", "reason": "x", "by": "me"},
    {"do": "unload", "reason": ""}, {"do": "clear", "hash": "0123abcd"},
    {"do": "load", "plan": plan().as_json(), "canary_s": 60, "by": "me"},
    {"do": "load", "plan": plan().as_json(), "canary_s": None, "by": "me"},
]  # fmt: skip


def code(request: Any) -> str:
    try:
        parse_request(json.dumps(request).encode())
    except LoadError as refused:
        return refused.code
    return ""


@pytest.mark.parametrize("request_", GOOD, ids=[str(one["do"]) for one in GOOD])
def test_requests(request_: dict[str, Any]) -> None:
    assert code(request_) == ""
    assert code({**request_, "canary": 60}) == BAD_REQUEST
    for field in request_:
        if field not in ("by", "canary_s") or (request_["do"] == "load" and field == "by"):
            rest = {key: value for key, value in request_.items() if key != field}
            assert code(rest) in (BAD_REQUEST, BAD_PLAN)


@pytest.mark.parametrize("request_", [
    {"do": "load", "plan": plan().as_json(), "canary_s": 0, "by": ""},
    {"do": "load", "plan": plan().as_json(), "canary_s": -1, "by": ""},
    {"do": "load", "plan": plan().as_json(), "canary_s": True, "by": ""},
    {"do": "load", "plan": plan().as_json(), "canary_s": "60", "by": ""},
    {"do": "load", "plan": plan().as_json(), "canary_s": 1e12, "by": ""},
    {"do": "load", "plan": plan().as_json(), "canary_s": 5, "by": "a\x1b[2Jb"},
    {"do": "load", "plan": plan().as_json(), "canary_s": 5, "by": "x" * 201},
    {"do": "abort", "reason": "two\nlines"}, {"do": "abort", "reason": 5},
    {"do": "history", "last": 0}, {"do": "history", "last": 10**9}, {"do": "history", "last": 1.5},
    {"do": "quit"}, {"do": ["status"]}, {"do": None}, [], "status", 5, None, {},
])  # fmt: skip
def test_not_quite_requests(request_: Any) -> None:
    assert code(request_) == BAD_REQUEST


@given(st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["do", "plan", "by", "reason", "last", "hash", "canary_s", "x"]), inner),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_any_line_is_a_request_or_refused(line: bytes) -> None:
    try:
        parse_request(line)
    except LoadError as refused:
        assert refused.code in (BAD_REQUEST, BAD_PLAN)


def test_errors_go_through_the_socket_as_they_are() -> None:
    there = LoadError(BAD_PLAN, "what", notes=("a", "b"), help="do this")
    back = error_of(json.loads(json.dumps(there.as_json())))
    assert str(back) == str(there) == "E0835: what\na\nb\nhelp: do this"
    for odd in ({}, {"code": 5, "message": "x"}, {"code": "E1", "message": "x", "notes": 3}):
        assert error_of(odd).code == "E0849"


# --- a loader and its clients


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Loader]:
    with loader(tmp_path) as running:
        yield running


def raw(one: Loader) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    while True:
        try:
            connection.connect(str(one.where.socket))
            return connection
        except BlockingIOError:  # as many wait as may
            time.sleep(0.01)


def test_nonsense_is_answered_and_the_next_request_too(one: Loader) -> None:
    with raw(one) as connection:
        connection.sendall(b"nonsense\n\xff\xfe\n" + b'{"do": "status"}\n')
        data = b""
        while data.count(b"\n") < 3:
            data += connection.recv(65536)
    replies = [json.loads(line) for line in data.splitlines()]
    assert [reply["ok"] for reply in replies] == [False, False, True]
    assert replies[0]["code"] == replies[1]["code"] == BAD_REQUEST


def test_a_line_without_end_is_cut_off(one: Loader) -> None:
    with raw(one) as connection, pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(MAX_LINE // (1 << 20) + 20):
            connection.sendall(b"x" * (1 << 20))
    assert one.running() == ("", "")


def test_who_sends_half_a_line_or_reads_nothing_holds_up_nobody(one: Loader) -> None:
    with raw(one) as half, raw(one) as deaf:
        half.sendall(b'{"do": "sta')
        deaf.sendall(b'{"do": "status"}\n' * 2000)
        before = time.monotonic()
        assert one.running() == ("", "")
        assert time.monotonic() - before < 10


def test_more_clients_than_there_are_places_for(one: Loader) -> None:
    many = [raw(one) for _ in range(MAX_CLIENTS)]
    with raw(one) as late:
        assert json.loads(late.recv(65536))["code"] == NOT_NOW
    for connection in many:
        connection.close()
    time.sleep(0.2)
    assert one.running() == ("", "")


def test_a_client_waits_for_a_place_in_a_full_queue(tmp_path: Path) -> None:
    where = Places(tmp_path, tmp_path)
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(where.socket))
        busy.listen(0)
        first.connect(str(where.socket))
        with socket.socket(socket.AF_UNIX) as second:
            second.settimeout(1)
            with pytest.raises(BlockingIOError):
                second.connect(str(where.socket))
        later = threading.Timer(0.3, busy.accept)
        later.start()
        Client.connect(where).close()
        later.join()


def test_two_loaders(one: Loader) -> None:
    with pytest.raises(LoadError) as refused:
        Server(one.where, State(one.where), None, {})
    assert refused.value.code == TWO_LOADERS and str(one.pid) in refused.value.message
    assert one.running() == ("", "")


def test_no_loader(tmp_path: Path) -> None:
    with pytest.raises(LoadError) as missing:
        Client.connect(Places(tmp_path, tmp_path))
    assert missing.value.code == NO_LOADER and "schedc.load serve" in str(missing.value.help)


STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
except PermissionError:
    print("no entry")
else:
    print(s.recv(4096).decode())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="another user can't be played")
def test_a_stranger(one: Loader, tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        if folder.stat().st_uid == 0:
            folder.chmod(folder.stat().st_mode | 0o011)

    def ask() -> str:
        command = [sys.executable, "-I", "-c", STRANGER, str(one.where.socket)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert ask() == "no entry"
    one.where.socket.chmod(0o666)  # even if somebody opens the door, the loader asks the kernel
    assert json.loads(ask())["code"] == NOT_ALLOWED
