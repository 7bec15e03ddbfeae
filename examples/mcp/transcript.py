"""An agent's way from a profile to a plan. `python examples/mcp/transcript.py [--target vm]`.

The official client of the Model Context Protocol starts `schedc mcp` and calls its tools, as an
agent would; a small service beside batch work (`load.py`) runs meanwhile and is profiled. All that
is printed was answered just now. Nothing needs root, and nothing is applied on this machine.

A plan is for a machine whose kernel has sched_ext. Where this one has none, the tool says so;
`--target vm` boots one in QEMU, drafts the plan for it, and applies it there as a person would.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 22

TEXT = """\
policy answers 1.0.0
"{base} for a small service: nobody waits for longer than 20 s"
extends stdlib/{base}@1
promise wait <= {promise}
"""


class Transcript:
    """Writes what is asked and what is answered, each cut after some lines."""

    def step(self, title: str) -> None:
        print(f"\n== {title}\n", flush=True)

    def cut(self, text: str, most: int = MOST_LINES) -> None:
        lines = text.rstrip().split("\n")
        for line in lines[:most]:
            print(f"    {line[:118]}".rstrip())
        if len(lines) > most:
            print(f"    … {len(lines) - most} more lines")


class Agent:
    """Asks the tools that it is told to ask: no model is needed to show the way."""

    def __init__(self, client: Client, out: Transcript) -> None:
        self.client = client
        self.out = out

    async def ask(self, tool: str, lines: int = MOST_LINES, **arguments: Any) -> CallToolResult:
        shown = {key: value for key, value in arguments.items() if key != "source"}
        print(f"agent> {tool} {json.dumps(shown, ensure_ascii=False)}", flush=True)
        if "source" in arguments:
            self.out.cut(arguments["source"])
        began = time.monotonic()
        result = await self.client.call_tool(tool, arguments)
        word = "refuses" if result.is_error else "answers"
        print(f"schedc {word} after {time.monotonic() - began:.1f} s:")
        self.out.cut(result.content[0].text, lines)
        print()
        return result


async def from_profile_to_plan(agent: Agent, pid: int, target: dict[str, Any] | None) -> str:
    """The whole way; gives the plan's name, empty if none could be drafted."""
    out = agent.out
    tools = (await agent.client.list_tools()).tools
    print(f"{len(tools)} tools: {', '.join(one.name for one in tools)}")
    card = await agent.client.read_resource("schedc://card")
    print(f"resource schedc://card: {len(card.contents[0].text)} characters, read")

    out.step("1. What runs on this machine?")
    profile = await agent.ask("create_profile", seconds=3, pid=pid)
    id_ = profile.structured_content["profile"]["id"]
    out.step("2. The same work for the simulator")
    await agent.ask("show_workload", profile=id_)
    out.step("3. Which policies are meant for that, and which is best at it?")
    base = await best(agent, id_)
    out.step("4. A policy of its own: a mistake, and what schedc says of it; then the proof")
    await agent.ask("check", source=TEXT.format(base=base, promise="20"))
    text = TEXT.format(base=base, promise="20s")
    await agent.ask("prove", source=text, lines=18)
    out.step("5. Ten seeds beside the default scheduler")
    await agent.ask("simulate", lines=60, source=text, profile=id_, params={"duration": "2s"})
    out.step("6. A plan, for a person to apply")
    planned = await agent.ask("plan", source=text)
    if planned.is_error and target is not None:
        print("The machine that is meant is another one; what it says of itself goes along.\n")
        planned = await agent.ask("plan", source=text, target=target)
    return "" if planned.is_error else planned.structured_content["plan"]


