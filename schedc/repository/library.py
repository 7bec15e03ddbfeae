"""All policies that there are: the shipped ones and the user's, with what is known of them.

Input: names, words, sources. Output: entries. Invariant: nothing is added that was not proved just
now, that means the same as what is there, or that would make an older version the newest; a
policy that is refused leaves nothing behind, and nothing else is lost by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from schedc.data import data_path
from schedc.pipeline import Analysis, analyze, prove
from schedc.prove.result import Proof, Verdict
from schedc.records import dataclass
from schedc.repository.entry import (
    Damaged,
    Entry,
    described,
    entry,
    read_file,
    read_folder,
    version_key,
)
from schedc.repository.git import Commit, Git
from schedc.repository.place import SUFFIX, Place, RepositoryError, refuse
from schedc.repository.results import Figure, Measured, Results, ranked
from schedc.source import Source

Prove = Callable[[Analysis, Source], Proof]


@dataclass(frozen=True, slots=True)
class Added:
    """A policy that is in the repository now; `commit` is empty if it was there already."""

    entry: Entry
    proof: Proof
    commit: str


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a policy in the history; `text` None if that commit holds no usable one."""

    commit: Commit
    version: str
    text: bytes


class Library:
    """The policies of a place, and those shipped."""

    def __init__(self, place: Place | None = None, prove: Prove = prove) -> None:
        self.place = place or Place.default()
        self.results = Results(self.place.results)
        self._git = Git(self.place.policies)
        self._prove = prove

    # --- reading --------------------------------------------------------------------------------

    def entries(self) -> tuple[tuple[Entry, ...], tuple[Damaged, ...]]:
        """Every policy, the shipped ones first; and files that are none."""
        shipped, broken = read_folder(data_path("stdlib_policies"), "stdlib")
        mine, damaged = read_folder(self.place.policies, "mine")
        return (*shipped, *mine), (*broken, *damaged)

    def find(self, name: str) -> Entry:
        """A policy by `NAME`, `stdlib/NAME` or `mine/NAME`, and `@VERSION` for one of the history;
        raises `RepositoryError` if there is none."""
        plain, _, version = name.partition("@")
        origin, _, base = plain.rpartition("/")
        if not base.replace("_", "").isalnum() or origin not in ("", "stdlib", "mine"):
            raise self._unknown(name)
        if version and origin != "stdlib" and self.place.exists:
            return self._of_history(base, version, name)
        folders = (("mine", self.place.policies), ("stdlib", data_path("stdlib_policies")))
        for label, folder in folders:
            path = folder / f"{base}{SUFFIX}"
            if origin in ("", label) and path.is_file():
                found = read_file(path, "mine" if label == "mine" else "stdlib")
                if isinstance(found, Damaged):
                    raise refuse("E1003", f"`{label}/{base}` is damaged: {found.reason}",
                                 f"it is in {path}",
                                 help=f"schedc check {path}  or take an older one: "
                                 f"schedc policy history {base}")
                if not version or found.version == version:
                    return found
        raise self._unknown(name)

    def _of_history(self, base: str, version: str, name: str) -> Entry:
        for one in self.history(base):
            if one.version == version:
                found = entry(one.text, "mine")
                if isinstance(found, Entry):
                    return found
        raise self._unknown(name)

    def _unknown(self, name: str) -> RepositoryError:
        from difflib import get_close_matches

        shown = name.encode("ascii", "backslashreplace").decode()[:60]
        known = [one.name for one in self.entries()[0]]
        near = get_close_matches(name.partition("@")[0].rpartition("/")[2], known, 1)
        hint = f"did you mean `{near[0]}`?" if near else "schedc policy list"
        return refuse("E1002", f"no policy is called `{shown}`", help=hint)

    def history(self, name: str) -> tuple[Version, ...]:
        """The versions of one of the user's policies, newest first."""
        file = f"{name}{SUFFIX}"
        if not self.place.exists:
            return ()
        found = []
        for commit in self._git.log(file):
            text = self._git.read(commit.id, file)
            if text is not None:
                found.append(Version(commit, _field(commit, "version"), text))
        return tuple(found)

    def search(self, words: str, goal: str = "") -> list[Entry]:
        """Policies that the words speak of, best first; only those for `goal` if one is named."""
        every = [one for one in self.entries()[0] if not goal or goal in one.goals]
        return ranked(every, self.results.lessons(most=1000), words)

    # --- writing --------------------------------------------------------------------------------

    def add(self, source: Source, why: str = "", analysis: Analysis | None = None) -> Added:
        """Prove a policy and keep it; raises `RepositoryError` if it is refused.

        `why`: a line for its history. `analysis`: that of `source`, if there is one already.
        """
        analysis = analysis or analyze(source)
        if analysis.policy is None:
            first = next(found for found in analysis.diagnostics if found.is_error)
            raise refuse("E1003", f"`{source.name}` is no policy: {first.message}",
                         help=f"schedc check {source.name}")
        new = described(analysis.policy, source.raw, "mine")
        proof = self._prove(analysis, source)
        if proof.verdict is not Verdict.proved:
            raise refuse("E1006", f"`{new.name}` is {proof.verdict.value}, so it is not kept",
                         help=f"schedc prove {source.name}")
        with self.place.writing():
            if self._already(new):
                return Added(new, proof, "")
            try:
                message = _message(new, proof, why)
                commit = self._git.commit(f"{new.name}{SUFFIX}", new.text, message)
                self._write(new)
            except OSError as failure:
                raise self.place.unusable(failure) from failure
        return Added(new, proof, commit)

    def _already(self, new: Entry) -> bool:
        """Whether exactly this is there; raises if something stands against it."""
        every, damaged = self.entries()
        for old in every:
            if old.name == new.name:
                if old.origin == "stdlib":
                    raise refuse("E1005", f"`{new.name}` is the name of a shipped policy",
                                 help="give yours another name")
                if old.text == new.text:
                    return True
                if version_key(new.version) <= version_key(old.version):
                    raise refuse(
                        "E1005", f"`{new.name}` {old.version} is there already, and is not older",
                        help=f"raise the version in the policy's first line above {old.version}",
                    )
            elif old.meaning == new.meaning:
                raise refuse("E1004", f"`{new.name}` decides exactly as `{old.title}` does",
                             "they differ in names, comments or layout alone",
                             help=f"use `{old.name}`")
        if any(one.name == new.name for one in damaged):
            raise refuse("E1003", f"`{new.name}` is there, but damaged",
                         f"it is in {self.place.policies / (new.name + SUFFIX)}",
                         help=f"move that file away, or mend it: schedc policy history {new.name}")
        return False

    def _write(self, new: Entry) -> None:
        from schedc.atomic import write_atomically

        write_atomically(self.place.policies / f"{new.name}{SUFFIX}", new.text)

    def promote(self, name: str, goal: str, workload: str, metric: str) -> Measured:
        """Make a policy the best known for a goal on a workload: only if its newest result there is
        better beyond noise than the one promoted now (or than the default scheduler)."""
        new = self.find(name)
        found = [one for one in self.results.of(new.meaning)
                 if one.goal == goal and one.workload == workload and metric in one.metrics]
        if not found:
            raise refuse("E1007", f"`{new.name}` has no result for {metric} on {workload}",
                         help=f"schedc synth --goal {goal} --workload {workload}")
        best = self.results.promoted(goal, workload, found[0].machine)
        wanted = _title(self, best) if best and best != new.meaning else "eevdf"
        for one in found:
            if one.baseline == wanted and one.metrics[metric].finding == "better":
                self.results.promote(goal, workload, one.machine, one.id, int(time.time()))
                return one
        raise refuse(
            "E1007", f"`{new.name}` is not shown to be better than {wanted} on {workload}",
            _figure(found[0].metrics[metric], metric, found[0].baseline),
            help=f"measure it beside that: schedc sim {new.name} --workload {workload} "
            f"--against {wanted.rpartition('/')[2].partition(' ')[0]}",
        )


def _title(library: Library, meaning: str) -> str:
    for one in library.entries()[0]:
        if one.meaning == meaning:
            return one.title
    return "eevdf"


def _figure(figure: Figure, metric: str, baseline: str) -> str:
    if figure.ratio is None:
        return f"{metric}: no ratio to {baseline}"
    median, low, high = figure.ratio
    return f"{metric} is {median:.2f} [{low:.2f}..{high:.2f}] of {baseline}: {figure.finding}"


def _message(new: Entry, proof: Proof, why: str) -> str:
    """The commit's message: what a person wants to see of a version in the history."""
    line = " ".join(why.split())[:200] or new.description or "added"
    return (
        f"{new.name} {new.version}: {line}\n\nversion {new.version}\nmeaning {new.meaning}\n"
        f"sha256 {new.sha256}\nverdict {proof.verdict.value}\n"
    )


def _field(commit: Commit, name: str) -> str:
    for line in commit.body.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return value
    return "?"
