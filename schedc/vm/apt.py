"""A private apt: Debian packages into the user's cache, without touching the system.

Input: package names. Output: verified .deb files, unpacked trees.
Invariant: nothing outside the cache is written. The system's apt configuration is read (proxy,
credentials), and the mirror is the one that the machine itself is set up with; its lists, its
status and its archives are left alone, and its hooks don't run. apt checks signatures and
checksums, and resumes a download that was cut off.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from schedc.records import dataclass
from schedc.vm.children import bound
from schedc.vm.errors import DISK, FETCH_FAILED, NO_APT, VmError
from schedc.vm.store import Progress, Store, silent

SUITES = ("trixie", "trixie-backports")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "SCHEDC_DEBIAN_MIRROR"
HELPER = "/usr/lib/apt/apt-helper"
LISTS_FRESH_S = 24 * 3600.0

# Read by apt after the system's own configuration, so the proxy stays and the hooks go.
CONFIG = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear APT::Default-Release;
#clear APT::NeverAutoRemove;
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "{root}/none";
Dir::Etc::preferencesparts "{root}/none";
Dir::State "{root}/state";
Dir::State::lists "{root}/lists";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Cache::archives "{root}/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
"""


@dataclass(frozen=True, slots=True)
class Package:
    """One file that apt would fetch, as `--print-uris` says it."""

    uri: str
    file: str
    size: int
    digest: str = ""


def parse_uris(text: str) -> tuple[Package, ...]:
    """The packages in the output of `apt-get --print-uris`; other lines are passed over."""
    found = re.findall(r"^'([^']+)' (\S+\.deb) (\d+)(?: (\S*))?\s*$", text, re.MULTILINE)
    return tuple(Package(uri, file, int(size), digest) for uri, file, size, digest in found)


def parse_mirror(text: str) -> str | None:
    """The Debian mirror in lines `SITE|SUITE|ORIGIN` of `apt-get indextargets`.

    Origin is empty where the machine has never run `apt-get update`; then the path decides. The
    security archive is another archive with its own path and carries no backports.
    """
    guess = None
    for line in text.splitlines():
        site, _, rest = line.strip().partition("|")
        suite, _, origin = rest.partition("|")
        if not site or suite.endswith("-security") or site.rstrip("/").endswith("-security"):
            continue
        if origin == "Debian":
            return site.rstrip("/")
        if origin == "" and site.rstrip("/").endswith("/debian"):
            guess = guess or site.rstrip("/")
    return guess


