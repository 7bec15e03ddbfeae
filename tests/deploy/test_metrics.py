"""Metrics, read back with Prometheus' own parser."""

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import schedc.cli
from schedc.deploy import metrics, state as states
from tests.deploy.machine import Place, environment, write_policy
from tests.deploy.test_top import later

pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Sample and labels -> value; raises if the text isn't of the format."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.name.startswith("schedc_") and family.documentation
        for one in family.samples:
            found[one.name, tuple(sorted(one.labels.items()))] = one.value
    return found


def test_every_figure() -> None:
    state = states.read(later())
    found = parsed(generate_latest(metrics.registry(lambda: state)).decode())
    at = (("class", "all"), ("policy", "calm"))
    assert found["schedc_up", ()] == 1 and found["schedc_sched_ext_enabled", ()] == 1
    assert found["schedc_class_run_total", at] == 300
    assert found["schedc_class_cpu_seconds_total", at] == 2.5
    assert found["schedc_class_wait_seconds_count", at] == 300
    assert found["schedc_class_wait_seconds_sum", at] == pytest.approx(0.04)
    assert found["schedc_class_wait_max_seconds", at] == pytest.approx(0.0065)
    assert found["schedc_class_wait_bound_seconds", at] == pytest.approx(0.065)
    assert found["schedc_queue_stolen_total", (("policy", "calm"), ("queue", "one"))] == 15
    program = (("policy", "calm"), ("program", "calm_enqueue"))
    assert found["schedc_program_seconds_total", program] == pytest.approx(0.001)
    assert found["schedc_kernel_events_total", (("event", "SCX_EV_ENQ_SLICE_DFL"),)] == 9
    info = [labels for name, labels in found if name == "schedc_policy_info"]
    assert dict(info[0])["version"] == "1.0.0"


def test_buckets_are_cumulative_and_in_seconds() -> None:
    state = states.read(later())
    found = parsed(generate_latest(metrics.registry(lambda: state)).decode())
    edges = sorted(
        (float(dict(labels)["le"]), value) for (name, labels), value in found.items()
        if name == "schedc_class_wait_seconds_bucket"
    )  # fmt: skip
    assert len(edges) == 32 and edges[-1] == (float("inf"), 300)
    assert [value for _, value in edges] == sorted(value for _, value in edges)
    # 240 waits of less than 2^17 ns.
    assert dict(edges)[(1 << 17) / 1e9] == 240


def test_hostile_names_stay_values_of_labels() -> None:
    answer = later()
    answer["policy"]["name"] = 'x"} 1\nschedc_up 0\n'
    answer["counters"]["classes"][0]["name"] = 'a\\"\n'
    state = states.read(answer)
    found = parsed(generate_latest(metrics.registry(lambda: state)).decode())
    assert found["schedc_up", ()] == 1
    assert sum(name == "schedc_up" for name, _ in found) == 1


def test_nothing_runs() -> None:
    answer = later(policy=None, counters={"classes": [], "queues": []}, programs=[])
    state = states.read(answer)
    found = parsed(generate_latest(metrics.registry(lambda: state)).decode())
    assert found["schedc_up", ()] == 1
    assert not any("class" in name for name, _ in found)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:9187", "127.0.0.1", 9187), ("[::1]:80", "::1", 80),
     ("localhost:0", "127.0.0.1", 0), ("127.3.2.1:1", "127.3.2.1", 1)],
)  # fmt: skip
def test_addresses(text: str, host: str, port: int) -> None:
    assert metrics.address(text) == (host, port)


@pytest.mark.parametrize(
    "text", ["0.0.0.0:9187", "[::]:9187", "192.168.1.1:80", "9187", "example.org:80", "127.0.0.1:x",
             "127.0.0.1:70000", ""]
)  # fmt: skip
def test_other_addresses_are_refused(
    text: str, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(metrics.NotHere):
        metrics.address(text)
    assert schedc.cli.run(["metrics", "--listen", text]) == 2
    err = capfd.readouterr().err
    assert "error[E0918]" in err and "--listen 127.0.0.1:9187" in err


def test_the_command(
    machine: Place, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert schedc.cli.run(["load", write_policy("calm"), "--yes", "--for", "1s"]) == 0
    capfd.readouterr()
    assert schedc.cli.run(["metrics"]) == 0
    assert parsed(capfd.readouterr().out)["schedc_up", ()] == 1
    file = tmp_path / "schedc.prom"
    assert schedc.cli.run(["metrics", "--textfile", str(file)]) == 0
    at = (("class", "everyone"), ("policy", "calm"))
    assert parsed(file.read_text())["schedc_class_run_total", at] >= 1000
    assert [one.name for one in tmp_path.glob("*.prom*")] == ["schedc.prom"]
    assert schedc.cli.run(["metrics", "--textfile", "/proc/none/x.prom"]) == 2
    assert "E0602" in capfd.readouterr().err
    assert schedc.cli.run(["metrics", "--textfile", "x", "--listen", "127.0.0.1:1"]) == 2


def test_the_endpoint(machine: Place) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "schedc", "metrics", "--listen", "127.0.0.1:0"],
        stderr=subprocess.PIPE, text=True,
        env={**environment(machine), "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    try:
        assert process.stderr is not None
        url = process.stderr.readline().strip()
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = parsed(answer.read().decode())
        assert found["schedc_up", ()] == 1 and found["schedc_sched_ext_enabled", ()] == 0
    finally:
        process.kill()
        process.communicate()


def test_no_loader_is_a_value_and_no_failure(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    assert schedc.cli.run(["metrics"]) == 0
    assert parsed(capfd.readouterr().out) == {("schedc_up", ()): 0.0}


def test_without_the_package(
    place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert schedc.cli.run(["metrics"]) == 2
    assert "error[E0918]: the package prometheus-client is not installed" in capfd.readouterr().err
