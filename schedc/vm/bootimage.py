"""A kernel image that is already unpacked.

Input: a bzImage. Output: the ELF kernel in it, cached; or the bzImage itself where this machine
can't unpack it or QEMU couldn't boot it.
Invariant: only an optimisation. The emulated machine needs about two seconds to unpack its own
kernel, this one a quarter of a second, once. QEMU enters an ELF kernel through its PVH note.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import lzma
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

from schedc.vm.kernels import Kernel
from schedc.vm.store import Progress, Store, prune, silent

KEPT = 6
# Elf note of type XEN_ELFNOTE_PHYS32_ENTRY (18), name "Xen": the PVH entry point.
PVH_NOTE = struct.pack("<II", 4, 8) + struct.pack("<I", 18) + b"Xen\0"


def bootable(store: Store, kernel: Kernel, progress: Progress = silent) -> Path:
    """What to give to QEMU's -kernel."""

    def build(into: Path) -> None:
        progress(f"unpacking kernel {kernel.release}", None)
        elf = unpacked(kernel.path.read_bytes())
        if elf is not None:
            (into / "vmlinux").write_bytes(elf)

    folder = store.entry("vmlinux", kernel.digest[:24], build, progress)
    prune(store.root / "vmlinux", KEPT)
    elf = folder / "vmlinux"
    return elf if elf.exists() else kernel.path


def unpacked(image: bytes) -> bytes | None:
    """The ELF kernel in a bzImage; None if it can't be had or lacks the PVH entry.

    Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, payload_offset and payload_length at
    0x248, relative to the protected-mode code; the last four bytes are the unpacked size.
    """
    if image[0x202:0x206] != b"HdrS":
        return None
    setup = ((image[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    payload = image[setup + offset : setup + offset + length]
    if len(payload) < 8:
        return None
    (size,) = struct.unpack("<I", payload[-4:])
    if size > 512 << 20:
        return None
    elf = _decompress(payload[:-4], size)
    if elf is None or elf[:4] != b"\x7fELF" or PVH_NOTE not in elf:
        return None
    return elf


def _decompress(data: bytes, size: int) -> bytes | None:
    try:
        if data[:4] == b"\x28\xb5\x2f\xfd":
            return _zstd(data, size)
        if data[:2] == b"\x1f\x8b":
            return zlib.decompress(data, wbits=31)
        if data[:6] == b"\xfd7zXZ\0":
            # The kernel's xz stream may be followed by padding, so not lzma.decompress.
            return lzma.LZMADecompressor().decompress(data)
    except (zlib.error, lzma.LZMAError, EOFError):
        return None
    return None


def _zstd(data: bytes, size: int) -> bytes | None:
    """With libzstd, which apt itself is linked to; else with the zstd program."""
    if name := ctypes.util.find_library("zstd"):
        library = ctypes.CDLL(name)
        library.ZSTD_decompress.restype = ctypes.c_size_t
        library.ZSTD_decompress.argtypes = (
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t,
        )  # fmt: skip
        out = ctypes.create_string_buffer(size)
        if library.ZSTD_decompress(out, size, data, len(data)) == size:
            return out.raw
    if program := shutil.which("zstd"):
        done = subprocess.run([program, "-dc"], input=data, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None
    return None
