"""The bytes that go into a guest and come out: initramfs, job, result; hostile ones too."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from schedc.vm import cpio
from schedc.vm.bootimage import unpacked
from schedc.vm.elf import needed
from schedc.vm.errors import BAD_RESULT, VmError
from schedc.vm.image import Image, with_job
from schedc.vm.job import MAX_FILES, MAX_RESULT, DoneLine, Job, Shape, pack, parse_done, unpack
from schedc.vm.kernels import Kernel

NAMES = st.from_regex(r"[a-z]{1,12}(/[a-z]{1,12}){0,3}", fullmatch=True)


def read_cpio(data: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """An independent reader of `newc`, after the kernel's Documentation."""
    found, at = {}, 0
    while True:
        assert data[at : at + 6] == b"070701"
        f = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, rdev, name_size = f[1], f[6], (f[9], f[10]), f[11]
        name = data[at + 110 : at + 110 + name_size]
        assert name.endswith(b"\0")
        at = (at + 110 + name_size + 3) // 4 * 4
        content = data[at : at + size]
        at = (at + size + 3) // 4 * 4
        if name == b"TRAILER!!!\0":
            return found
        found[name[:-1].decode()] = (mode, content, rdev)


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=8))
def test_an_initramfs_holds_what_was_put_in(files: dict[str, bytes]) -> None:
    # a name can't be a file and a folder
    files = {n: d for n, d in files.items() if not any(o.startswith(n + "/") for o in files)}
    data = cpio.archive({name: cpio.file(d) for name, d in files.items()})
    assert len(data) % 512 == 0
    read = read_cpio(data)
    assert {n: c for n, (m, c, _) in read.items() if stat.S_ISREG(m)} == files
    order = list(read)
    for name in files:
        for depth in range(1, name.count("/") + 1):
            above = "/".join(name.split("/")[:depth])
            assert stat.S_ISDIR(read[above][0])
            assert order.index(above) < order.index(name)
    again = cpio.archive({name: cpio.file(files[name]) for name in sorted(files, reverse=True)})
    assert data == again


def test_links_devices_and_modes() -> None:
    read = read_cpio(cpio.archive({
        "bin/sh": cpio.link("busybox"), "dev/console": cpio.character_device(5, 1),
        "init": cpio.file(b"x", executable=True),
    }))  # fmt: skip
    assert stat.S_ISLNK(read["bin/sh"][0]) and read["bin/sh"][1] == b"busybox"
    assert stat.S_ISCHR(read["dev/console"][0]) and read["dev/console"][2] == (5, 1)
    assert read["init"][0] & 0o111


@pytest.mark.parametrize("path", ["/x", "../x", "a/../../x", ""])
def test_a_path_that_leads_out_of_an_initramfs(path: str) -> None:
    with pytest.raises(ValueError):
        cpio.archive({path: cpio.file(b"")})


def test_a_job_can_lie_in_the_initramfs(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(cpio.archive({"init": cpio.file(b"i")}))
    data = with_job(Image(tmp_path / "i", ""), Job({"a/b": b"1"}, "true"))
    first = (tmp_path / "i").stat().st_size
    read = read_cpio(data[first:])
    assert read["job/a/b"][1] == b"1" and read["job/run.sh"][1] == b"true"


# --- jobs and results


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=8), st.text(max_size=20))
def test_a_packed_job_is_the_same_every_time(files: dict[str, bytes], script: str) -> None:
    files.pop("run.sh", None)
    script = script.encode(errors="ignore").decode()
    data = pack(Job(files, script))
    assert data == pack(Job(dict(reversed(files.items())), script))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        read = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    assert read == {**files, "run.sh": script.encode()}


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../b", "", "a\0b"])
def test_a_file_that_leads_out_of_a_job(name: str) -> None:
    with pytest.raises(ValueError):
        pack(Job({name: b""}, ""))


def test_a_command_is_words_ended_by_zero() -> None:
    assert Job({}, command=("a", "b c")).contents() == {"command": b"a\0b c\0"}


def test_the_line_of_a_result() -> None:
    assert parse_done(b"DONE 3 0 1500000000 disabled 10240") == DoneLine(
        3, False, 1_500_000_000, "disabled", 10240
    )


