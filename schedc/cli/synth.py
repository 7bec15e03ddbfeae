"""`schedc synth`: from a goal to a policy that is proved and measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure
from schedc.cli.frame import Entry, LazyGroup
from schedc.cli.looking import looking_options
from schedc.cli.options import format_option

if TYPE_CHECKING:
    from schedc.profile.model import Profile
    from schedc.sim.scenario import Scenario
    from schedc.synth.engine import Engine, Outcome
    from schedc.synth.evaluate import Backend
    from schedc.synth.goal import Goal
    from schedc.synth.messages import Profiled
    from schedc.synth.run import Finished, Request, Told
    from schedc.workload.model import Workload

COMMANDS = {"show": Entry("schedc.cli.synth_show:show", "Show a run that was made.")}

_SHAPE = ("cpus", "llcs", "smt")


@click.group(cls=LazyGroup, entries=COMMANDS, invoke_without_command=True)
@click.option("--goal", "words", metavar="WORDS",
              help='What is to get better, such as "low p99" or "min makespan".')
@click.option("--objective", "objectives", metavar="METRIC:min|max", multiple=True,
              help="The same by name; the first counts, the next break ties.")
@click.option("--constraint", "constraints", metavar="METRIC>=F", multiple=True,
              help="What must hold: 0.95 is 95% of the default scheduler's; or with a unit.")
@click.option("-w", "--workload", metavar="W",
              help="A workload by name (see `schedc vm workloads`), or a file.  [default: wakeup]")
@click.option("--profile", metavar="P.json",
              help="Work on what was profiled: schedc profile -o P.json.")
@click.option("-p", "--param", "params", metavar="NAME=VALUE", multiple=True,
              help="Set a parameter of the workload.")
@click.option("--engine", type=click.Choice(["auto", "llm", "search"]), default="auto",
              show_default=True, help="auto: a model if a key is set, else search.")
@click.option("--model", metavar="M", envvar="SCHEDC_MODEL", default="gpt-5", show_default=True,
              help="The model of the llm engine; its endpoint is OPENAI_BASE_URL.")
@click.option("--prices", metavar="MODEL=IN,OUT", multiple=True,
              help="What a million tokens of prompt and of reply cost; for all models best in the "
              "configuration, as a table [synth.prices].")
@click.option("--max-rounds", type=click.IntRange(0), default=8, show_default=True,
              help="Rounds of proposals; 0: no limit.")
@click.option("--max-tokens", type=click.IntRange(0), default=200_000, show_default=True,
              help="Tokens, prompts and replies together; 0: no limit.")
@click.option("--max-cost", type=click.FloatRange(0), default=0.0, help="Money, by --prices.")
@click.option("--max-time", metavar="SECONDS", type=click.FloatRange(0), default=150.0,
              show_default=True, help="No round is begun after it; 0: no limit.")
@click.option("--cpus", type=click.IntRange(1, 512), help="Simulated cpus.  [default: 8]")
@click.option("--llcs", type=click.IntRange(1, 512), help="Last-level caches.  [default: 2]")
@click.option("--smt", type=click.IntRange(1, 8), help="Threads of a core.  [default: 2]")
@click.option("--machine", default="server", show_default=True,
              help="What things cost: server, emulated, or a TOML file.")
@click.option("--runs", type=click.IntRange(5, 1000), default=10, show_default=True,
              help="Simulated runs of a full measurement.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(1, 1024), help="Runs at once.  [default: one a cpu]")
@click.option("--scheduler", metavar="ADDRESS",
              help="Prove and simulate on a Dask cluster: tcp://HOST:PORT.")
@click.option("--vm", is_flag=True, help="Try the winner on a real kernel, in the VM.")
@click.option("--kernel", default="latest", show_default=True, help="The VM's kernel.")
@click.option("--resume", metavar="RUN", help="Go on with a run: its folder, or its name.")
@click.option("--replay", metavar="RUN", help="Repeat a run from its journal; nothing is made.")
@click.option("--watch", is_flag=True,
              help="Go on looking at the machine, and begin anew when the load is another one.")
@looking_options
@click.option("--keep/--no-keep", default=True,
              help="Put what is good into the repository.  [default: on]")
@click.option("-o", "--output", metavar="FILE", help="Write the policy there.")
@click.option("--json", "as_json", is_flag=True, help="Messages as JSON lines on stdout.")
@format_option
@click.pass_context
def synth(ctx: click.Context, /, **options: Any) -> Exit | None:
    """Make a policy for a goal: observe, plan, write, prove, simulate, learn.

    Only proved policies are simulated, and only what is better beyond noise is kept. Without a key
    for a model the search engine is used, which needs no network.
    """
    if ctx.invoked_subcommand is not None:
        return None
    from schedc.synth.engine.llm.endpoint import EndpointError
    from schedc.synth.goal import BadGoal
    from schedc.synth.journal import JournalError
    from schedc.synth.profiled import ThinProfile

    try:
        if options["watch"]:
            from schedc.cli.synth_watch import watch

            return watch(options, lambda profile: _synth(options, profile))
        return _synth(options)
    except (BadGoal, JournalError, EndpointError, ThinProfile) as failure:
        raise Failure(failure.diagnostic) from failure


def _synth(options: Mapping[str, Any], profile: Profile | None = None) -> Exit:
    from schedc.repository.library import Library
    from schedc.repository.place import RepositoryError
    from schedc.sim.errors import SimError
    from schedc.synth import run as runs
    from schedc.synth.cluster import ClusterError
    from schedc.synth.recorded import folder_of, request_of

    frozen = options["replay"] is not None
    named = options["replay"] or options["resume"]
    library = Library()
    if named is not None:
        folder = folder_of(named)
        request, engine_name, model = request_of(folder, options["jobs"])
        workload = request.scenario.workload
        engine = _engine(engine_name, model, options["prices"], frozen)
    else:
        request, workload = _request(options, profile)
        engine = _engine(options["engine"], options["model"], options["prices"], frozen)
        folder = runs.new_folder(request.goal)
    show = _Show(request.goal, options["as_json"])
    show.begin(engine)
    try:
        with _backend(options["scheduler"], frozen) as backend, _kept(folder, named is None):
            done = runs.synthesize(
                request, engine, library, folder, show.told(), frozen=frozen, backend=backend
            )
    except SimError as failure:
        from schedc.diagnostics.model import error

        raise Failure(error(failure.code, failure.message, None, notes=failure.notes,
                            help=failure.help)) from failure
    except (RepositoryError, ClusterError) as refused:
        raise Failure(refused.diagnostic) from refused
    show.end(done)
    if done.text and options["output"]:
        from schedc.cli.files import write_output

        write_output(options["output"], done.text.encode())
        Console.current().status(f"wrote {options['output']}")
    if options["vm"] and done.result.best is not None:
        show.tried(_tried(done, request, workload, options["kernel"]))
    return Exit.fine if done.result.improved else Exit.findings


@contextmanager
def _backend(address: str | None, frozen: bool) -> Iterator[Backend | None]:
    """The cluster at an address; None is this machine, and what a replay needs."""
    if address is None or frozen:
        yield None
        return
    from schedc.synth.cluster import Cluster

    with Cluster(address) as cluster:
        Console.current().status(f"cluster: {cluster.workers} workers")
        yield cluster


@contextmanager
def _kept(folder: Path, new: bool) -> Iterator[None]:
    """However a new run ends, its user learns how to go on with it."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        if new and (folder / "journal.jsonl").is_file():
            Console.current().status(
                f"what was done so far is kept: schedc synth --resume {folder.name}"
            )
        raise


