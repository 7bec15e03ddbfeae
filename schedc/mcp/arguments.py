"""What the tools take, as a client sends it.

Input: JSON values, from a model that anybody may have talked to. Output: typed arguments; their
JSON Schema is what the client is shown. Invariant: nothing is ignored (an unknown argument is an
error), every text has a longest length and every number a range, and none of it is a path.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schedc.source import MAX_BYTES

PolicyName = Annotated[str, Field(
    min_length=1, max_length=100,
    description="A policy of the library by its name, as list_policies gives it; `mine/NAME` or "
    "`stdlib/NAME` where both have one, and `NAME@VERSION` for an older version.",
    examples=["fair", "stdlib/interactive", "mine/web@1.0.0"],
)]  # fmt: skip
Goal = Annotated[str, Field(
    max_length=40, examples=["latency", "throughput"],
    description="Only policies whose `goal` names this word: latency, fairness, throughput, "
    "makespan, completion, energy or isolation. Empty: all.",
)]  # fmt: skip
Settings = Annotated[dict[
    Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=40)]
], Field(max_length=32)]  # fmt: skip
Bytes = Annotated[str, Field(max_length=MAX_BYTES)]


class Arguments(BaseModel):
    """Of any tool."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Arguments):
    """Of a tool that takes none."""


class OfPolicy(Arguments):
    """A policy: one of the library, or a text."""

    policy: PolicyName | None = None
    source: Bytes | None = Field(
        default=None,
        description="The text of a policy, in the language of the resource schedc://card. Give "
        "either this or `policy`.",
        examples=['policy mine 1.0.0\n"all in order of arrival"\nextends stdlib/fifo@1\n'],
    )

    @model_validator(mode="after")
    def _one_policy(self) -> Self:
        if (self.policy is None) == (self.source is None):
            raise ValueError("give either `policy` (a name) or `source` (a text)")
        return self


class OfWorkload(Arguments):
    """A workload: shipped, written, or made of a profile."""

    workload: str | None = Field(
        default=None, max_length=40, examples=["wakeup", "schbench"],
        description="A shipped workload by its name, as list_workloads gives it.",
    )  # fmt: skip
    workload_toml: Bytes | None = Field(
        default=None,
        description="The text of a workload, in the form that show_workload shows.",
    )
    profile: str | None = Field(
        default=None, max_length=100, examples=["p1"],
        description="A profile by its id, as create_profile or list_profiles gives it; the "
        "workload's bursts and sleeps then have the profile's distributions.",
    )  # fmt: skip
    params: Settings = Field(
        default_factory=dict, examples=[{"duration": "2s"}],
        description="Values for parameters of the workload; show_workload lists them.",
    )  # fmt: skip

    @property
    def chosen(self) -> int:
        """How many workloads are named."""
        named = (self.workload, self.workload_toml, self.profile)
        return sum(one is not None for one in named)

    @model_validator(mode="after")
    def _one_workload(self) -> Self:
        if self.chosen != 1:
            raise ValueError("give one of `workload`, `workload_toml` and `profile`")
        return self


class ListPolicies(Arguments):
    goal: Goal = ""


class SearchPolicies(Arguments):
    words: str = Field(
        min_length=1, max_length=200, examples=["interactive tasks beside batch work"],
        description="What to look for, in names, descriptions, comments and lessons.",
    )  # fmt: skip
    goal: Goal = ""
    most: int = Field(default=5, ge=1, le=50, description="The best so many.")


class OnePolicy(Arguments):
    policy: PolicyName


class History(Arguments):
    policy: PolicyName | None = None
    last: int = Field(default=20, ge=1, le=200, description="The newest so many.")


class ShowWorkload(OfWorkload):
    pass


class ReadProfile(Arguments):
    profile: str = Field(
        min_length=1, max_length=100, examples=["p1"],
        description="The id that create_profile gave, or one of list_profiles.",
    )  # fmt: skip