async def best(agent: Agent, profile: str) -> str:
    """The one with the shortest waits (p99) against the default scheduler's, among those that give
    at least nine tenths of its answers a second; if there is none, the first that was found."""
    words = "short sleepers ahead of hogs, deadlines"
    found = await agent.ask("search_policies", words=words, goal="latency", most=3)
    names = [one["name"] for one in found.structured_content["policies"]]
    ratios = {}
    for name in names:
        result = await agent.ask(
            "simulate", lines=6, policy=name, profile=profile, runs=5, params={"duration": "1s"}
        )
        rows = {one["metric"]: one for one in result.structured_content["rows"]}
        if rows["throughput"]["ratio"] > 0.9:
            ratios[name] = rows["wakeup_p99"]["ratio"]
    chosen = min(ratios, key=lambda name: ratios[name]) if ratios else names[0]
    why = f"p99 ×{ratios[chosen]:.2f} of the default's" if ratios else "none keeps the rate"
    print(f"The agent takes {chosen}: {why}.")
    return chosen


@contextmanager
def running_load() -> Iterator[int]:
    """The load as a process of its own; its number."""
    program = Path(__file__).with_name("load.py")
    process = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"running\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()


async def walk(folder: Path, target: dict[str, Any] | None) -> Path | None:
    """Start the server, go the way, end both; where the plan is."""
    out = Transcript()
    environment = {"XDG_DATA_HOME": str(folder), "XDG_CACHE_HOME": _cache()}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "schedc", "mcp"], env=environment, cwd=ROOT
    )
    with running_load() as pid:
        async with Client(server) as client:
            info = client.server_info
            print(f"{info.name} {info.version}, protocol {client.protocol_version}, over stdio"
                  if info else "connected")
            name = await from_profile_to_plan(Agent(client, out), pid, target)
    return folder / "schedc/plans" / name if name else None


def _cache() -> str:
    return os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")


# --- a machine with sched_ext -------------------------------------------------------------------


LOOK = """
{ uname -r; cat /proc/sys/kernel/random/boot_id /sys/kernel/sched_ext/state
  cat /sys/kernel/sched_ext/enable_seq; } >out/target
"""
APPLY = """
date -s @{now} >/dev/null
python3 -I -m schedc.load serve 2>out/serve &
sleep 6
schedc apply plan.json --canary --for 10s --guard 'p99 < 500ms' >out/apply 2>&1
schedc status >out/status 2>&1
schedc history >out/history 2>&1
"""


@contextmanager
def machine() -> Iterator[Any]:
    """A virtual machine with schedc inside."""
    from schedc.vm.job import Shape
    from schedc.vm.kernels import Kernels
    from schedc.vm.machine import Machine
    from schedc.vm.store import Store

    kernel = Kernels(Store.default()).resolve("6.18")
    with Machine.boot(Shape(kernel, memory_mib=640, image="python")) as made:
        yield made


def look_at(guest: Any) -> dict[str, Any]:
    """What the plan is to be made for."""
    from schedc.vm.job import Job

    lines = guest.run(Job({}, LOOK), 60).out["target"].decode().split()
    return {"release": lines[0], "boot_id": lines[1], "state": lines[2],
            "enable_seq": int(lines[3])}  # fmt: skip


def apply_in(guest: Any, plan: Path) -> bool:
    """A person applies the draft there."""
    from schedc.vm.job import Job

    out = Transcript()
    out.step("7. In the machine that it is for, a person applies it")
    # The machine comes from a snapshot: its clock stood still meanwhile.
    script = APPLY.replace("{now}", str(int(time.time())))
    done = guest.run(Job({"plan.json": plan.read_bytes()}, script), 300)
    for name, command in (("apply", "schedc apply plan.json --canary --for 10s --guard "
                           "'p99 < 500ms'"), ("status", "schedc status"),
                          ("history", "schedc history")):  # fmt: skip
        print(f"guest# {command}")
        out.cut(done.out.get(name, b"").decode(errors="replace"))
        print()
    return b"confirmed" in done.out.get("history", b"")


def main() -> int:
    """0 if a plan was drafted and, with `--target vm`, confirmed where it was meant for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", choices=["here", "vm"], default="here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="transcript-") as folder:
        if options.target == "here":
            plan = asyncio.run(walk(Path(folder), None))
            return 0 if plan is not None or not Path("/sys/kernel/sched_ext").exists() else 1
        with machine() as guest:
            plan = asyncio.run(walk(Path(folder), look_at(guest)))
            return 0 if plan is not None and apply_in(guest, plan) else 1


if __name__ == "__main__":
    sys.exit(main())
