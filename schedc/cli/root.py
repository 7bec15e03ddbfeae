"""The commands of schedc. Each lives in a file of its own and is loaded when it is used."""

from __future__ import annotations

from pathlib import Path

import click

from schedc import __version__
from schedc.cli.console import remember_color
from schedc.cli.frame import Entry, LazyGroup

COMMANDS = {
    "check": Entry("schedc.cli.check:check", "Look for mistakes in policies; prove them."),
    "prove": Entry("schedc.cli.prove:prove", "Prove that a policy starves no task."),
    "compile": Entry("schedc.cli.compile:compile_command", "Compile a policy to C and BPF."),
    "fmt": Entry("schedc.cli.fmt:fmt", "Format policies."),
    "recheck": Entry("schedc.cli.recheck:recheck", "Check a certificate again, with cvc5."),
    "explain": Entry("schedc.cli.explain:explain", "Explain an error code or a word."),
    "sim": Entry("schedc.cli.sim:sim", "Simulate a workload under a policy."),
    "vm": Entry("schedc.cli.vm:vm", "Try a policy on a real kernel in a virtual machine."),
    "profile": Entry("schedc.cli.profile:profile", "Say what runs here; make a workload of it."),
    "synth": Entry("schedc.cli.synth:synth", "Make a proved policy for a goal."),
    "policy": Entry("schedc.cli.policy:policy", "List, search, add and compare policies."),
    "mcp": Entry("schedc.cli.mcp:mcp", "Serve schedc's tools to an agent."),
    "watch": Entry("schedc.cli.watch:watch", "Unload a policy when the load is another one."),
    "plan": Entry("schedc.cli.plan:plan", "Show what running a policy here would change."),
    "apply": Entry("schedc.cli.apply:apply", "Carry out a plan, on trial under guards."),
    "load": Entry("schedc.cli.load:load", "Plan, ask, and apply: run a policy here."),
    "status": Entry("schedc.cli.status:status", "Say what schedules this machine."),
    "top": Entry("schedc.cli.top:top", "Watch the loaded policy, class by class."),
    "rollback": Entry("schedc.cli.status:rollback", "Go back to the policy before."),
    "unload": Entry("schedc.cli.status:unload", "Go back to the kernel's own scheduler."),
    "history": Entry("schedc.cli.status:history", "List what was loaded and taken back, and why."),
    "quarantine": Entry("schedc.cli.status:quarantine", "Policies that are not loaded any more."),
    "metrics": Entry("schedc.cli.metrics:metrics", "Metrics of the policy, for Prometheus."),
    "service": Entry("schedc.cli.service:service", "Units for systemd: the loader, a policy."),
    "doctor": Entry("schedc.cli.doctor:doctor", "Say what this machine has and lacks."),
    "init": Entry("schedc.cli.init:init", "Write a policy to start from."),
    "completion": Entry("schedc.cli.completion:completion", "Print a shell completion script."),
}


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="schedc %(version)s")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="SCHEDC_CONFIG",
    help="Read settings from this file.  [default: the nearest schedc.toml or pyproject.toml]",
)
@click.option("--no-config", is_flag=True, help="Read no configuration file.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colour in diagnostics; NO_COLOR is respected.",
)
@click.pass_context
def cli(ctx: click.Context, config: Path | None, no_config: bool, color: str) -> None:
    """A compiler for Linux CPU-scheduling policies (sched_ext).

    Results go to stdout, diagnostics to stderr. Exit codes: 0 fine, 1 findings or refuted,
    2 usage, configuration or I/O, 3 unproven, 4 refused or rolled back, 101 a bug in schedc.
    """
    # `config` and `no_config` are read by the group itself, before a command is made.
    remember_color(ctx, color)