class CreateProfile(Arguments):
    seconds: float = Field(default=5, ge=0.5, le=30, description="How long to watch.")
    pid: int | None = Field(
        default=None, ge=1, le=1 << 22, description="Watch this process and its threads alone.",
    )  # fmt: skip
    cgroup: str | None = Field(
        default=None, max_length=200, examples=["/system.slice/web.service"],
        description="Watch the tasks of this control group and those below it alone.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.pid is not None and self.cgroup is not None:
            raise ValueError("give `pid` or `cgroup`, not both")
        return self


class Check(OfPolicy):
    proof: bool = Field(default=True, description="Prove it, too.")


class Prove(OfPolicy):
    runnable: int | None = Field(
        default=None, ge=1, le=4096,
        description="Tasks that contend for one cpu. Default: what the policy assumes.",
    )
    set: Settings = Field(
        default_factory=dict, examples=[{"slice": "5ms"}, {"slice": "2ms..5ms"}],
        description="Prove it only for a value of a tunable, or for a part LO..HI of its range.",
    )  # fmt: skip


class Compile(OfPolicy):
    c_text: bool = Field(default=True, description="Give the C text; else only its size and hash.")
    object: bool = Field(
        default=True, description="Compile the C to a BPF object and give its size and hash."
    )


class Simulate(OfPolicy, OfWorkload):
    set: Settings = Field(
        default_factory=dict, examples=[{"slice": "5ms"}],
        description="Values for tunables of the policy.",
    )  # fmt: skip
    against: list[Annotated[str, Field(max_length=100)]] = Field(
        default=["eevdf"], max_length=4, examples=[["eevdf", "fair"]],
        description="What to compare with: `eevdf` (the kernel's default) and `fifo` are the "
        "simulator's own; others are policies of the library.",
    )  # fmt: skip
    cpus: int | None = Field(
        default=None, ge=1, le=64,
        description="Cpus of the simulated machine. Default: 8, in 2 last-level caches and cores "
        "of 2 threads; of a profile: as many as were profiled, each a core of its own.",
    )  # fmt: skip
    llcs: int | None = Field(default=None, ge=1, le=16, description="Its last-level caches.")
    smt: int | None = Field(default=None, ge=1, le=4, description="Threads of a core.")
    nodes: int | None = Field(default=None, ge=1, le=8, description="Its NUMA nodes.")
    runs: int = Field(
        default=10, ge=1, le=20,
        description="Runs of each scheduler, in pairs of one seed; fewer than 5 give no verdict.",
    )
    seed: int = Field(default=1, ge=0, le=1 << 31, description="Of the first run.")


class VmTrial(OfPolicy, OfWorkload):
    """Without a workload it is only loaded, kept for a moment and released."""

    @model_validator(mode="after")
    def _one_workload(self) -> Self:
        if self.chosen > 1:
            raise ValueError("give one of `workload`, `workload_toml` and `profile`, or none")
        return self

    set: Settings = Field(
        default_factory=dict, examples=[{"slice": "5ms"}],
        description="Values for tunables of the policy.",
    )  # fmt: skip
    kernel: str = Field(
        default="latest", max_length=40, pattern=r"^(latest|[0-9][0-9A-Za-z.+-]*)$",
        description="A series of kernels, such as 6.18, or latest.",
    )  # fmt: skip
    runs: int = Field(default=6, ge=1, le=10, description="Runs of each scheduler.")
    cpus: int = Field(default=2, ge=1, le=8, description="Cpus of the virtual machine.")


class Target(Arguments):
    """A machine that isn't this one: what `schedc status --json` says there."""

    release: str = Field(max_length=100, examples=["6.18.9-cloud-amd64"])
    boot_id: str = Field(max_length=64, pattern=r"^[0-9a-f-]{1,64}$")
    state: Literal["disabled", "enabled"] = "disabled"
    ops: str = Field(default="", max_length=127, description="The scheduler's name, if enabled.")
    enable_seq: int = Field(default=0, ge=0, le=1 << 62)
    object: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$",
        description="The sha256 of what schedc's loader has loaded there.",
    )  # fmt: skip


class PlanPolicy(OfPolicy):
    set: Settings = Field(
        default_factory=dict, examples=[{"slice": "5ms"}],
        description="Values for tunables of the policy.",
    )  # fmt: skip
    minutes: int = Field(
        default=60, ge=1, le=24 * 60, description="How long the plan may be applied."
    )
    target: Target | None = Field(
        default=None,
        description="The machine to plan for, if not this one; its loader checks all of it again.",
    )


class ApplyPlan(Arguments):
    plan: str = Field(
        min_length=1, max_length=100, examples=["web.json"],
        description="The name of a plan that a person put into the server's folder of plans.",
    )  # fmt: skip
    seconds: int = Field(default=60, ge=10, le=600, description="How long the canary lasts.")
    guards: list[Annotated[str, Field(max_length=60)]] = Field(
        default_factory=list, max_length=4, examples=[["p99 < 20ms", "psi < 60%"]],
        description="What must hold meanwhile, else it is rolled back: `p99 < TIME`, `psi < "
        "SHARE%`, `throughput > SHARE%` (of the rate before).",
    )  # fmt: skip
