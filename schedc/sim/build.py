"""The simulator's executable and policies' shared objects, compiled on this machine.

Input: the C of `backends/sim` and `backends/phases`, or the C text of a policy. Output: the path
of a built file in the user's cache. Invariant: a file's name is the hash of all that it depends
on (sources, headers, flags, compiler), it is complete or absent, and two processes that want the
same one build it once. Every failure is a `SimError`.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Literal

from schedc.data import data_path, read_data
from schedc.records import dataclass
from schedc.sim.errors import BUILD_FAILED, REFUSED_C, SimError
from schedc.sim.native import Native, find_native
from schedc.toolchain.target import version
from schedc.vm.children import bound
from schedc.vm.errors import VmError
from schedc.vm.store import Progress, Store, prune, silent

Variant = Literal["release", "debug", "asan"]

_TIMEOUT_S = 300.0
_KEEP_RUNTIMES, _KEEP_OBJECTS, _KEEP_POLICIES = 12, 400, 400
_MAX_MESSAGES = 6

POLICY_FILE = "policy.so"


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A compiler with the flags for one variant, and the cache that results go to."""

    compiler: Native
    variant: Variant
    store: Store

    def runtime(self, progress: Progress = silent) -> Path:
        """The executable `schedc-sim`."""
        settings = _target()["runtime"]
        flags = [
            *self._common(), *settings["flags"], *settings["variants"][self.variant],
            *_include_flags(settings["includes"]),
        ]
        objects = self._objects(flags)
        name = f"{self.variant}-{self._key([*flags, *settings['link'], *objects.values()])}"

        def build(into: Path) -> None:
            self._build_runtime(into, objects, flags, settings["link"], progress)

        folder = self._entry("runtime", name, build, progress)
        prune(self.store.root / "runtime", _KEEP_RUNTIMES)
        return folder / "schedc-sim"

    def policy(
        self, text: str, files: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> Path:
        """The shared object of a scheduler's C text; `files` are sources that `#line` names, so
        that a compiler's message can quote them; `folder` has headers of its own."""
        settings = _target()["policy"]
        flags = [
            *self._common(), *settings["flags"], *settings["variants"][self.variant],
            *_include_flags(settings["includes"]),
        ]
        headers = [_digest_of(settings["includes"], ("*.h", "**/*.h"))]
        if folder is not None:
            # After the simulator's: what stands for the kernel's headers must not be shadowed.
            flags.append(f"-I{folder}")
            headers.append(_digest(folder, ("*.h",)))
        name = self._key([*flags, text, *headers])

        def build(into: Path) -> None:
            with _scratch_files(into, {**(files or {}), "policy.bpf.c": text}):
                self._run([*flags, "policy.bpf.c", "-o", POLICY_FILE], into, REFUSED_C)

        folder = self._entry("policies", f"{self.variant}-{name}", build, silent)
        prune(self.store.root / "policies", _KEEP_POLICIES)
        return folder / POLICY_FILE

    # --- how

    def _common(self) -> list[str]:
        common = _target()["common"]
        return [*common["flags"], *(common["zig"] if self.compiler.kind == "zig" else ())]

    def _key(self, parts: Iterable[str]) -> str:
        hasher = hashlib.sha256()
        # The data folder's place is in the include flags: it isn't part of what is built.
        root = str(data_path("backends").parent)
        for part in (self.compiler.kind, self.compiler.version, *parts):
            hasher.update(part.replace(root, "").encode() + b"\0")
        return hasher.hexdigest()[:24]

    def _entry(self, kind: str, name: str, build: Any, progress: Progress) -> Path:
        try:
            return self.store.entry(kind, name, build, progress)
        except VmError as failure:
            raise SimError(
                failure.code, failure.message, notes=failure.notes, help=failure.help
            ) from failure

    def _objects(self, flags: Sequence[str]) -> dict[Path, str]:
        """The runtime's sources, each with the key of its object."""
        settings = _target()["runtime"]
        headers = _digest_of(settings["includes"], ("*.h", "**/*.h"))
        return {
            path: self._key([*flags, headers, path.name, path.read_text(encoding="utf-8")])
            for folder in settings["sources"]
            for path in _files(folder, "*.c")
        }

    def _build_runtime(
        self, into: Path, objects: Mapping[Path, str], flags: Sequence[str], link: Sequence[str],
        progress: Progress,
    ) -> None:
        """One object a source, several at once, then one link. Objects are kept too: after a change
        of one file only that one is compiled."""

        def compile_one(path: Path) -> Path:
            def build(folder: Path) -> None:
                self._run([*flags, "-c", str(path), "-o", "object.o"], folder)
                if self._objects(flags)[path] != objects[path]:
                    raise SimError(BUILD_FAILED, "the sources changed while they were compiled",
                                   help="run it again")  # fmt: skip

            return self._entry("objects", objects[path], build, silent) / "object.o"

        progress("building the simulator", None)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0)), "build") as threads:
            if self.compiler.kind == "zig":
                threads.submit(self._start_up_files, into)
            made = []
            for one in threads.map(compile_one, objects):
                made.append(str(one))
                progress("building the simulator", len(made) / (len(objects) + 1))
        sanitizers = [flag for flag in flags if flag.startswith("-fsanitize")]
        self._run([*sanitizers, *made, *link, "-o", "schedc-sim"], into)
        prune(self.store.root / "objects", _KEEP_OBJECTS)

    def _start_up_files(self, into: Path) -> None:
        """Before its first link, zig makes the C library's start-up files, for several seconds: may
        it do so while sources are compiled."""
        with _scratch_files(into, {"empty.c": "int main(void) { return 0; }\n"}):
            self._run(["empty.c", "-o", "empty"], into)
            (into / "empty").unlink()

    def _run(self, arguments: Sequence[str], folder: Path, code: str = BUILD_FAILED) -> None:
        """Call the compiler in a folder, which also takes its temporary files."""
        wrapper, prepare = bound()
        zig = {"ZIG_GLOBAL_CACHE_DIR": str(self.store.root / "zig"),
               "ZIG_LOCAL_CACHE_DIR": str(self.store.root / "zig")}
        try:
            done = subprocess.run(
                [*wrapper, *self.compiler.words, *arguments], cwd=folder, capture_output=True,
                text=True, errors="replace", check=False, timeout=_TIMEOUT_S,
                stdin=subprocess.DEVNULL, preexec_fn=prepare,
                env={**os.environ, "LC_ALL": "C", "TMPDIR": str(folder), **zig},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise SimError(
                BUILD_FAILED, f"{self.compiler.describe()} failed: {failure}",
                help="schedc doctor",
            ) from failure
        if done.returncode != 0:
            raise _refused(self.compiler, done.stderr, code, self.store.root)


def toolchain(
    variant: Variant = "release", cc: str | None = None, store: Store | None = None
) -> Toolchain:
    """The best compiler, or the one that `cc` names, with the flags of a variant."""
    return Toolchain(compiler(cc, variant), variant, store or default_store())


@cache
def compiler(cc: str | None = None, variant: Variant = "release") -> Native:
    """The compiler that a build takes; sanitized builds need one with their libraries."""
    target = _target()
    return find_native(
        cc, clang_oldest=version(str(target["clang"]["oldest"])),
        zig_oldest=version(str(target["zig"]["oldest"])), sanitizers=variant == "asan",
    )  # fmt: skip


def runtime(
    variant: Variant = "release", cc: str | None = None, progress: Progress = silent
) -> Path:
    """The simulator's executable, built if it isn't in the cache."""
    return toolchain(variant, cc).runtime(progress)


def policy(text: str, variant: Variant = "release", cc: str | None = None) -> Path:
    """The shared object of a scheduler's C text, built if it isn't in the cache."""
    return toolchain(variant, cc).policy(text)


def default_store() -> Store:
    """`<cache>/schedc/sim`."""
    return Store(Store.default().root.parent / "sim")


@cache
def _target() -> dict[str, Any]:
    return tomllib.loads(read_data("backends/sim/target.toml"))


def _files(folder: str, pattern: str) -> list[Path]:
    """Files of a data folder, in the same order everywhere."""
    return sorted(data_path(folder).glob(pattern))


def _include_flags(folders: Iterable[str]) -> list[str]:
    return [f"-I{data_path(folder)}" for folder in folders]


def _digest_of(folders: Iterable[str], patterns: Iterable[str]) -> str:
    """A hash of the names and contents of files below data folders."""
    return " ".join(_digest(data_path(folder), patterns) for folder in folders)


def _digest(top: Path, patterns: Iterable[str]) -> str:
    hasher = hashlib.sha256()
    for path in sorted({path for one in patterns for path in top.glob(one)}):
        hasher.update(f"{path.relative_to(top)}\0".encode())
        hasher.update(hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


class _scratch_files:
    """Files that are there while a compiler runs, and not in what is kept."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.paths = {folder / name: text for name, text in files.items()}

    def __enter__(self) -> None:
        for path, text in self.paths.items():
            path.write_text(text, encoding="utf-8", errors="replace")

    def __exit__(self, *_: object) -> None:
        for path in self.paths:
            path.unlink(missing_ok=True)


_MESSAGE = re.compile(r"^(?:\./)?([^:\n]+:\d+):(?:\d+:)? (?:fatal )?error: (.*)$", re.MULTILINE)


def _refused(found: Native, log: str, code: str, cache_root: Path) -> SimError:
    """What the compiler said, shortened; a full disk is told apart from bad C."""
    if "No space left on device" in log or "NoSpaceLeft" in log:
        return SimError(
            "E0813", f"no space left while writing under {cache_root}",
            help="free some space, or point XDG_CACHE_HOME at a larger disk",
        )
    said = tuple(f"{place}: {text}" for place, text in _MESSAGE.findall(log))[:_MAX_MESSAGES]
    said = said or tuple(log.strip().splitlines()[-_MAX_MESSAGES:]) or ("it said nothing",)
    if code == REFUSED_C:
        return SimError(code, f"{found.describe()} refused the C of the scheduler", notes=said)
    return SimError(
        code, f"{found.describe()} could not build the simulator", notes=said,
        help="sudo apt-get install gcc libc6-dev, or try another compiler with --cc",
    )