@pytest.mark.parametrize(
    "line",
    [b"", b"DONE", b"DONE 0 0 0 disabled", b"DONE 0 0 0 disabled -1", b"DONE x 0 0 disabled 0",
     b"DONE 0 0 0 disabled 0 0", b"JOB 0 0 0 disabled 0", b"\xff\xfe", b"DONE 0 0 0 \xff 0",
     b"DONE 0 0 0 disabled %d" % (MAX_RESULT + 1)],
)  # fmt: skip
def test_another_line_is_refused(line: bytes) -> None:
    with pytest.raises(VmError) as caught:
        parse_done(line)
    assert caught.value.code == BAD_RESULT


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


DONE = DoneLine(0, False, 0, "disabled", 0)


def test_only_regular_files_below_out_are_taken() -> None:
    data = tar_of(
        (member("out", tarfile.DIRTYPE), b""),
        (member("out/good"), b"1"),
        (member("out/deep/er"), b"2"),
        (member("console"), b"said \xff"),
        (member("out/../escape"), b"x"),
        (member("/etc/passwd"), b"x"),
        (member("other"), b"x"),
        (member("out/link", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (member("out/hard", tarfile.LNKTYPE, "out/good"), b""),
        (member("out/device", tarfile.CHRTYPE), b""),
        (member("out/fifo", tarfile.FIFOTYPE), b""),
    )
    result = unpack(DONE, data)
    assert dict(result.out) == {"good": b"1", "deep/er": b"2"}
    assert result.console == "said \ufffd"


def test_too_many_files_are_refused() -> None:
    data = tar_of(*((member(f"out/{i}"), b"") for i in range(MAX_FILES + 1)))
    with pytest.raises(VmError):
        unpack(DONE, data)


def test_a_header_that_promises_more_than_there_is() -> None:
    data = bytearray(tar_of((member("out/x"), b"1")))
    info = member("out/x")
    info.size = 1 << 33
    data[:512] = info.tobuf(tarfile.GNU_FORMAT)[:512]
    with pytest.raises(VmError):
        unpack(DONE, bytes(data))


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_result_or_an_error(data: bytes) -> None:
    try:
        unpack(DONE, data)
    except VmError as e:
        assert e.code == BAD_RESULT


@given(st.binary(max_size=600), st.integers(0, 1500))
def test_a_damaged_result_is_a_result_or_an_error(noise: bytes, at: int) -> None:
    data = bytearray(tar_of((member("out/x"), b"1" * 600), (member("console"), b"2")))
    data[at : at + len(noise)] = noise
    try:
        unpack(DONE, bytes(data))
    except VmError as e:
        assert e.code == BAD_RESULT


def test_a_shape_that_can_not_be() -> None:
    with pytest.raises(ValueError):
        Shape(Kernel("6.18", Path("x"), ""), cpus=3, threads_per_core=2)


# --- files that are read for what they are


def test_what_a_program_needs() -> None:
    with open("/proc/self/exe", "rb") as file:
        names = needed(file.read())
    assert any(name.startswith("libc.so") for name in names)
    assert needed(b"") == needed(b"\x7fELF\x01\x01") == needed(b"#!/bin/sh\n") == ()


@given(st.binary(max_size=1500))
def test_no_image_makes_the_unpacker_fail(data: bytes) -> None:
    assert unpacked(data) is None
    head = bytearray(data.ljust(0x300, b"\0"))
    head[0x202:0x206] = b"HdrS"
    unpacked(bytes(head))


def test_an_unpacked_kernel_needs_its_entry_note() -> None:
    import zlib

    def image(elf: bytes) -> bytes:
        packer = zlib.compressobj(wbits=31)
        payload = packer.compress(elf) + packer.flush() + struct.pack("<I", len(elf))
        head = bytearray(1024)
        head[0x1F1] = 1
        head[0x202:0x206] = b"HdrS"
        struct.pack_into("<II", head, 0x248, 0, len(payload))
        return bytes(head) + payload

    note = struct.pack("<III", 4, 8, 18) + b"Xen\0"
    assert unpacked(image(b"\x7fELF" + note)) == b"\x7fELF" + note
    assert unpacked(image(b"\x7fELF without")) is None
