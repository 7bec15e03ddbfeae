"""More than one machine: proofs and simulations as jobs of a Dask cluster.

Input: policies' texts, arms, a scenario, options. Output: what `evaluate.Here` gives, to the digit.
Invariant: a job is a function of its input alone and is named by the hash of that input, so one
that ran twice (its worker died, or another run asked for it too) counts once, and none is lost: a
job without a result is run again elsewhere, or the whole run ends with a `ClusterError`, to be
resumed. Every job carries the identity of the schedc that made it; a worker with another one
refuses it.

Workers need schedc itself and a C compiler: each builds the simulator when it is greeted. Dask's
messages are pickles: whoever may speak to the scheduler may run code on its workers. So use only a
cluster of your own, in a network of your own or with Dask's TLS.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from schedc import __version__
from schedc.diagnostics.model import error
from schedc.records import dataclass
from schedc.sim.compare import compare
from schedc.sim.errors import SimError
from schedc.sim.run import GIVE_UP, Report, Run, figures_of, hopeless, simulate
from schedc.sim.scenario import Arm, Options, Scenario
from schedc.source import Source
from schedc.synth.evaluate import CANDIDATE, judge
from schedc.synth.journal import step_key
from schedc.synth.messages import Judged
from schedc.workload.plan import plan_text

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

_CONNECT_S = 10.0
_WORKERS_S = 30.0
"""How long a cluster may be without any worker."""

_GLANCE_S = 5.0

_TEXTS = (".py", ".lark", ".c", ".h", ".j2", ".toml", ".sched")


class ClusterError(Exception):
    """The cluster can't be used; `diagnostic` says why."""

    def __init__(self, message: str, help: str, *notes: str) -> None:
        super().__init__(message)
        self.diagnostic = error("E1106", message, None, notes=list(notes), help=help)


@dataclass(frozen=True, slots=True)
class Failed:
    """A `SimError` of a worker, as a value."""

    code: str
    message: str
    notes: tuple[str, ...]
    help: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A worker has another schedc."""

    found: str


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says of itself; `problem`: why it can't simulate, empty if it can."""

    identity: str
    problem: str


# --- what runs on a worker ------------------------------------------------------------------------


@cache
def identity() -> str:
    """This schedc: its version and the hash of all that verdicts and figures depend on."""
    from schedc.data import data_path

    hasher = hashlib.sha256()
    parts = ("grammar", "backends/bpf", "backends/sim", "backends/phases", "stdlib_policies")
    for top in (Path(__file__).parents[1], *map(data_path, parts)):
        for path in sorted(top.rglob("*")):
            name = path.relative_to(top)
            if path.suffix in _TEXTS and name.parts[0] != "_data":
                hasher.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    hasher.update(metadata.version("z3-solver").encode())
    return f"{__version__}+{hasher.hexdigest()[:12]}"


def hello() -> Hello:
    """Build the simulator, and say who one is."""
    from schedc.sim.build import runtime

    try:
        runtime()
    except SimError as failure:
        return Hello(identity(), str(failure))
    return Hello(identity(), "")


def judged_there(wanted: str, text: str) -> Judged | Refused:
    """A proof."""
    if identity() != wanted:
        return Refused(identity())
    return judge(Source.from_text(CANDIDATE, text))


def simulated_there(
    wanted: str, arm: Arm, scenario: Scenario, options: Options
) -> Run | Failed | Refused:
    """One run of one arm: the first of `options`."""
    if identity() != wanted:
        return Refused(identity())
    try:
        return simulate([arm], scenario, replace(options, runs=1, jobs=1)).runs[0]
    except SimError as failure:
        return Failed(failure.code, failure.message, failure.notes, failure.help)


# --- what asks for it -----------------------------------------------------------------------------


