"""A download that was cut off goes on where it stopped: apt's own transport, a server of ours."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedc.vm import apt as apt_module
from schedc.vm.apt import HELPER, MIRROR_VARIABLE, Apt
from schedc.vm.errors import FETCH_FAILED, VmError
from schedc.vm.store import Store

DATA = os.urandom(1 << 20) * 3
HALF = len(DATA) // 2
MODIFIED = "Sat, 01 Aug 2026 00:00:00 GMT"

pytestmark = pytest.mark.skipif(not Path(HELPER).exists(), reason="no apt on this machine")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves DATA; the first answer stops half way and waits until the client is gone."""

    protocol_version = "HTTP/1.1"
    ranges: list[str | None]
    half_sent: threading.Event
    gone: threading.Event

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        first = not self.ranges
        self.ranges.append(wanted)
        fresh = wanted is None or self.headers.get("If-Range") not in (None, MODIFIED)
        start = 0 if fresh else int(str(wanted).removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(DATA) - start))
        self.send_header("Last-Modified", MODIFIED)
        self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        self.end_headers()
        self.wfile.write(DATA[start : HALF if first else len(DATA)])
        if first:
            self.half_sent.set()
            self.gone.wait(30)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    Handler.ranges, Handler.half_sent, Handler.gone = [], threading.Event(), threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        Handler.gone.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    monkeypatch.setenv(MIRROR_VARIABLE, "http://127.0.0.1:1/debian")
    monkeypatch.setattr(apt_module, "KEYRING", tmp_path)
    apt = Apt(Store(tmp_path / "cache"))
    apt._prepare()
    return apt


def fetch(apt: Apt, server: http.server.ThreadingHTTPServer, target: Path, digest: str) -> None:
    url = f"http://127.0.0.1:{server.server_address[1]}/x.deb"
    apt._run(HELPER, "download-file", url, str(target), f"SHA256:{digest}", progress=stopping)


def stopping(what: str, fraction: float | None) -> None:
    """A user's Ctrl-C half way through the first answer."""
    if Handler.half_sent.is_set() and len(Handler.ranges) == 1 and (fraction or 0) > 0.1:
        raise KeyboardInterrupt


def test_an_interrupted_download_resumes(apt, server, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target = tmp_path / "x.deb"
    digest = hashlib.sha256(DATA).hexdigest()
    with pytest.raises(KeyboardInterrupt):
        fetch(apt, server, target, digest)
    Handler.gone.set()
    got = target.stat().st_size
    assert 0 < got <= HALF
    fetch(apt, server, target, digest)
    assert Handler.ranges == [None, f"bytes={got}-"]
    assert target.read_bytes() == DATA


def test_a_file_that_is_not_what_the_lists_say_is_refused(apt, server, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    Handler.ranges.append(None)  # no stop half way
    with pytest.raises(VmError) as caught:
        fetch(apt, server, tmp_path / "x.deb", hashlib.sha256(b"another").hexdigest())
    assert caught.value.code == FETCH_FAILED
    assert not (tmp_path / "x.deb").exists()
