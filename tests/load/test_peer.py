"""Who is at the other end of a socket, as the kernel says it."""

import os
import socket

import pytest

from schedc.load import requests
from schedc.load.errors import LoadError


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take on groups")
@pytest.mark.parametrize(("group", "allowed"), [(4242, True), (4244, False)])
def test_a_member_by_a_further_group(
    group: int, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "group_id", lambda: group)
    pid = os.fork()
    if pid == 0:
        code = 9
        try:
            os.setgroups([4241, 4242, 4243])
            os.setresgid(4240, 4240, 4240)
            os.setresuid(4240, 4240, 4240)
            ours, _theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            # The loader is another user than who asks.
            monkeypatch.setattr(os, "geteuid", lambda: 1)
            code = 0 if requests.peer(ours) == "uid 4240" else 8
        except LoadError as refused:
            code = 1 if refused.code == "E0845" else 7
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == (0 if allowed else 1)
