"""What is known of policies beyond their text: measurements, lessons, which are the best.

Input: rows. Output: rows, and a search by words. Invariant: a result belongs to a meaning (so it
survives a new comment) and says on what it was measured; rows are never changed, and a promotion
names the result that it rests on. SQLite in WAL mode: readers and a writer don't wait for each
other, and a killed writer leaves nothing half done.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schedc.records import dataclass
from schedc.repository.entry import Entry
from schedc.repository.place import RepositoryError, refuse

_FORMAT = 1
_TABLES = """
create table result (
    id integer primary key, at integer not null, meaning text not null, name text not null,
    version text not null, goal text not null, workload text not null, fingerprint text not null,
    machine text not null, baseline text not null, kernel text not null, verdict text not null,
    metrics text not null, engine text not null, model text not null, cost text not null,
    run text not null);
create index result_of on result (meaning, workload);
create table lesson (
    id integer primary key, at integer not null, goal text not null, workload text not null,
    meaning text not null, text text not null);
create table promotion (
    id integer primary key, at integer not null, goal text not null, workload text not null,
    machine text not null, meaning text not null, result integer not null references result (id));
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of a result: medians, and the interval of the paired ratio to the baseline.
    `finding` is better, worse, same or unknown, as in schedc.vm.stats."""

    median: float | None
    baseline: float | None
    ratio: tuple[float, float, float] | None
    """Median, low and high."""
    finding: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One comparison. `machine` is what it ran on ("sim:…", "vm:…"); `kernel` is empty for the
    simulator; `verdict` is that of the proof; `baseline` a title or "eevdf"."""

    meaning: str
    name: str
    version: str
    goal: str
    workload: str
    fingerprint: str
    machine: str
    baseline: str
    kernel: str
    verdict: str
    metrics: Mapping[str, Figure]
    engine: str = ""
    model: str = ""
    cost: Mapping[str, float] | None = None
    run: str = ""
    at: int = 0
    id: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """A short sentence for the next run."""

    goal: str
    workload: str
    meaning: str
    text: str
    at: int = 0


