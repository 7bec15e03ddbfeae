"""The guest's file system: an initramfs made of packages and our own programs.

Input: a store and the kind of image. Output: the path of a cpio archive, and its digest.
Invariant: the same packages and programs give the same bytes; the archive is named after its
content's inputs, so a changed source makes a new one. Not compressed: the emulated machine would
spend seconds on that, the host copies it in milliseconds.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from schedc.records import dataclass
from schedc.vm import cpio, guest, packages, python_image, rehearsal, systemd_image
from schedc.vm.elf import libraries
from schedc.vm.job import ImageKind, Job, check_name
from schedc.vm.kernels import Kernel
from schedc.vm.layer import layer
from schedc.vm.store import Progress, Store, prune, silent

LIBRARY_FOLDER = "usr/lib/x86_64-linux-gnu"
INTERPRETER = "ld-linux-x86-64.so.2"
TOOLS = ("hackbench", "cyclictest", "stress-ng", "sysbench")
KEPT = 6
DIRECTORIES = ("dev", "proc", "sys", "tmp", "run", "root", "etc", "sbin", "lib", "usr/bin")
FORMAT = 2
REHEARSAL = "lib/schedc/rehearsal.o"


@dataclass(frozen=True, slots=True)
class Image:
    """layer: an archive that a machine gets on top (see `layer`); no part of the digest."""

    path: Path
    digest: str
    layer: Path | None = None


def image(
    store: Store, kind: ImageKind, progress: Progress = silent, kernel: Kernel | None = None
) -> Image:
    """The image of a kind, built if its inputs changed. Only `bcc` depends on the kernel."""
    programs = guest.small_programs()
    if kind != "small":
        programs += guest.workload_programs()
    sets = _sets(kind, kernel)
    inputs = [FORMAT, kind, guest.source_digest(programs), [s.key for s in sets],
              [c.identity for c in guest.available()], rehearsal.digest()]
    if packages.PYTHON in sets:
        inputs.append(python_image.FORMAT)
    if packages.SYSTEMD in sets:
        inputs.append(systemd_image.FORMAT)
    name = f"{kind}-{hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]}"

    def build(into: Path) -> None:
        trees = [packages.tree(store, s, progress) for s in sets]
        built = guest.compiled(store, programs, trees[0], progress)
        progress(f"building the {kind} image", None)
        entries = contents(trees, built)
        if policy := rehearsal.compiled():
            entries |= {"lib/schedc": cpio.directory(), REHEARSAL: cpio.file(policy)}
        if packages.PYTHON in sets:
            entries |= python_image.contents(trees, kernel.release if kernel else "")
        if packages.SYSTEMD in sets:
            entries |= systemd_image.contents(trees[sets.index(packages.SYSTEMD)])
        data = cpio.archive(entries)
        (into / "initramfs").write_bytes(data)
        (into / "digest").write_text(hashlib.sha256(data).hexdigest())

    # Those with Python are large, and change with packages only: they don't push out the others.
    store_kind = "images-python" if packages.PYTHON in sets else "images"
    folder = store.entry(store_kind, name, build, progress)
    prune(store.root / store_kind, KEPT)
    over = None
    if packages.PYTHON in sets:
        over = layer(store, packages.tree(store, packages.PYTHON, progress), progress)
    return Image(folder / "initramfs", (folder / "digest").read_text(), over)


def _sets(kind: ImageKind, kernel: Kernel | None) -> list[packages.PackageSet]:
    match kind:
        case "small":
            return [packages.BASE]
        case "tools":
            return [packages.BASE, packages.TOOLS]
        case "python":
            return [packages.BASE, packages.TOOLS, packages.PYTHON]
        case "systemd":
            return [packages.BASE, packages.TOOLS, packages.PYTHON, packages.SYSTEMD]
        case "bcc":
            if kernel is None:
                raise ValueError("an image with bcc is made for a kernel")
            headers = packages.headers(kernel.release)
            return [packages.BASE, packages.TOOLS, packages.PYTHON, packages.BCC, headers]


def contents(trees: list[Path], programs: dict[str, Path]) -> dict[str, cpio.Entry]:
    """Everything in an image. Tools come from the last tree, libraries from where they are."""
    entries: dict[str, cpio.Entry] = {path: cpio.directory() for path in DIRECTORIES}
    entries["dev/console"] = cpio.character_device(5, 1)
    entries["dev/null"] = cpio.character_device(1, 3)
    entries["etc/passwd"] = cpio.file(b"root:x:0:0:root:/root:/bin/sh\n")
    entries["etc/group"] = cpio.file(b"root:x:0:\n")
    wanted = dict(programs)
    for tree in trees:
        wanted |= {tool: p for tool in TOOLS if (p := tree / "usr/bin" / tool).is_file()}
    for name, path in wanted.items():
        place = "init" if name == "init" else f"bin/{name}"
        entries[place] = cpio.file(path.read_bytes(), executable=True)
    for tree in trees:
        folder = tree / LIBRARY_FOLDER
        for name, path in libraries(wanted.values(), folder).items():
            entries[f"lib/x86_64-linux-gnu/{name}"] = cpio.file(path.read_bytes(), executable=True)
        if (folder / INTERPRETER).is_file():
            entries[f"lib64/{INTERPRETER}"] = cpio.file(
                (folder / INTERPRETER).read_bytes(), executable=True
            )
    entries |= _busybox(trees[0])
    return entries


def _busybox(tree: Path) -> dict[str, cpio.Entry]:
    data = (tree / "usr/bin/busybox").read_bytes()
    links = {f"bin/{name}": cpio.link("busybox") for name in APPLETS}
    return {"bin/busybox": cpio.file(data, executable=True), **links}


# A fixed list rather than asking busybox, which would mean to run a guest's program here.
APPLETS = (
    "awk basename cat chmod cp cut date dd dirname dmesg echo env expr false find free grep head "
    "hostname id kill killall ln ls mkdir mknod mktemp mount mv nice nohup nproc pidof printf ps "
    "pwd readlink renice rm rmdir sed seq setsid sh sha256sum sleep sort stat stty sync sysctl "
    "tail tar taskset tee test time timeout top touch tr true umount uname uniq uptime usleep vi "
    "wc which xargs yes"
).split()


def with_job(image: Image, job: Job) -> bytes:
    """The image's archive (and its layer), then one that puts a job into /job (see init.c)."""
    entries: dict[str, cpio.Entry] = {}
    for name, data in job.contents().items():
        check_name(name)
        entries[f"job/{name}"] = cpio.file(data, executable=True)
    over = image.layer.read_bytes() if image.layer else b""
    return image.path.read_bytes() + over + cpio.archive(entries)
