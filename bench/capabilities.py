"""Which capability loading needs: a scheduler loaded with each set of them, on real kernels.

    python -m bench.capabilities [--kernel 6.18] [--kernel 7]

Prints the table of `docs/deploying-measured.md`.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import schedc.cli
from schedc.cli.policy_object import find_policy
from schedc.vm.job import Job, Shape
from schedc.vm.kernels import Kernels
from schedc.vm.machine import Machine
from schedc.vm.store import Store

INSIDE = Path(__file__).with_name("capabilities_inside.py")


def certified(name: str) -> tuple[bytes, bytes]:
    """A policy's object and its certificate."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        if schedc.cli.run(["compile", find_policy(name), "--emit", "obj,cert", "-o", f"{folder}/"]):
            raise SystemExit(f"{name} can't be compiled")
        made = Path(folder) / name
        return made.with_suffix(".o").read_bytes(), made.with_suffix(".cert").read_bytes()


def measure(kernel: str) -> tuple[str, list[dict[str, Any]]]:
    """The kernel's release, and what came of each set."""
    data, certificate = certified("fifo")
    shape = Shape(Kernels(Store.default()).resolve(kernel), image="python", memory_mib=640)
    files = {"x.o": data, "x.cert": certificate, "inside.py": INSIDE.read_bytes()}
    with Machine.boot(shape) as machine:
        done = machine.run(Job(files, "python3 inside.py x.o x.cert >out/lines"), 240.0)
    return shape.kernel.release, [json.loads(line) for line in done.out["lines"].splitlines()]


def rows(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What was left, and how far it came."""
    found = []
    for line in lines:
        if "without" in line:
            what = f"root without CAP_{line['without']}, at the start"
            found.append((what, "; ".join(line["failed"]) or "all works"))
            continue
        who = "root" if line["uid"] == 0 else f"uid {line['uid']}"
        names = ", ".join(f"CAP_{name}" for name in line["caps"]) or "none"
        stage = line["stage"]
        how = "all works" if stage == "all" else f"{stage}: {line['error']}"
        found.append((f"{who}, {names}", how))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernel", action="append")
    for kernel in parser.parse_args().kernel or ["6.18", "7"]:
        release, lines = measure(kernel)
        print(f"| {release} | |\n| --- | --- |")
        for what, how in rows(lines):
            print(f"| {what} | {how} |", flush=True)


if __name__ == "__main__":
    main()