def _request(
    options: Mapping[str, Any], profile: Profile | None = None
) -> tuple[Request, Workload]:
    """What the options ask for; nothing is spent before it is understood. `profile`: one that was
    taken just now."""
    from schedc.cli.chosen_workload import chosen_workload
    from schedc.sim import machine as machines
    from schedc.sim.scenario import Scenario
    from schedc.synth.execute import Limits
    from schedc.synth.goal import parse, with_implied
    from schedc.synth.infer import infer
    from schedc.synth.profiled import label
    from schedc.synth.run import Request

    if not options["words"] and not options["objectives"]:
        raise click.UsageError('say what for: --goal "low p99", or --objective wakeup_p99:min')
    flags = {name: options[name] for name in _SHAPE if options[name] is not None}
    kept = None
    if profile is not None or options["profile"] is not None:
        kept, scenario, flags = _profiled(options, flags, profile)
        workload, name = scenario.workload, label(kept)
    else:
        name = options["workload"] or "wakeup"
        workload, settings = chosen_workload(name, options["params"])
        scenario = Scenario(workload, settings, machines.machine(options["machine"], flags))
    if options["objectives"]:
        goal = parse(options["words"] or "", options["objectives"], options["constraints"])
    else:
        goal = infer(options["words"], workload.metrics)
        if options["constraints"]:
            more = parse(options["words"], [str(one) for one in goal.objectives],
                         options["constraints"])
            goal = replace(goal, constraints=(*goal.constraints, *more.constraints))
    goal = with_implied(goal, workload.metrics)
    limits = Limits(
        options["max_rounds"], options["max_tokens"], options["max_cost"], options["max_time"]
    )
    shape = tuple(f"{name}={value}" for name, value in flags.items())
    return Request(
        goal, scenario, options["params"], limits, options["runs"], options["seed"],
        options["jobs"], options["keep"], name, (options["machine"], *shape), kept,
    ), workload  # fmt: skip


