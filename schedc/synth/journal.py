"""A run on disk: every message in order, appended as it comes to be.

Input: messages. Output: a folder with `journal.jsonl`, one message a line. Invariant: a line is on
the disk before its message is used, so a run that is killed at any instant goes on from its last
whole line; what was paid for or computed once is never paid for or computed again. A line that was
cut by the kill is dropped; one that was changed since is refused by its number.

A step has a key: what it is and what it is made of. `once` gives the recorded message of a key, or
makes and records it. The path through the steps is deterministic, so a run that is begun again
with the same journal walks through recorded steps to where it stopped.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from schedc import __version__
from schedc.diagnostics.model import Diagnostic, error
from schedc.synth.messages import Message, NotAMessage, Started, decode, encode

M = TypeVar("M", bound=Message)

FILE = "journal.jsonl"


class JournalError(Exception):
    """A run's folder that can't be read or written; `diagnostic` says why."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.diagnostic: Diagnostic = error("E1104", message, None, help=help)


def step_key(*parts: object) -> str:
    """A short name for a step: the hash of what it is made of."""
    text = json.dumps([str(part) for part in parts], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class Journal:
    """One run's journal, open for this process alone. With `frozen` nothing is made or written: a
    step that isn't recorded ends in a `JournalError` (replay)."""

    def __init__(self, folder: Path, *, frozen: bool = False) -> None:
        self.folder = folder
        self.path = folder / FILE
        self.frozen = frozen
        self._known: dict[str, Message] = {}
        self._order: list[tuple[str, Message]] = []
        self._handle = -1

    def __enter__(self) -> Journal:
        try:
            if not self.frozen:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._handle = os.open(
                    self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
                )
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._load()
        except BlockingIOError:
            self.__exit__()
            raise JournalError("another schedc is at work on this run",
                               "wait for it, or give -o another name") from None
        except OSError as failure:
            self.__exit__()
            raise self._failed(failure) from failure
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __iter__(self) -> Iterator[Message]:
        """All messages, in order."""
        return iter([message for _, message in self._order])

    def __len__(self) -> int:
        return len(self._order)

    def once(self, key: str, kind: type[M], make: Callable[[], M]) -> M:
        """The message of a step: recorded, or made now and recorded."""
        found = self._known.get(key)
        if found is not None:
            if not isinstance(found, kind):
                raise self._damaged(f"step {key} is no {kind.__name__.lower()}")
            return found
        if self.frozen:
            raise JournalError(f"the run holds no {kind.__name__.lower()} for its next step",
                               "it was not finished: go on with --resume")
        made = make()
        self._append(key, made)
        return made

    def knows(self, key: str) -> bool:
        """Whether a step is recorded."""
        return key in self._known

    def diverged(self, what: str) -> JournalError:
        """The way through the steps isn't the one that was recorded: to go on would mix two runs,
        and could pay for an answer that is there."""
        begun = next((one.version for one in self if isinstance(one, Started)), "")
        other = f", it was begun by schedc {begun}" if begun not in ("", __version__) else ""
        return JournalError(
            f"the run in {self.folder} can't be repeated: {what} is another one now{other}",
            "use the schedc and the packages (Optuna) that began it, or begin a new run; "
            "`schedc synth show` still shows it",
        )

    def _append(self, key: str, message: Message) -> None:
        body = json.dumps([key, encode(message)], ensure_ascii=True, separators=(",", ":"))
        line = f"{zlib.crc32(body.encode()):08x} {body}\n".encode()
        try:
            # One write, so that a kill can cut the line but not mix it with another.
            if os.write(self._handle, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._handle)
        except OSError as failure:
            raise self._failed(failure) from failure
        self._keep(key, message)

    def _keep(self, key: str, message: Message) -> None:
        self._known[key] = message
        self._order.append((key, message))

    def _load(self) -> None:
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data.rfind(b"\n") + 1
        if whole != len(data) and not self.frozen:
            os.ftruncate(self._handle, whole)
        for number, line in enumerate(data[:whole].splitlines(), 1):
            try:
                check, _, body = line.partition(b" ")
                if int(check, 16) != zlib.crc32(body):
                    raise NotAMessage("it was changed")
                key, value = _pair(json.loads(body))
                self._keep(key, decode(value))
            except (ValueError, RecursionError) as wrong:
                raise self._damaged(f"line {number}: {wrong}") from wrong

    def _failed(self, failure: OSError) -> JournalError:
        return JournalError(
            f"the run's journal can't be used: {failure.strerror or failure} ({self.path})",
            "nothing that stands in it is lost: make room or mend the rights, and use --resume",
        )

    def _damaged(self, why: str) -> JournalError:
        return JournalError(f"the journal {self.path} is damaged: {why}",
                            "begin a new run; this one can't be trusted")


def _pair(value: Any) -> tuple[str, object]:
    match value:
        case [str(key), dict(message)]:
            return key, message
    raise NotAMessage("no step")