class Results:
    """The database at a path; made when it is first written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, one: Measured) -> int:
        """Keep a result; gives its number."""
        metrics = {
            name: [figure.median, figure.baseline, figure.ratio, figure.finding]
            for name, figure in one.metrics.items()
        }
        row = (
            one.at, one.meaning, one.name, one.version, one.goal, one.workload, one.fingerprint,
            one.machine, one.baseline, one.kernel, one.verdict, json.dumps(metrics), one.engine,
            one.model, json.dumps(dict(one.cost or {})), one.run,
        )  # fmt: skip
        with self._open(write=True) as db:
            marks = ", ".join("?" * len(row))
            return int(db.execute(f"insert into result values (null, {marks})", row).lastrowid or 0)

    def of(self, meaning: str) -> tuple[Measured, ...]:
        """All results of a policy, newest first."""
        return self._results("where meaning = ? order by id desc", meaning)

    def on(self, goal: str, workload: str) -> tuple[Measured, ...]:
        """All results for a goal and a workload, newest first."""
        return self._results("where goal = ? and workload = ? order by id desc", goal, workload)

    def _results(self, where: str, *values: object) -> tuple[Measured, ...]:
        with self._open() as db:
            rows = db.execute(f"select * from result {where}", values)
            return tuple(_measured(row) for row in rows)

    def learn(self, lesson: Lesson) -> None:
        """Keep a lesson; the same one twice is one."""
        with self._open(write=True) as db:
            same = (
                "select 1 from lesson where goal = ? and workload = ? and meaning = ? and text = ?"
            )
            key = (lesson.goal, lesson.workload, lesson.meaning, lesson.text)
            if db.execute(same, key).fetchone() is None:
                db.execute("insert into lesson values (null, ?, ?, ?, ?, ?)", (lesson.at, *key))

    def lessons(self, goal: str = "", workload: str = "", most: int = 20) -> tuple[Lesson, ...]:
        """The newest lessons, for a goal and a workload if they are given."""
        query = (
            "select goal, workload, meaning, text, at from lesson where (? = '' or goal = ?) "
            "and (? = '' or workload = ?) order by id desc limit ?"
        )
        with self._open() as db:
            rows = db.execute(query, (goal, goal, workload, workload, most))
            return tuple(Lesson(*row) for row in rows)

    def promote(self, goal: str, workload: str, machine: str, result: int, at: int) -> None:
        """From now on the policy of that result is the best known one."""
        query = (
            "insert into promotion select null, ?, ?, ?, ?, meaning, id from result where id = ?"
        )
        with self._open(write=True) as db:
            db.execute(query, (at, goal, workload, machine, result))

    def promoted(self, goal: str, workload: str, machine: str) -> str | None:
        """The meaning of the best known policy."""
        query = (
            "select meaning from promotion where goal = ? and workload = ? and machine = ? "
            "order by id desc limit 1"
        )
        with self._open() as db:
            row = db.execute(query, (goal, workload, machine)).fetchone()
            return str(row[0]) if row else None

    @contextmanager
    def _open(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            with _connected(self.path, write) as db:
                yield db
        except (sqlite3.Error, OSError) as failure:
            raise _unusable(self.path, failure) from failure


@contextmanager
def _connected(path: Path, write: bool) -> Iterator[sqlite3.Connection]:
    exists = path.exists()
    if write:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    db = sqlite3.connect(path if exists or write else ":memory:", timeout=60, isolation_level=None)
    try:
        format_ = db.execute("pragma user_version").fetchone()[0]
        if format_ == 0 and write:
            db.execute("pragma journal_mode = wal")
        db.execute("begin immediate" if format_ == 0 else "begin")
        format_ = db.execute("pragma user_version").fetchone()[0]
        if format_ == 0:
            for statement in _TABLES.split(";\n"):
                db.execute(statement)
            db.execute(f"pragma user_version = {_FORMAT}")
        elif format_ != _FORMAT:
            raise sqlite3.DatabaseError(f"it has format {format_}, not {_FORMAT}")
        yield db
        db.execute("commit")
    finally:
        db.close()  # what was not committed is undone


def _unusable(path: Path, failure: sqlite3.Error | OSError) -> RepositoryError:
    return refuse(
        "E1001", f"the results of the repository can't be used: {failure}",
        f"they are in {path}", "the policies themselves are not affected",
        help="move that file away; a new one is made",
    )


def _measured(row: tuple[Any, ...]) -> Measured:
    (id_, at, meaning, name, version, goal, workload, fingerprint, machine, baseline, kernel,
     verdict, metrics, engine, model, cost, run) = row
    figures = {
        key: Figure(middle, base, None if ratio is None else (ratio[0], ratio[1], ratio[2]), word)
        for key, (middle, base, ratio, word) in json.loads(metrics).items()
    }
    return Measured(
        meaning, name, version, goal, workload, fingerprint, machine, baseline, kernel, verdict,
        figures, engine, model, json.loads(cost), run, at, id_,
    )  # fmt: skip


# --- search ------------------------------------------------------------------------------------

_WORDS = re.compile(r"[a-z0-9]{2,}")
_WEIGHTS = "4.0, 2.0, 3.0, 1.0, 2.0"
"""Of name, description, goals, comments, lessons."""


def ranked(entries: Iterable[Entry], lessons: Iterable[Lesson], words: str) -> list[Entry]:
    """The entries that any of the words occurs in, best first, by BM25 (SQLite's FTS5). The index
    is made anew each time: it can't be stale, and a thousand policies take 20 ms."""
    every = list(entries)
    told: dict[str, list[str]] = {}
    for lesson in lessons:
        told.setdefault(lesson.meaning, []).append(lesson.text)
    wanted = list(dict.fromkeys(_WORDS.findall(words.lower())))
    if not wanted:
        return every
    db = sqlite3.connect(":memory:")
    try:
        db.execute(
            "create virtual table found using fts5 (name, description, goals, comments, lessons, "
            "tokenize = 'porter unicode61')"
        )
        for number, one in enumerate(every, 1):
            row = (
                number, one.name.replace("_", " "), one.description, " ".join(one.goals),
                one.comments, " ".join(told.get(one.meaning, ())),
            )  # fmt: skip
            db.execute("insert into found (rowid, name, description, goals, comments, lessons) "
                       "values (?, ?, ?, ?, ?, ?)", row)
        query = (
            "select rowid from found where found match ? "
            f"order by bm25(found, {_WEIGHTS}), rowid"
        )
        # Quoted, each word is a string to FTS5 and none of its operators.
        match = " or ".join(f'"{word}"' for word in wanted).replace(" or ", " OR ")
        return [every[row[0] - 1] for row in db.execute(query, (match,))]
    finally:
        db.close()
