"""What the loader says of a machine that can't run it. No claim about a kernel is made here."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import pytest

from schedc.load import backend, kernel, library, privileges
from schedc.load.apply import set_topology
from schedc.load.errors import (
    NO_KERNEL,
    NO_LIBBPF,
    NO_RIGHTS,
    NOT_ENABLED,
    OTHER_SCHEDULER,
    LoadError,
)
from schedc.load.plan import Current
from schedc.load.privileges import Capability, must_run_first
from tests.load.fake import Loader, loader


def test_no_sched_ext(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernel, "SCHED_EXT", tmp_path / "none")
    with pytest.raises(LoadError, match="has no sched_ext") as refused:
        kernel.check_kernel()
    assert refused.value.code == NO_KERNEL and "CONFIG_SCHED_CLASS_EXT" in str(refused.value)


def test_no_btf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernel, "SCHED_EXT", tmp_path)
    monkeypatch.setattr(kernel, "KERNEL_BTF", tmp_path / "none")
    with pytest.raises(LoadError, match="no type information") as refused:
        kernel.check_kernel()
    assert refused.value.code == NO_KERNEL


def test_malformed_btf_is_told_plainly() -> None:
    found = kernel.malformed_btf(("x", "BPF: Malformed kfunc BTF"))
    assert found is not None and found.code == NO_KERNEL and "pahole" in str(found)
    assert kernel.malformed_btf(("something else",)) is None


def test_missing_capabilities_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "effective", lambda: frozenset({Capability.bpf}))
    with pytest.raises(LoadError) as refused:
        kernel.check_rights()
    assert refused.value.code == NO_RIGHTS
    assert refused.value.message == "no rights to load a scheduler: CAP_PERFMON"


def test_who_attaches_must_be_a_real_time_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an older kernel starves it in the midst of enabling: tests/vm/test_loader.py."""
    monkeypatch.setattr(os, "sched_getscheduler", lambda _pid: os.SCHED_FIFO)
    must_run_first()
    monkeypatch.setattr(os, "sched_getscheduler", lambda _pid: os.SCHED_OTHER)
    with pytest.raises(LoadError) as refused:
        must_run_first()
    assert refused.value.code == NO_RIGHTS
    assert str(refused.value) == (
        "E0832: the loader may not run at real-time priority\n"
        "attaching a scheduler without it can hang a busy machine\n"
        "help: start it as root, or with `LimitRTPRIO=1` as schedc-loader.service does"
    )


def test_another_scheduler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/ops").write_text("lavd_1.0\n")
    (tmp_path / "state").write_text("enabled\n")
    (tmp_path / "enable_seq").write_text("4\n")
    monkeypatch.setattr(kernel, "SCHED_EXT", tmp_path)
    with pytest.raises(LoadError, match=r"another scheduler is loaded: lavd_1\.0") as refused:
        kernel.check_free(False)
    assert refused.value.code == OTHER_SCHEDULER
    kernel.check_free(True)
    assert kernel.read_current() == Current("enabled", "lavd_1.0", 4, None)


class Old:
    """A libbpf of some version."""

    def __init__(self, major: int, minor: int) -> None:
        self.libbpf_major_version = lambda: major
        self.libbpf_minor_version = lambda: minor


@pytest.mark.parametrize(("version", "said"), [
    ((1, 1), "libbpf is version 1.1; 1.4 is needed"), ((0, 8), "libbpf is version 0.8"),
])  # fmt: skip
def test_an_old_libbpf(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], said: str
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Old(*version))
    with pytest.raises(LoadError) as refused:
        library.library.__wrapped__()
    assert refused.value.code == NO_LIBBPF and said in refused.value.message


def test_neither_libbpf_nor_bpftool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise OSError("libbpf.so.1: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr(backend, "library", library.library.__wrapped__)
    monkeypatch.setattr(backend, "find", lambda: None)
    for wanted in (False, True):
        with pytest.raises(LoadError) as refused:
            backend.choose(kernel, bpftool=wanted)  # type: ignore[arg-type]
        assert refused.value.code == NO_LIBBPF


def test_bpftool_that_says_so_falsely(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`Registered`, status 0, and the kernel runs nothing."""
    from schedc.load import bpftool
    from tests.load.samples import plan

    program = tmp_path / "bpftool"
    program.write_text("#!/bin/sh\necho Registered sched_ext_ops id 7\n")
    program.chmod(0o755)
    monkeypatch.setattr(bpftool, "PINS", tmp_path / "pins")
    monkeypatch.setattr(bpftool, "ENABLE_S", 0.1)
    monkeypatch.setattr(bpftool, "must_run_first", lambda: None)
    monkeypatch.setattr(kernel, "SCHED_EXT", tmp_path / "none")
    one = bpftool.Scheduler(plan(settings=""), program, tmp_path)
    with pytest.raises(LoadError, match="says that it is registered") as refused:
        one.attach()
    assert refused.value.code == NOT_ENABLED
    assert "Registered" in refused.value.notes[0]


def test_rights_are_read_from_the_kernel() -> None:
    assert privileges.effective() <= frozenset(Capability)


def test_topology_by_caches_and_nodes(tmp_path: Path) -> None:
    for cpu, (llc, node, speed) in enumerate([("0-1", 0, 3000), ("0-1", 0, 3000),
                                              ("2-3", 1, 1800), ("2-3", 1, 2900)]):  # fmt: skip
        folder = tmp_path / f"cpu{cpu}"
        for part in ("cache/index3", f"node{node}", "cpufreq", "topology"):
            (folder / part).mkdir(parents=True)
        (folder / "cache/index3/level").write_text("3\n")
        (folder / "cache/index3/shared_cpu_list").write_text(f"{llc}\n")
        (folder / "cpufreq/cpuinfo_max_freq").write_text(f"{speed}\n")
    written: dict[tuple[str, int], bytes] = {}

    class Constants:
        def __contains__(self, name: str) -> bool:
            return name != "nr_nodes"

        def write(self, name: str, offset: int, data: bytes) -> bool:
            written[name, offset] = data
            return True

        def set(self, name: str, value: int) -> None:
            written[name, 0] = bytes([value])

    set_topology(Constants(), 4, tmp_path)  # type: ignore[arg-type]
    assert [written["cpu_llc", 2 * cpu][0] for cpu in range(4)] == [0, 0, 1, 1]
    assert [written["cpu_node", 2 * cpu][0] for cpu in range(4)] == [0, 0, 1, 1]
    assert [written["cpu_fast", cpu][0] for cpu in range(4)] == [1, 1, 0, 1]
    assert written["nr_llcs", 0] == b"\x02" and ("nr_nodes", 0) not in written


def test_a_full_disk_refuses_what_is_new_and_lets_go_back(tmp_path: Path) -> None:
    with loader(tmp_path) as one:
        old = one.load("old")
        room = one.where.state / ".room"
        room.mkdir()  # as good as a full disk: the probe can't be written
        _refused(one, old)
        assert one.running() == ("old", "confirmed")
        with one.connect() as client:
            client.ask({"do": "unload", "reason": "enough"})
        assert one.running() == ("", "")


def _refused(one: Loader, old: Any) -> None:
    with one.connect() as client, pytest.raises(LoadError) as refused:
        client.ask({"do": "load", "plan": one.plan("new", old).as_json(), "canary_s": None,
                    "by": ""})  # fmt: skip
    assert refused.value.code == "E0847"