class Cluster:
    """A `Backend` on the workers of a Dask scheduler. A context: when it is left, what was not
    begun yet is called off."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._proofs: dict[str, Future] = {}
        self._client: Client = self._connected()

    def __enter__(self) -> Cluster:
        try:
            self._greet()
        except BaseException:
            self._client.close(timeout=1)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        try:
            self._client.cancel(list(self._proofs.values()), force=True)
            self._client.close(timeout=1)
        except Exception:  # a cluster that is gone has nothing left to call off
            logging.getLogger(__name__).debug("closing", exc_info=True)

    @property
    def workers(self) -> int:
        return len(self._asked(self._client.nthreads))

    # --- the backend

    def ahead(self, texts: Sequence[str]) -> None:
        """Begin proofs that will be asked for."""
        for text in texts:
            if text not in self._proofs:
                self._proofs[text] = self._submit(
                    f"schedc-proof-{step_key(identity(), text)}", judged_there, identity(), text
                )

    def judge(self, text: str) -> Judged:
        """What the compiler and the prover say."""
        self.ahead([text])
        (found,) = self._results([self._proofs[text]])
        del self._proofs[text]
        assert isinstance(found, Judged)
        return found

    def simulate(self, arms: Sequence[Arm], scenario: Scenario, options: Options) -> Report:
        """As `schedc.sim.run.simulate`, which see; the order is the same, too."""
        runs: list[Run] = []
        for pairs in (range(min(GIVE_UP, options.runs)), range(GIVE_UP, options.runs)):
            slots = [(arm, pair) for pair in pairs for arm in arms if not hopeless(runs, arm.name)]
            futures = [self._run(arm, scenario, options, pair) for arm, pair in slots]
            for (arm, pair), found in zip(slots, self._results(futures), strict=True):
                if isinstance(found, Failed):
                    raise SimError(found.code, f"`{arm.name}`: {found.message}", notes=found.notes,
                                   help=found.help)  # fmt: skip
                assert isinstance(found, Run)
                # Under its name here: two arms of the same text are one job.
                runs.append(replace(found, arm=arm.name, pair=pair))
        order = {arm.name: number for number, arm in enumerate(arms)}
        ordered = tuple(sorted(runs, key=lambda run: (run.pair, order[run.arm])))
        return Report(tuple(arms), scenario, options, ordered,
                      compare(arms, figures_of(ordered), scenario.workload))  # fmt: skip

    def _run(self, arm: Arm, scenario: Scenario, options: Options, pair: int) -> Future:
        seed = options.first_seed + pair
        plan = plan_text(scenario.workload, scenario.settings, seed, len(scenario.machine.cpus))
        key = step_key(identity(), arm.built_in, arm.c_text, arm.settings, plan,
                       scenario.machine.text(), seed, options.limit_s)  # fmt: skip
        one = replace(options, runs=1, first_seed=seed)
        return self._submit(f"schedc-sim-{key}", simulated_there, identity(), arm, scenario, one)

    # --- how

    def _submit(self, key: str, job: Callable[..., object], *arguments: object) -> Future:
        return self._asked(lambda: self._client.submit(job, *arguments, key=key, pure=True))

    def _results(self, futures: Sequence[Future]) -> list[object]:
        """Of all, in their order; raises a `ClusterError` when they can't be had."""
        if not futures:
            return []
        alone_since = 0.0
        while not self._asked(lambda: self._over(futures)):
            alone_since = 0.0 if self.workers else alone_since or time.monotonic()
            if alone_since and time.monotonic() - alone_since > _WORKERS_S:
                raise ClusterError(
                    f"the cluster at {self.address} has no workers left",
                    "start some, then go on with --resume; what was measured is kept",
                )
        found: list[object] = self._asked(lambda: self._client.gather(list(futures)))
        for one in found:
            if isinstance(one, Refused):
                raise _other("a worker that has come", one.found)
        return found

    def _over(self, futures: Sequence[Future]) -> bool:
        """Whether all have ended, after a moment."""
        import distributed

        wait: Any = distributed.wait
        try:
            with self._client.as_current():
                wait(futures, timeout=_GLANCE_S)
        except TimeoutError:
            return False
        return True

    def _asked(self, what: Callable[[], T]) -> T:
        """Something of Dask's; its failures as ours."""
        try:
            return what()
        except Exception as failure:
            # Dask raises what a job raised, what unpickling raised, and a dozen kinds of its own.
            said = " ".join(str(failure).split())[:200]
            raise ClusterError(
                f"the cluster at {self.address} failed: {type(failure).__name__}",
                "mend it, then go on with --resume (without --scheduler: on this machine)",
                said or "it said nothing",
            ) from failure

    def _connected(self) -> Client:
        try:
            from distributed import Client
        except ImportError:
            raise ClusterError("Dask is not installed here",
                               "pip install 'schedc[cluster]', or leave --scheduler out") from None
        for name in ("distributed", "tornado"):  # what they say of lost connections, we say
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            # First without a `Client`: one that could not connect can't be ended quietly.
            asyncio.run(asyncio.wait_for(_reached(self.address), 2 * _CONNECT_S))
            made: Any = Client
            client: Client = made(self.address, timeout=_CONNECT_S, set_as_default=False)
            return client
        except Exception as failure:  # a bad address, no host, no answer, another protocol
            raise ClusterError(
                f"no Dask scheduler answers at `{ascii(self.address)[1:-1][:80]}`",
                "give its address as `dask scheduler` prints it, such as tcp://10.0.0.5:8786",
            ) from failure

    def _greet(self) -> None:
        """Every worker is asked who it is, and builds the simulator."""
        deadline = time.monotonic() + _CONNECT_S
        while not self.workers:
            if time.monotonic() > deadline:
                raise ClusterError(f"the cluster at {self.address} has no workers",
                                   f"dask worker {self.address}")
            time.sleep(0.1)
        answers: Mapping[str, Any] = self._asked(
            lambda: self._client.run(hello, on_error="return")
        )
        for worker, found in answers.items():
            if not isinstance(found, Hello):
                raise _other(f"the worker at {worker}", "none, or one that knows no clusters")
            if found.identity != identity():
                raise _other(f"the worker at {worker}", found.identity)
            if found.problem:
                raise ClusterError(f"the worker at {worker} can't simulate",
                                   "schedc doctor on that machine", found.problem)


async def _reached(address: str) -> None:
    """Whether somebody there speaks Dask's protocol."""
    from distributed.core import connect
    from distributed.security import Security

    how: Any = Security()
    comm: Any = await connect(
        address, timeout=_CONNECT_S, **how.get_connection_args("client")
    )
    comm.abort()


def _other(who: str, found: str) -> ClusterError:
    return ClusterError(
        f"{who} has another schedc", "install the same schedc on all machines",
        f"here: {identity()}", f"there: {found}",
    )