@dataclass(frozen=True, slots=True)
class Apt:
    """apt with its state in `store/apt`."""

    store: Store

    @property
    def root(self) -> Path:
        return self.store.root / "apt"

    def update(self, progress: Progress = silent, *, force: bool = False) -> None:
        """Bring the package lists up to date, unless they are from the last day."""
        if force or not self._fresh():
            with self.store.lock("apt", progress):
                # Whoever held the lock may just have done it.
                if force or not self._fresh():
                    self._update(progress)

    def _fresh(self) -> bool:
        stamp = self.root / "updated"
        return stamp.exists() and time.time() - stamp.stat().st_mtime < LISTS_FRESH_S

    def names(self, prefix: str) -> tuple[str, ...]:
        """All package names with this prefix that the lists know; () without lists."""
        if not (self.root / "updated").exists():
            return ()
        return tuple(sorted(self._run("apt-cache", "pkgnames", prefix).split()))

    def closure(self, packages: Sequence[str]) -> tuple[Package, ...]:
        """What would be fetched for these packages and everything that they depend on."""
        return parse_uris(self._run("apt-get", *self._install(packages), "--print-uris"))

    def unpack(
        self,
        packages: Sequence[str],
        into: Path,
        progress: Progress = silent,
        *,
        depends: bool = True,
        label: str = "packages",
    ) -> tuple[str, ...]:
        """Fetch packages (with what they depend on) and unpack all of them into `into`.

        Returns the names of the package files, which name their versions. A mirror that has dropped
        a version since the last update answers 'not found': then the lists are renewed, once.
        """
        self.update(progress)
        with self.store.lock("apt", progress):
            try:
                files = self._fetch(packages, progress, depends, label)
            except VmError as e:
                if e.code != FETCH_FAILED:
                    raise
                self._update(progress)
                files = self._fetch(packages, progress, depends, label)
            for number, file in enumerate(files):
                progress(f"unpacking {label}", number / len(files))
                self._extract(file, into)
            for file in files:
                file.unlink(missing_ok=True)
        return tuple(file.name for file in files)

    # --- below: one apt call each, with the lock held by the caller

    def _update(self, progress: Progress) -> None:
        self._prepare()
        progress("package lists", None)
        # Any-Error: without it apt-get exits 0 with only a warning when a mirror can't be reached.
        self._run("apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any", progress=progress)
        (self.root / "updated").touch()
        os.utime(self.root / "updated")

    def _fetch(
        self, packages: Sequence[str], progress: Progress, depends: bool, label: str
    ) -> list[Path]:
        archives = self.root / "archives"
        if not depends:
            return [self._fetch_alone(name, progress, label) for name in packages]
        wanted = self.closure(packages)
        size = sum(p.size for p in wanted) / 1e6
        what = f"{label} ({size:.0f} MB)"
        self._run(
            "apt-get", *self._install(packages), "--download-only", progress=progress, what=what
        )
        return [archives / p.file for p in wanted]

    def _fetch_alone(self, name: str, progress: Progress, label: str) -> Path:
        """One package without what it depends on.

        With apt's helper, since that one resumes; `apt-get download` starts anew. Given the digest
        (of the signed lists), it checks the file as apt does, and takes one that is there already.
        """
        (wanted,) = parse_uris(self._run("apt-get", "download", "--print-uris", name)) or (None,)
        if wanted is None or not wanted.digest:
            raise VmError(FETCH_FAILED, f"the mirror has no package {name}")
        target = self.root / "archives" / wanted.file
        what = f"{label} ({wanted.size / 1e6:.0f} MB)"
        self._run(
            HELPER, "download-file", wanted.uri, str(target), wanted.digest,
            progress=progress, what=what,
        )  # fmt: skip
        return target

    def _install(self, packages: Sequence[str]) -> list[str]:
        return ["install", "-y", "-q", "--no-install-recommends", *packages]

    def _extract(self, file: Path, into: Path) -> None:
        done = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(file)],
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            # Not `dpkg-deb -x`: that one sets the modes of existing directories, and fails where
            # a package has a directory at the place of another's link (/lib -> usr/lib).
            done = subprocess.run(
                ["tar", "-x", "-C", str(into), "--keep-directory-symlink", "--no-same-owner"],
                input=done.stdout,
                stderr=subprocess.PIPE,
                check=False,
            )
        if done.returncode != 0:
            raise _failure(done.stderr.decode(errors="replace"), f"cannot unpack {file.name}")

    def _prepare(self) -> None:
        for part in ("none", "state", "lists/partial", "cache", "archives/partial"):
            self.store.directory("apt", *part.split("/"))
        (self.root / "state" / "status").touch()
        if not KEYRING.exists():
            raise VmError(
                NO_APT,
                f"the keys of Debian's archive are not on this machine ({KEYRING})",
                help="apt-get install debian-archive-keyring, or give a kernel with --kernel PATH",
            )
        mirror = find_mirror()
        lines = [f"deb [arch=amd64 target=Packages signed-by={KEYRING}] {mirror} {suite} main"
                 for suite in SUITES]
        (self.root / "sources.list").write_text("\n".join(lines) + "\n")
        (self.root / "apt.conf").write_text(CONFIG.format(root=self.root))

    def _run(
        self,
        tool: str,
        *args: str,
        progress: Progress = silent,
        what: str | None = None,
        cwd: Path | None = None,
    ) -> str:
        program = shutil.which(tool)
        if program is None:
            raise _no_apt()
        read, write = os.pipe()
        config = str(self.root / "apt.conf")
        # An apt that outlived us would go on writing where the next one writes.
        wrapper, prepare = bound()
        command = [*wrapper, program, "-c", config, "-o", f"APT::Status-Fd={write}", *args]
        # To a file: apt would wait for ever for someone to empty a pipe, while we read its status.
        with tempfile.TemporaryFile() as said, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            pass_fds=(write,), cwd=cwd, env={**os.environ, "LC_ALL": "C"}, preexec_fn=prepare,
            start_new_session=True,
        ) as process:
            os.close(write)
            try:
                with os.fdopen(read, errors="replace") as status:
                    for fraction in _fractions(status):
                        progress(what or "package lists", fraction)
                process.wait()
            except BaseException:
                _interrupt(process)
                raise
            said.seek(0)
            output = said.read().decode(errors="replace")
        if process.returncode != 0:
            raise _failure(output, f"apt could not get {what or 'the package lists'}")
        return output


def find_mirror() -> str:
    """The Debian mirror that this machine's own apt uses (or the one that the user names)."""
    if named := os.environ.get(MIRROR_VARIABLE):
        return named.rstrip("/")
    program = shutil.which("apt-get")
    if program is None:
        raise _no_apt()
    done = subprocess.run(
        [program, "indextargets", "--format", "$(SITE)|$(RELEASE)|$(ORIGIN)"],
        capture_output=True, text=True, check=False,
    )
    mirror = parse_mirror(done.stdout)
    if mirror is None:
        raise VmError(
            NO_APT,
            "apt on this machine is not set up with a Debian mirror",
            help=f"set {MIRROR_VARIABLE} to one, or give a kernel with --kernel PATH",
        )
    return mirror


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """End apt and its transports. They get the time to note how far a file is: without that note
    the next one can't resume it."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            return


def _fractions(lines: Iterator[str]) -> Iterator[float]:
    """How far a download is, from lines `dlstatus:1:20.5:Retrieving …`."""
    for line in lines:
        if found := re.match(r"dlstatus:\d+:([0-9.]+):", line):
            yield min(float(found[1]) / 100.0, 1.0)


def _no_apt() -> VmError:
    return VmError(
        NO_APT,
        "there is no apt on this machine to fetch kernels and QEMU with",
        help="install QEMU 8.2 or newer yourself, and give a kernel with --kernel PATH",
    )


def _failure(output: str, message: str) -> VmError:
    """What apt or dpkg printed, as one diagnostic; the last few error lines are enough."""
    lines = [line.strip() for line in output.splitlines()]
    errors = tuple(line for line in lines if line.startswith(("E:", "W:", "Err:", "dpkg", "tar:")))
    notes = (errors or tuple(filter(None, lines)))[-4:]
    if re.search(r"No space left|enough free space|write error", output):
        help_ = "free some space, or point XDG_CACHE_HOME at a larger disk"
        return VmError(DISK, message + ": no space left", notes=notes, help=help_)
    if "NO_PUBKEY" in output:
        help_ = "apt-get install debian-archive-keyring (a newer one), then try again"
        return VmError(NO_APT, message + ": a signing key is missing", notes=notes, help=help_)
    help_ = "check the network (or apt's proxy), then run `schedc vm fetch`: it goes on from here"
    return VmError(FETCH_FAILED, message, notes=notes, help=help_)
