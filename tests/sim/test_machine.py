"""Machines from flags and files, and the text that the runtime reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from schedc.sim.errors import BAD_MACHINE, SimError
from schedc.sim.machine import COSTS, Cpu, Machine, machine, profiles

ROOT = Path(__file__).parents[2]


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def wrong(name: str = "server", **flags: int) -> str:
    with pytest.raises(SimError) as found:
        machine(name, flags)
    assert found.value.code == BAD_MACHINE
    return str(found.value)


def test_the_default_machine() -> None:
    found = machine()
    assert [cpu.core for cpu in found.cpus] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [cpu.llc for cpu in found.cpus] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert {cpu.node for cpu in found.cpus} == {0}
    assert found.describe() == "8 cpus, 4 cores, 2 llcs, 250 Hz, costs of server"


def test_the_text_names_every_cpu_and_every_cost() -> None:
    lines = machine(flags={"cpus": 2, "smt": 1, "llcs": 1, "hz": 1000}).text().splitlines()
    assert lines[:5] == [
        "cpus 2", "cpu 0 core 0 llc 0 node 0 capacity 1024",
        "cpu 1 core 1 llc 0 node 0 capacity 1024", "hz 1000", "smt_speed 625",
    ]  # fmt: skip
    assert [line.split()[1] for line in lines[5:]] == list(COSTS)


def test_the_costs_are_those_of_the_runtime() -> None:
    header = (ROOT / "backends/sim/runtime/sim.h").read_text()
    members = header.split("struct costs {")[1].split("};")[0]
    assert [line.split()[1].rstrip(";") for line in members.splitlines()
            if line.startswith("\tu64")] == list(COSTS)  # fmt: skip
    assert "#define NR_CPUS 512" in (ROOT / "backends/sim/include/kernel.h").read_text()


def test_defaults_give_way_to_what_is_asked_for() -> None:
    assert machine(flags={"cpus": 1}).cpus == (Cpu(0, 0, 0),)
    assert len({cpu.llc for cpu in machine(flags={"cpus": 2}).cpus}) == 1
    many = machine(flags={"cpus": 64, "nodes": 4})
    assert len({cpu.llc for cpu in many.cpus}) == 4
    assert machine("emulated").describe() == "2 cpus, 250 Hz, costs of emulated"


def test_fast_and_slow_cpus() -> None:
    capacities = [cpu.capacity for cpu in machine(flags={"fast": 2}).cpus]
    assert capacities == [1024, 1024, 512, 512, 512, 512, 512, 512]


def test_what_does_not_fit_is_told() -> None:
    assert "7 cpus can't be cores of 2 threads" in wrong(cpus=7, smt=2)
    assert "9 llcs for 4 cores" in wrong(llcs=9)
    assert "3 nodes for 2 llcs" in wrong(llcs=2, nodes=3)
    assert "513 cpus" in wrong(cpus=513)
    assert "9 fast cpus of 8" in wrong(fast=9)
    assert "did you mean `server`?" in wrong("servr")
    assert "can't be read" in wrong("/nowhere/x.toml")


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = """
        format = 2
        hz = 0
        cores = 4
        [topology]
        cpus = "many"
        [costs]
        tick = "soon"
        jump = "1us"
    """
    found = wrong(written(tmp_path, text))
    for part in ("`format`", "`hz`", "`cores`", "`cpus`", "`tick`", "`jump`"):
        assert part in found


def test_cpus_can_be_listed_one_by_one(tmp_path: Path) -> None:
    entries = "\n".join(
        f"[[cpu]]\ncore = {core}\nllc = {llc}\ncapacity = {capacity}"
        for core, llc, capacity in ((0, 0, 1024), (0, 0, 1024), (1, 1, 600))
    )
    found = machine(written(tmp_path, f"format = 1\n{entries}"))
    assert found.cpus == (Cpu(0, 0, 0), Cpu(0, 0, 0), Cpu(1, 1, 0, 600))
    assert "core 0 lies in two llcs" in wrong(
        written(tmp_path, "format = 1\n[[cpu]]\nllc = 0\n[[cpu]]\ncore = 0\nllc = 1\n")
    )
    assert "must be 0..1" in wrong(
        written(tmp_path, "format = 1\n[[cpu]]\ncore = 0\n[[cpu]]\ncore = 5\n")
    )


def test_every_shipped_file_is_whole() -> None:
    assert profiles() == ("emulated", "server")
    for name in profiles():
        found = machine(name)
        assert isinstance(found, Machine) and all(ns >= 0 for ns in found.costs.values())
        assert found.costs["context_switch"] > 0
