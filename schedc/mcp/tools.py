"""The table of tools.

Values only, but for the work itself, whose modules are imported when it is done. Invariant: a name
here is a promise to clients: its arguments and results only ever grow. Nothing in the table can
load a scheduler but `apply_plan`, which is there only if a person named a folder of plans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from schedc.mcp import arguments as take, results as give
from schedc.mcp.setup import Setup
from schedc.records import dataclass


@dataclass(frozen=True, slots=True)
class Tool:
    """`function`: `module:name` below schedc.mcp. `seconds`: its limit, beyond `seconds` among its
    arguments. `reads`: changes nothing but what is its own (scratch, caches). `solves`: its work
    is a solver's, so its memory is bounded. `needs`: a part of the setup without which it isn't
    offered."""

    name: str
    title: str
    description: str
    arguments: type[take.Arguments]
    result: type[give.Result]
    function: str
    seconds: float
    reads: bool = True
    solves: bool = False
    outside: bool = False
    needs: str = ""

    def work(self, arguments: take.Arguments, setup: Setup) -> give.Result:
        """Do it, here and now."""
        module, _, name = self.function.partition(":")
        work: Callable[..., give.Result] = getattr(import_module(f"schedc.mcp.{module}"), name)
        return work(arguments, setup)

    def limit_s(self, arguments: Mapping[str, Any]) -> float:
        """How long a call may take."""
        return self.seconds + float(arguments.get("seconds", 0))


_ALL = (
    Tool(
        "list_policies", "List policies",
        "List the scheduling policies that there are: those shipped with schedc (all proved) and "
        "the user's own. Example: {\"goal\": \"latency\"}",
        take.ListPolicies, give.Policies, "policies:list_policies", 60,
    ),
    Tool(
        "search_policies", "Search policies",
        "Find policies by words of their names, descriptions, comments and lessons; best first. "
        "Example: {\"words\": \"interactive tasks beside batch work\", \"most\": 3}",
        take.SearchPolicies, give.Policies, "policies:search_policies", 60,
    ),
    Tool(
        "show_policy", "Show a policy",
        "The text of a policy of the library, and what was measured of it. Begin from one of these "
        "texts rather than from nothing. Example: {\"policy\": \"interactive\"}",
        take.OnePolicy, give.ShownPolicy, "policies:show_policy", 60,
    ),
    Tool(
        "history", "History of a policy, or of this machine",
        "With `policy`: the versions of one of the user's own policies, newest first. Without: "
        "what schedc's loader loaded and took back on this machine, and why. Example: "
        "{\"policy\": \"mine/web\"}",
        take.History, give.Versions, "policies:history", 60,
    ),
    Tool(
        "list_workloads", "List workloads",
        "List the shipped workloads that simulate and vm_trial can run. Example: {}",
        take.Nothing, give.Workloads, "workloads:list_workloads", 60,
    ),
    Tool(
        "show_workload", "Show a workload",
        "A workload's parameters, groups of tasks, metrics and file (TOML): of a shipped one, of "
        "a text, or of a profile. Example: {\"workload\": \"wakeup\"} or {\"profile\": \"p1\"}",
        take.ShowWorkload, give.ShownWorkload, "workloads:show_workload", 60,
    ),
    Tool(
        "list_profiles", "List profiles",
        "List the profiles that there are: those that create_profile made in this session, and "
        "those that the user keeps. Example: {}",
        take.Nothing, give.Profiles, "profiles:list_profiles", 60,
    ),
    Tool(
        "read_profile", "Read a profile",
        "What a profile says: groups of tasks with their bursts, sleeps and waits, and traits with "
        "numbers. Example: {\"profile\": \"p1\"}",
        take.ReadProfile, give.ShownProfile, "profiles:read_profile", 60,
    ),
    Tool(
        "create_profile", "Profile this machine",
        "Watch what runs on this machine for some seconds, by /proc and without privileges, and "
        "keep it for this session: all of it, one process, or a control group. The id in the "
        "result goes into simulate or show_workload. Example: {\"seconds\": 5, \"pid\": 1234}",
        take.CreateProfile, give.ShownProfile, "profiles:create_profile", 60,
    ),
    Tool(
        "check", "Check a policy",
        "Look for mistakes in a policy's text and prove it. A mistake comes back with its line and "
        "an edit that mends it. Example: {\"source\": \"policy mine 1.0.0\\n…\"}",
        take.Check, give.Checked, "proving:check", 180, solves=True,
    ),
    Tool(
        "prove", "Prove a policy",
        "Prove that a policy starves no task, with the longest wait of each class, or refute it "
        "with a run that shows who starves. Example: {\"policy\": \"fair\", \"runnable\": 16}",
        take.Prove, give.Proved, "proving:prove", 180, solves=True,
    ),
    Tool(
        "compile", "Compile a policy",
        "The C of a proved policy, and size and hash of its object and certificate. Writes no "
        "file. Example: {\"policy\": \"fair\", \"c_text\": false}",
        take.Compile, give.Compiled, "proving:compile_policy", 240,
    ),
    Tool(
        "simulate", "Simulate a policy",
        "Run a workload under a policy and under others in the simulator, in pairs of one seed, "
        "and say what is better, by how much, with which interval. The same arguments give the "
        "same figures. Example: {\"policy\": \"interactive\", \"workload\": \"wakeup\", "
        "\"against\": [\"eevdf\", \"fair\"], \"params\": {\"duration\": \"1s\"}}",
        take.Simulate, give.Simulated, "trying:simulate", 300,
    ),
    Tool(
        "vm_trial", "Try a policy on a kernel",
        "Load a policy on a real kernel in a virtual machine; with a workload, measure it beside "
        "the kernel's own scheduler. Takes minutes. Example: {\"policy\": \"fair\"}",
        take.VmTrial, give.Tried, "trying:vm_trial", 1800, needs="vm",
    ),
    Tool(
        "plan", "Draft a plan",
        "Draft a plan to run a proved policy on this machine, and keep it in the server's folder. "
        "It changes nothing: only a person can apply it. Example: {\"policy\": \"interactive\"}",
        take.PlanPolicy, give.Planned, "deploying:plan", 300, reads=False,
    ),
    Tool(
        "status", "What runs now",
        "Which scheduler runs on this machine, and what schedc's loader says of it. Example: {}",
        take.Nothing, give.Status, "deploying:status", 60,
    ),
    Tool(
        "apply_plan", "Apply a person's plan",
        "Try a plan that a person put into the server's folder of plans: as a canary under guards, "
        "then confirmed, or rolled back to what ran before. Example: {\"plan\": \"web.json\", "
        "\"seconds\": 60, \"guards\": [\"p99 < 20ms\"]}",
        take.ApplyPlan, give.Applied, "deploying:apply_plan", 60, reads=False, outside=True,
        needs="apply",
    ),
)  # fmt: skip

TOOLS: Mapping[str, Tool] = {one.name: one for one in _ALL}


def offered(setup: Setup) -> tuple[Tool, ...]:
    """The tools of a server that was started so."""
    return tuple(one for one in _ALL if not one.needs or getattr(setup, one.needs))
