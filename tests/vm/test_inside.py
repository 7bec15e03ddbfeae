"""Guests with Python: schedc as it is here runs in them, and what they are made of."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from schedc.vm import packages
from schedc.vm.job import Job
from schedc.vm.layer import layer, sources
from schedc.vm.machine import Machine
from schedc.vm.store import Store
from tests.vm import inside
from tests.vm.test_archives import read_cpio

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

guest = inside.fixture()


def run(machine: Machine, script: str, **files: bytes) -> str:
    result = machine.run(Job(files, script), inside.PATIENCE_S)
    assert result.status == 0, result.console
    return result.console


def test_schedc_runs_as_it_is_here(guest: Machine) -> None:
    program = b"import json, schedc.data as d; print(json.dumps([d.__file__, str(d.data_root())]))"
    said = run(guest, "schedc --version; python3 -I where", where=program).splitlines()
    assert said[0].startswith("schedc ")
    module, data = json.loads(said[1])
    assert module == "/usr/lib/python3/dist-packages/schedc/data.py"
    assert data == "/usr/lib/python3/dist-packages/schedc/_data"


def test_what_the_package_imports_is_there(guest: Machine) -> None:
    program = b"""
import ctypes, sys
import click, jinja2, lark, rich.console
import schedc.pipeline
name = schedc.pipeline.__cached__
assert name.endswith(f"{sys.implementation.cache_tag}.pyc"), name
open(name, "rb").close()
ctypes.CDLL("libbpf.so.1").bpf_object__open_mem
"""
    run(guest, "python3 -I x", x=program)


def test_nothing_is_compiled_in_the_guest(guest: Machine) -> None:
    said = run(guest, "python3 -v -c 'import schedc.cli.root' 2>&1 | grep 'wrote ' || true")
    assert said == ""


def test_there_is_a_user_without_rights(guest: Machine) -> None:
    user = "/usr/bin/setpriv --reuid user --regid user --init-groups"
    said = run(guest, f"{user} id -nG; {user} touch /usr/x 2>/dev/null || echo refused")
    groups, refused = said.splitlines()
    assert set(groups.split()) == {"user", "schedc"}
    assert refused == "refused"


def test_jobs_leave_the_layer_alone(guest: Machine) -> None:
    run(guest, "true")
    assert run(guest, "schedc --version").startswith("schedc ")


def test_the_layer_is_named_after_the_sources_and_compiles_only_what_changed(
    guest: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from schedc.vm import interpreter, layer as module

    store = Store.default()
    python = packages.tree(store, packages.PYTHON)
    made = layer(store, python)
    assert layer(store, python) == made
    files = sources()
    compiled: list[Path] = []
    really = interpreter.compile_below

    def compile_below(tree: Path, folder: Path, some: list[Path]) -> bool:
        compiled.extend(path.relative_to(folder) for path in some)
        return really(tree, folder, some)

    monkeypatch.setattr(interpreter, "compile_below", compile_below)
    # Such as no earlier run has left in the cache.
    mark = f"# {uuid4().hex}\n".encode()
    changed = {**files, "schedc/data.py": files["schedc/data.py"] + mark}
    monkeypatch.setattr(module, "sources", lambda: changed)
    other = layer(store, python)
    assert other != made
    assert [str(path) for path in compiled] == ["usr/lib/python3/dist-packages/schedc/data.py"]
    found = read_cpio(other.read_bytes())
    place = "usr/lib/python3/dist-packages/schedc"
    assert found[f"{place}/data.py"][1] == changed["schedc/data.py"]
    assert f"{place}/__pycache__/data.cpython-313.pyc" in found
    assert sys.executable.encode() not in found["usr/bin/schedc"][1]


BCC = b"""
from bcc import BPF

program = BPF(text=r'''
BPF_HASH(switches, u32, u64);
TRACEPOINT_PROBE(sched, sched_switch) {
	u32 pid = args->next_pid;
	switches.increment(pid);
	return 0;
}
''')
import time
time.sleep(0.5)
print(sum(count.value for count in program["switches"].values()))
"""


@pytest.mark.timeout(600)
def test_bcc_compiles_against_the_headers_of_the_guest_s_kernel() -> None:
    with Machine.boot(inside.shape("bcc", "latest")) as machine:
        assert int(run(machine, "python3 count", count=BCC)) > 0
