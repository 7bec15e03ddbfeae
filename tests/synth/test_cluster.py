"""A real Dask scheduler and two worker processes: the same figures as here, whoever dies."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import schedc.cli
from schedc.data import read_data
from schedc.repository.library import Library
from schedc.repository.place import Place
from schedc.sim.errors import SimError
from schedc.sim.run import Report, simulate
from schedc.sim.scenario import Arm, Options
from schedc.synth.engine import Proposal, Rounds, State
from schedc.synth.evaluate import Evaluator
from schedc.synth.journal import Journal
from schedc.synth.messages import Candidate
from schedc.synth.run import Finished, synthesize
from tests.synth.test_engines import request

pytest.importorskip("distributed", reason="Dask's distributed isn't installed (the extra cluster)")

from schedc.synth import cluster as clusters
from schedc.synth.cluster import Cluster, ClusterError

FIFO, DEADLINE = (read_data(f"stdlib_policies/{one}.sched") for one in ("fifo", "deadline"))
WRONG = FIFO.replace("dispatch", "dispach")


@contextmanager
def worker(address: str, folder: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process; with `more`, one that is told to be another schedc."""
    change = f"from schedc.synth import cluster; cluster.identity = lambda: {more[0]!r}; " \
        if more else ""  # fmt: skip
    code = f"{change}from distributed.cli.dask_worker import main; main()"
    running = subprocess.Popen(
        [sys.executable, "-c", code, address, "--no-nanny", "--nthreads", "1", "--no-dashboard",
         "--local-directory", str(folder), "--death-timeout", "60"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    try:
        yield running
    finally:
        running.kill()
        running.wait(30)


@contextmanager
def scheduler() -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, dashboard_address=None, processes=False,
                      protocol="tcp://", host="127.0.0.1", silence_logs=60) as made:  # fmt: skip
        yield made.scheduler_address


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    with scheduler() as at, worker(at, tmp_path) as one, worker(at, tmp_path) as two:
        yield at, [one, two]


class Fixed:
    """An engine that proposes the same three, all at once."""

    name, model = "fixed", ""

    def rounds(self, state: State) -> Rounds:
        del state
        yield tuple(Proposal(text, "given", final=True) for text in (FIFO, WRONG, DEADLINE))


def told(done: Finished) -> list[object]:
    return [(one.candidate, one.judged, one.simulated) for one in done.result.outcomes]


def without_times(report: Report) -> list[object]:
    return [replace(run, seconds=0.0) for run in report.runs]


def arms(*texts: str) -> list[Arm]:
    wanted = request(1)
    with_nothing = Evaluator(wanted.goal, wanted.scenario, Journal(Path("/nonexistent")),
                             runs=5, first_seed=1)  # fmt: skip
    return [Arm("eevdf", built_in="eevdf")] + [
        with_nothing._arm(f"c{number}", Candidate(number, 0, "", text, {}))
        for number, text in enumerate(texts)
    ]


def test_a_run_on_a_cluster_is_the_run_here(
    tmp_path: Path, address: tuple[str, list[subprocess.Popen[bytes]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    at, workers = address
    wanted = request(1)
    here = synthesize(wanted, Fixed(), Library(Place(tmp_path / "a")), tmp_path / "here")
    with Cluster(at) as cluster:
        while cluster.workers < 2:
            time.sleep(0.05)
        there = synthesize(wanted, Fixed(), Library(Place(tmp_path / "b")), tmp_path / "there",
                           backend=cluster)  # fmt: skip
        assert told(there) == told(here)
        assert there.text == here.text
        assert [one.judged.verdict for one in there.result.outcomes] == [
            "proved", "error", "proved"
        ]  # fmt: skip
        # … and with a worker that is killed while it works.
        many = Options(runs=16, first_seed=100, jobs=2)
        long = replace(wanted.scenario, settings={**wanted.scenario.settings,
                                                  "duration": 2_000_000_000})  # fmt: skip
        policies = arms(FIFO, DEADLINE)
        done: list[Report] = []
        thread = threading.Thread(
            target=lambda: done.append(cluster.simulate(policies, long, many)))
        thread.start()
        while not cluster._asked(lambda: [one for one in cluster._client.futures.values()
                                          if one.status == "finished"]):  # fmt: skip
            time.sleep(0.01)
        assert thread.is_alive(), "too short to be killed half way"
        workers[0].send_signal(signal.SIGKILL)
        thread.join(200)
        assert without_times(done[0]) == without_times(simulate(policies, long, many))
        assert cluster.workers == 1
        # Bad C is no fault of the cluster's.
        with pytest.raises(SimError, match=r"`bad`: .* refused the C"):
            cluster.simulate([Arm("bad", c_text="int x = ;")], wanted.scenario, Options(runs=1))
        # Nobody is left: the run ends, and is not waited for for ever.
        monkeypatch.setattr(clusters, "_WORKERS_S", 0.5)
        monkeypatch.setattr(clusters, "_GLANCE_S", 0.3)
        workers[1].kill()
        with pytest.raises(ClusterError, match="no workers left") as caught:
            cluster.simulate(policies, wanted.scenario, Options(runs=3, first_seed=500))
        assert "--resume" in str(caught.value.diagnostic)
    assert len(done[0].runs) == 48


def test_a_worker_with_another_schedc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scheduler() as at:
        with worker(at, tmp_path, "0.0.9+other"), pytest.raises(ClusterError) as caught:
            Cluster(at).__enter__()
        assert caught.value.diagnostic.code == "E1106"
        assert "has another schedc" in str(caught.value)
        assert "0.0.9+other" in str(caught.value.diagnostic)
        # One that comes later is not greeted: it finds out by itself.
        assert clusters.judged_there("0.0.9+other", FIFO) == clusters.Refused(clusters.identity())
        monkeypatch.setattr(clusters, "_CONNECT_S", 1.0)
        with pytest.raises(ClusterError, match="has no workers"), Cluster(at):
            pass


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:9", "127.0.0.1:9", "nonsense", "ftp://x", "tcp://nowhere.invalid:1", "",
     "tcp://127.0.0.1:99999", "tcp://\x1b[31m:1"],
)  # fmt: skip
def test_nobody_at_the_address(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("SCHEDC_REPOSITORY", str(tmp_path / "kept"))
    monkeypatch.setattr(clusters, "_CONNECT_S", 0.3)
    status = schedc.cli.run(["synth", "--engine", "search", "--goal", "low p99", "--scheduler",
                             address])  # fmt: skip
    _, err = capsys.readouterr()
    assert status == 2 and err.count("error[") == 1
    assert "error[E1106]" in err and "help:" in err
    assert "Traceback" not in err and "\x1b" not in err
    assert not (tmp_path / "kept").exists()


def test_a_server_of_another_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.synth.model_server import Script, serving

    monkeypatch.setattr(clusters, "_CONNECT_S", 1.0)
    with serving(Script([""])) as url:
        address = url.replace("http://", "tcp://").removesuffix("/v1")
        with pytest.raises(ClusterError, match="no Dask scheduler answers"):
            Cluster(address)


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match="not installed"):
        Cluster("tcp://127.0.0.1:1")
