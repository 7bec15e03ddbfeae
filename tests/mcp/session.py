"""The official client, for tests that are plain functions; and what a server leaves behind."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, Tool

MARK = "SCHEDC_TEST_MARK"
COMMAND = (sys.executable, "-m", "schedc", "mcp")
LONG = {"policy": "fair", "workload": "wakeup", "params": {"duration": "120s"}, "runs": 20}
"""A call that goes on for minutes."""


class Session:
    """One client and its server; each call waits for its result."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self.portal = portal
        self.client = client

    def call(self, tool: str, **arguments: Any) -> CallToolResult:
        return self.portal.call(self.client.call_tool, tool, arguments)

    def good(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The values of a call that must not fail."""
        result = self.call(tool, **arguments)
        assert not result.is_error, said(result)
        found: dict[str, Any] = result.structured_content
        return found

    def bad(self, tool: str, **arguments: Any) -> tuple[str, str]:
        """The first error's code and the text of a call that must fail."""
        result = self.call(tool, **arguments)
        assert result.is_error, said(result)
        rows = result.structured_content["diagnostics"]
        return next(row["code"] for row in rows if row["severity"] == "error"), said(result)

    def tools(self) -> dict[str, Tool]:
        listed = self.portal.call(self.client.list_tools)
        return {one.name: one for one in listed.tools}

    def read(self, uri: str) -> str:
        text: str = self.portal.call(self.client.read_resource, uri).contents[0].text
        return text


def said(result: CallToolResult) -> str:
    """What a model reads of a result."""
    return "\n".join(one.text for one in result.content)


# Longer than the path of a socket may be.
TEMPORARY = f"tmp/{'long' * 30}"


class Home:
    """Folders of a user who doesn't exist, and an environment that leads there. Caches are the
    real ones, so that nothing is built twice."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mark = uuid4().hex
        self.temporary = root / TEMPORARY
        for folder in (root / "work", self.temporary, root / "data"):
            folder.mkdir(parents=True)

    @property
    def environment(self) -> dict[str, str]:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return {
            "XDG_DATA_HOME": str(self.root / "data"), "XDG_CACHE_HOME": cache, MARK: self.mark,
            "SCHEDC_REPOSITORY": str(self.root / "data/schedc"), "TMPDIR": str(self.temporary),
        }  # fmt: skip

    @contextlib.contextmanager
    def session(self, *options: str) -> Iterator[Session]:
        """A server over stdio, and the client that started it."""
        server = StdioServerParameters(
            command=COMMAND[0], args=[*COMMAND[1:], *options], env=self.environment,
            cwd=self.root / "work",
        )  # fmt: skip
        with (
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(Client(server)) as client,
        ):
            yield Session(portal, client)

    def processes(self) -> dict[int, str]:
        """What lives of all that was started here: number -> command line."""
        wanted = f"{MARK}={self.mark}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().decode()
        return found

    def wait_until_gone(self, what: str = "", seconds: float = 10) -> dict[int, str]:
        """Wait until nothing whose command line has `what` in it lives; what still does."""
        end = time.monotonic() + seconds
        while True:
            left = {pid: line for pid, line in self.processes().items() if what in line}
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.05)

    def files(self) -> dict[str, bytes]:
        """All files of that user but temporary ones."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "tmp" not in path.relative_to(self.root).parts[:1]
        }


def unsafe(text: str) -> str:
    """The characters of a text that could do something to who shows it."""
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return "".join(c for c in text if c != "\n" and unicodedata.category(c) in bad)