def _profiled(
    options: Mapping[str, Any], flags: Mapping[str, int], profile: Profile | None
) -> tuple[Profiled, Scenario, dict[str, int]]:
    """The scenario that a profile stands for, and what the run keeps of it."""
    from schedc.cli.chosen_profile import chosen_profile, scenario_of

    if options["workload"] is not None or options["params"]:
        raise click.UsageError("--profile is the workload: leave --workload and -p out")
    profile = profile or chosen_profile(options["profile"])
    return scenario_of(profile, options["machine"], flags)


def _engine(name: str, model: str, prices: Iterable[str], frozen: bool) -> Engine:
    """The engine of that name."""
    from schedc.synth.engine.llm.endpoint import Access, Endpoint, access, has_key
    from schedc.synth.engine.llm.engine import LlmEngine
    from schedc.synth.engine.search import SearchEngine

    if name == "auto":
        name = "llm" if has_key() else "search"
        if name == "search":
            Console.current().status("no key for a model is set: the search engine is used")
    if name == "search":
        from schedc.synth.engine.tuning import available

        if not available():
            Console.current().status(
                "without Optuna tunables are not varied: pip install 'schedc[search]'"
            )
        return SearchEngine()
    if frozen:
        return LlmEngine(Endpoint(Access("http://localhost:9/v1", model, "none")))
    return LlmEngine(Endpoint(access(model, dict(_price(one) for one in prices))))


def _price(text: str) -> tuple[str, tuple[float, float]]:
    model, _, figures = text.rpartition("=")
    try:
        prompt, reply = (float(one) for one in figures.split(","))
    except ValueError:
        raise click.UsageError("--prices: write MODEL=IN,OUT, such as gpt-5=1.25,10") from None
    return model, (prompt, reply)


def _tried(done: Finished, request: Request, workload: Workload, kernel: str) -> Any:
    from schedc.synth.trial import try_on_kernel

    Console.current().status("trying the winner on a real kernel; this takes a minute or two")
    return try_on_kernel(
        done.text, request.goal, workload, request.scenario.settings, kernel=kernel
    )


class _Show:
    """What is said while a run goes on: lines on stdout, or JSON lines."""

    def __init__(self, goal: Goal, as_json: bool) -> None:
        self.goal = goal
        self.as_json = as_json

    def _lines(self, lines: Iterator[str]) -> None:
        for line in lines:
            click.echo(line)
        sys.stdout.flush()

    def begin(self, engine: Engine) -> None:
        """The goal, before anything is spent."""
        from schedc.synth.show import goal_lines

        if not self.as_json:
            self._lines(goal_lines(self.goal))
            model = f" ({engine.model})" if engine.model else ""
            click.echo(f"engine: {engine.name}{model}")

    def told(self) -> Told:
        from schedc.synth import show
        from schedc.synth.execute import Watch
        from schedc.synth.messages import encode
        from schedc.synth.run import Told

        if self.as_json:
            return Told(
                lambda one: click.echo(json.dumps(encode(one))),
                lambda one: click.echo(json.dumps(encode(one))),
                Watch(self._outcome_json),
            )
        return Told(
            lambda one: self._lines(show.observed_lines(one)),
            lambda one: self._lines(show.planned_lines(one)),
            Watch(self._outcome, self._doing),
        )

    def _outcome(self, outcome: Outcome, best: Outcome | None) -> None:
        from schedc.synth.show import outcome_line

        self._doing("")
        click.echo(outcome_line(self.goal.objectives[0].metric, outcome, best))
        sys.stdout.flush()

    def _outcome_json(self, outcome: Outcome, best: Outcome | None) -> None:
        from schedc.synth.messages import encode

        for message in (outcome.candidate, outcome.judged, outcome.simulated):
            if message is not None:
                click.echo(json.dumps(encode(message)))

    def _doing(self, what: str) -> None:
        """On a terminal, one line that is written over."""
        if sys.stderr.isatty():
            from schedc.diagnostics.render.visible import visible

            print(f"\r\x1b[K{visible(what)[:90]}", end="", file=sys.stderr, flush=True)

    def end(self, done: Finished) -> None:
        self._doing("")
        if self.as_json:
            from schedc.synth.messages import Ended, encode

            best = done.result.best.candidate.number if done.result.best is not None else 0
            ended = Ended(best, done.result.reason, done.result.spent)
            click.echo(json.dumps({**encode(ended), "policy": done.text,
                                   "improved": done.result.improved, "run": str(done.folder)}))
            return
        from schedc.synth.show import finished_lines

        self._lines(finished_lines(done))

    def tried(self, tried: Any) -> None:
        from schedc.synth.messages import encode
        from schedc.synth.show import tried_lines

        if self.as_json:
            click.echo(json.dumps(encode(tried)))
        else:
            self._lines(tried_lines(tried))
