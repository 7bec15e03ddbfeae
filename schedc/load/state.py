"""What the loader remembers: its history, who is quarantined, which policy was confirmed.

Input: the state folder. Output: files that a person can read. Invariant: the history only grows, a
line at a time, each on the disk before it counts as told; a line that a crash or a full disk tore
is passed over and never glued to the next one. The other files are replaced as a whole.
"""

from __future__ import annotations

import errno
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from schedc.atomic import write_atomically
from schedc.load.errors import NO_STATE, LoadError
from schedc.load.places import Places, is_private
from schedc.load.plan import Plan, parse

MAX_HISTORY = 64 << 20
TAIL = 1 << 20
"""How much of the end of the history is read to answer for it."""
ABORTS = 2
"""So many aborts or ejections quarantine a policy."""
RESERVE = 1 << 16
MAX_WHY = 1000
_MIN_PREFIX = 8
_LIVES = "lives"
KILLED = "the loader ended without a word: it was killed"
WENT_DOWN = "the loader ended without a word: the machine went down"


class State:
    """The folder, made if it isn't there; E0847 if it can't be used."""

    def __init__(self, where: Places) -> None:
        self._where = where
        try:
            where.state.mkdir(mode=0o755, parents=True, exist_ok=True)
            where.confirmed.mkdir(mode=0o700, exist_ok=True)
        except OSError as failure:
            raise _unusable(where.state, failure) from failure
        if not is_private(where.state):
            raise LoadError(
                NO_STATE, f"{where.state} is not the loader's own",
                help=f"chown root {where.state} && chmod go-w {where.state}",
            )  # fmt: skip
        self.unsaid: list[str] = []
        self._counts = self._read_counts()

    # --- history

    def tell(
        self, what: str, plan: Plan | None, why: str, by: str, took_ms: float | None = None
    ) -> None:
        """Append a line. If the disk won't take it, it is kept in `unsaid` and tried again."""
        line = {
            "at": round(time.time(), 3), "what": what,
            "policy": plan.policy.name if plan else None,
            "version": plan.policy.version if plan else None,
            "object": plan.object_sha256 if plan else None,
            "source": plan.policy.source_sha256 if plan else None,
            "why": why[:MAX_WHY], "by": by[:200],
            "took_ms": None if took_ms is None else round(took_ms, 1),
        }  # fmt: skip
        self.unsaid.append(json.dumps(line))
        self.retry()

    def retry(self) -> None:
        """Write what could not be written yet."""
        while self.unsaid:
            try:
                self._append(self.unsaid[0].encode() + b"\n")
            except OSError:
                del self.unsaid[:-1000]
                return
            del self.unsaid[0]

    def warnings(self) -> list[str]:
        """What a reply has to say about the state folder."""
        if not self.unsaid:
            return []
        return [f"the history can't be written ({len(self.unsaid)} lines wait): "
                f"look at the disk of {self._where.state}"]  # fmt: skip

    def _append(self, line: bytes) -> None:
        path = self._where.history
        if path.exists() and path.stat().st_size > MAX_HISTORY:
            path.replace(path.with_suffix(".old"))
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(path, flags, 0o644)
        try:
            size = os.fstat(fd).st_size
            # A torn line before this one ends here.
            if size and os.pread(fd, 1, size - 1) != b"\n":
                line = b"\n" + line
            if os.write(fd, line) != len(line):
                os.ftruncate(fd, size)
                raise OSError(errno.ENOSPC, "no space left")
            os.fsync(fd)
        finally:
            os.close(fd)

    def history(self, last: int) -> list[dict[str, Any]]:
        """The last lines that are whole, oldest first."""
        try:
            with self._where.history.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - TAIL, 0))
                data = file.read(TAIL)
        except FileNotFoundError:
            data = b""
        except OSError as failure:
            raise _unusable(self._where.history, failure) from failure
        found = [one for line in data.split(b"\n") if (one := _whole(line)) is not None]
        return found[-last:] if last else []

    def check_room(self) -> None:
        """E0847 if the disk has no room: before anything is changed, not in the middle."""
        probe = self._where.state / ".room"
        try:
            with probe.open("wb") as file:
                file.write(b"\0" * RESERVE)
                file.flush()
                os.fsync(file.fileno())
        except OSError as failure:
            raise _unusable(self._where.state, failure) from failure
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)

    # --- quarantine

    def quarantined(self) -> list[str]:
        return [hash_ for hash_, one in self._counts.items() if one["count"] >= ABORTS]

    def quarantine(self) -> list[dict[str, Any]]:
        """For people: who, and why."""
        return [{"source": hash_, **one} for hash_, one in self._counts.items()
                if one["count"] >= ABORTS]  # fmt: skip

    def count_against(self, plan: Plan, why: str) -> bool:
        """An abort or ejection; True if the policy is quarantined by it."""
        hash_ = plan.policy.source_sha256
        before = self._counts.get(hash_, {"count": 0, "why": []})
        count = before["count"] + 1
        self._counts[hash_] = {
            "policy": plan.policy.name, "count": count,
            "why": [*before["why"], why[:MAX_WHY]][-ABORTS:], "since": int(time.time()),
        }  # fmt: skip
        self._save_counts()
        return bool(count >= ABORTS)

    def clear(self, prefix: str) -> str | None:
        """Let a policy be loaded again; its whole hash, or None if none or several are meant."""
        meant = [hash_ for hash_ in self._counts if hash_.startswith(prefix)]
        if len(meant) != 1 or len(prefix) < _MIN_PREFIX:
            return None
        del self._counts[meant[0]]
        self._save_counts()
        return meant[0]

    def _read_counts(self) -> dict[str, dict[str, Any]]:
        path = self._where.quarantine
        try:
            values = json.loads(path.read_bytes())
            return {
                str(hash_): {"policy": str(one["policy"]), "count": int(one["count"]),
                             "why": [str(w) for w in one["why"]], "since": int(one["since"])}
                for hash_, one in values.items()
            }
        except FileNotFoundError:
            return {}
        except OSError as failure:
            raise _unusable(path, failure) from failure
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as damaged:
            # Not taken for empty: that would set free what a person has not.
            raise LoadError(
                NO_STATE, f"{path} can't be read", notes=(str(damaged)[:200],),
                help="look at it; removing it clears all quarantines",
            ) from damaged  # fmt: skip

    def _save_counts(self) -> None:
        text = json.dumps(self._counts, indent=1, sort_keys=True) + "\n"
        self._replace(self._where.quarantine, text)

    # --- how the last life ended

    def begin(self, boot_id: str) -> str:
        """Note that a loader lives; how the one before ended, if it left no word itself."""
        path = self._where.state / _LIVES
        try:
            before = path.read_text(encoding="ascii", errors="replace")
        except OSError:
            before = ""
        self._replace(path, f"{boot_id}\n")
        if not before:
            return ""
        return KILLED if before.strip() == boot_id else WENT_DOWN

    def end(self) -> None:
        """It ends in order."""
        with suppress(OSError):
            (self._where.state / _LIVES).unlink(missing_ok=True)

    # --- confirmed policies

    def confirmed(self, which: str = "current") -> Plan | None:
        """A confirmed plan: the `current` one, or the `previous`; None if there is none. Raises
        `LoadError` if the file was changed."""
        try:
            data = (self._where.confirmed / f"{which}.json").read_bytes()
        except OSError:
            return None
        return parse(data)

    def confirm(self, current: Plan | None, previous: Plan | None) -> None:
        """Remember what is to be loaded when the service starts again, and what was before."""
        for which, plan in (("current", current), ("previous", previous)):
            path = self._where.confirmed / f"{which}.json"
            if plan is None:
                path.unlink(missing_ok=True)
            else:
                self._replace(path, plan.text())

    def _replace(self, path: Path, text: str) -> None:
        """A full disk keeps no scheduler from being taken away: it is told, not raised."""
        try:
            write_atomically(path, text.encode())
        except OSError as failure:
            line = {"at": round(time.time(), 3), "what": "refused", "policy": None,
                    "object": None, "why": f"{path.name} can't be written: {failure.strerror}",
                    "by": "loader", "took_ms": None}  # fmt: skip
            self.unsaid.append(json.dumps(line))
            self.retry()


def _whole(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and "what" in value else None


def _unusable(path: Path, failure: OSError) -> LoadError:
    return LoadError(
        NO_STATE, f"{path}: {failure.strerror}",
        help="free some space, or make it writable for the loader; nothing was changed",
    )
