"""Names of kernels, and which of them a wish means."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from schedc.vm.errors import NO_APT, NO_SCHED_EXT, NO_SUCH_KERNEL, VmError
from schedc.vm.kernels import Kernels, check_config, from_path, matching, packaged, version_of
from schedc.vm.store import Store

NAMES = """\
linux-image-6.12.94+deb13-cloud-amd64
linux-image-6.16.3+deb13-cloud-amd64
linux-image-6.16.12+deb13-cloud-amd64
linux-image-6.16.12+deb13-cloud-amd64-dbg
linux-image-6.16.12+deb13-cloud-amd64-unsigned
linux-image-6.19.6+deb13-cloud-amd64
linux-binary-6.19.6+deb13-cloud-amd64
linux-binary-unsigned-7.3.4+deb13-cloud-amd64
linux-binary-7.3.4+deb13-cloud-amd64
linux-binary-7.10.1+deb13-cloud-amd64
linux-image-cloud-amd64
linux-image-7.0.1+deb13-amd64
linux-headers-7.0.1+deb13-cloud-amd64
""".split()


def test_signed_cloud_kernels_with_sched_ext_are_found() -> None:
    assert packaged(NAMES) == {
        "6.16.3+deb13-cloud-amd64": "linux-image-6.16.3+deb13-cloud-amd64",
        "6.16.12+deb13-cloud-amd64": "linux-image-6.16.12+deb13-cloud-amd64",
        "6.19.6+deb13-cloud-amd64": "linux-binary-6.19.6+deb13-cloud-amd64",
        "7.3.4+deb13-cloud-amd64": "linux-binary-7.3.4+deb13-cloud-amd64",
        "7.10.1+deb13-cloud-amd64": "linux-binary-7.10.1+deb13-cloud-amd64",
    }


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        ("6.16", (6, 16, 12)), ("6.16.3", (6, 16, 3)), ("7", (7, 10, 1)), ("7.3", (7, 3, 4)),
        ("latest", (7, 10, 1)), ("6", (6, 19, 6)), ("6.16.3+deb13-cloud-amd64", (6, 16, 3)),
        ("6.1", None), ("8", None), ("", None), ("newest", None), ("6.16.1", None),
    ],
)  # fmt: skip
def test_a_wish_means_the_newest_that_fits(spec: str, version: tuple[int, ...] | None) -> None:
    found = matching(spec, packaged(NAMES))
    assert (version_of(found) if found else None) == version


def test_versions_compare_as_numbers() -> None:
    assert version_of("6.18.15+deb13-cloud-amd64") == (6, 18, 15)
    assert version_of("7.3.4-rc1") < version_of("7.10")
    assert version_of("x") == ()


def bz_image(text: bytes = b"6.18.1-mine (me@here) #1 SMP") -> bytes:
    image = bytearray(0x1000)
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x20E, 0x400)
    image[0x600 : 0x600 + len(text)] = text
    return bytes(image)


def test_an_image_of_ones_own_says_its_release(tmp_path: Path) -> None:
    path = tmp_path / "bzImage"
    path.write_bytes(bz_image())
    kernel = Kernels(Store(tmp_path)).resolve(str(path))
    assert kernel.release == "6.18.1-mine"
    assert kernel.path == path
    assert kernel.version == (6, 18, 1)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"x" * 0x300])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(content)
    with pytest.raises(VmError) as caught:
        from_path(path)
    assert caught.value.code == NO_SUCH_KERNEL
    assert "bzImage" in (caught.value.help or "")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(VmError) as caught:
        Kernels(Store(tmp_path)).resolve(str(tmp_path / "no/such"))
    assert caught.value.code == NO_SUCH_KERNEL


def cached(store: Store, release: str) -> None:
    folder = store.directory("kernels", release)
    (folder / "vmlinuz").write_bytes(bz_image())
    (folder / "kernel.json").write_text(f'{{"release": "{release}", "sha256": "abc"}}')


def test_a_full_cache_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    store = Store(tmp_path)
    cached(store, "6.18.9+deb13-cloud-amd64")
    cached(store, "6.18.15+deb13-cloud-amd64")
    for spec in ("6.18", "latest", "6"):
        assert Kernels(store).resolve(spec).release == "6.18.15+deb13-cloud-amd64"
    (first, second) = Kernels(store).listed()
    assert first.release == "6.18.15+deb13-cloud-amd64" and first.cached
    assert second.package is None


def test_fetching_off_the_network_stays_with_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    store = Store(tmp_path)
    cached(store, "6.18.9+deb13-cloud-amd64")
    assert Kernels(store).fetch("6.18").release == "6.18.9+deb13-cloud-amd64"
    with pytest.raises(VmError) as caught:
        Kernels(store).fetch("7")
    assert caught.value.code == NO_APT


def test_an_entry_without_its_facts_is_not_a_kernel(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.directory("kernels", "6.18.15+deb13-cloud-amd64")
    assert Kernels(store).listed() == ()


@pytest.mark.parametrize("lacking", ["CONFIG_SCHED_CLASS_EXT", "CONFIG_DEBUG_INFO_BTF"])
def test_a_kernel_without_sched_ext_is_refused(tmp_path: Path, lacking: str) -> None:
    options = {"CONFIG_SCHED_CLASS_EXT", "CONFIG_DEBUG_INFO_BTF"}
    config = tmp_path / "config-6.18"
    config.write_text("".join(f"{o}=y\n" for o in options))
    check_config(tmp_path, "6.18")
    config.write_text("".join(f"{o}=y\n" for o in options - {lacking}))
    with pytest.raises(VmError) as caught:
        check_config(tmp_path, "6.18")
    assert caught.value.code == NO_SCHED_EXT
    assert lacking in caught.value.message
