"""Requests on the loader's socket: who may ask, and what is a request.

Input: a connection; one line of bytes from it (hostile). Output: a `Request` of known form, or a
`LoadError` (E0844, E0845). Invariant: sizes are bounded before anything is parsed; a field that
nobody knows is refused, so that a misspelt `canary_s` never loads for good.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

from schedc.load.errors import BAD_REQUEST, NOT_ALLOWED, LoadError
from schedc.load.form import Form, Malformed
from schedc.load.plan import MAX_PLAN, Plan, parse
from schedc.load.supervisor import MAX_CANARY_S
from schedc.records import dataclass

GROUP = "schedc"
MAX_LINE = MAX_PLAN + (1 << 16)
MAX_REASON = 1000
MAX_HISTORY = 1000
_SO_PEERGROUPS = 59
_MOST = 1024
"""Bytes that Python asks a socket's option for at most: 256 groups."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted; only the fields of its kind are set."""

    do: str
    plan: Plan | None = None
    canary_s: float | None = None
    by: str = ""
    reason: str = ""
    last: int = 0
    hash: str = ""


def parse_request(line: bytes) -> Request:
    """The request in a line."""
    if len(line) > MAX_LINE:
        raise bad(f"it is larger than {MAX_LINE >> 20} MiB")
    try:
        form = Form(json.loads(line), "the request")
        do = form.text("do", 16)
        request = _of_kind(do, form)
        form.nothing_else()
    except Malformed as wrong:
        raise bad(str(wrong)) from wrong
    except (ValueError, RecursionError) as wrong:
        raise bad("it is not JSON") from wrong
    return request


def _of_kind(do: str, form: Form) -> Request:
    match do:
        case "load":
            canary = form.real_or_none("canary_s")
            if canary is not None and not 0 < canary <= MAX_CANARY_S:
                raise Malformed("`canary_s` of the request is out of range")
            values: Any = form.value("plan")
            return Request(do, parse(values if isinstance(values, dict) else b""), canary,
                           form.line("by", 200))  # fmt: skip
        case "abort" | "rollback" | "unload":
            return Request(do, reason=form.line("reason", MAX_REASON),
                           by=form.line("by", 200) if form.has("by") else "")  # fmt: skip
        case "status" | "confirm":
            return Request(do)
        case "history":
            return Request(do, last=form.number("last", 1, MAX_HISTORY))
        case "clear":
            return Request(do, hash=form.line("hash", 64))
        case _:
            raise Malformed("it wants what nobody knows (load, confirm, abort, status, history, "
                            "rollback, unload, clear)")  # fmt: skip


def bad(why: str) -> LoadError:
    """E0844."""
    return LoadError(
        BAD_REQUEST, f"the loader doesn't take this request: {why}",
        help="use a client of the same version of schedc",
    )


def peer(connection: socket.socket) -> str:
    """Who is at the other end, as `uid N`; E0845 unless it is root, the loader's own user or a
    member of the group. The kernel says so, not the peer."""
    size = struct.calcsize("iII")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, uid, gid = struct.unpack("iII", credentials)
    if uid not in (0, os.geteuid()):
        group = group_id()
        if group is None or group not in (gid, *_groups(connection)):
            raise LoadError(
                NOT_ALLOWED, f"the loader is not for this user (uid {uid})",
                help=f"become root, or a member of the group {GROUP}",
            )
    return f"uid {uid}"


def group_id() -> int | None:
    """The group whose members may use the loader; None if there is none."""
    import grp

    try:
        return grp.getgrnam(GROUP).gr_gid
    except (KeyError, OSError):
        return None


def _groups(connection: socket.socket) -> tuple[int, ...]:
    """The peer's other groups."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST)
    except OSError:
        return ()
    return struct.unpack(f"{len(raw) // 4}I", raw)
