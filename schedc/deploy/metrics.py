"""What the loader knows, for Prometheus.

Input: a `State`, or why there is none. Output: metric families, the text of an exposition, a file,
an endpoint. Invariant: times are in seconds; counters are those since the policy was attached; a
name from a plan is only ever the value of a label.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from schedc.deploy.state import ClassCounts, State
from schedc.deploy.waits import BUCKETS, edges

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

M = TypeVar("M")
_S = 1e9


class NotHere(Exception):
    """An address that isn't this machine's own."""


class Collected:
    """A collector of prometheus_client: asks anew at each scrape. `state` gives None if the loader
    doesn't answer."""

    def __init__(self, state: Callable[[], State | None]) -> None:
        self._state = state

    def describe(self) -> Iterable[Metric]:
        """Nothing: at registration nobody is asked."""
        return ()

    def collect(self) -> Iterator[Metric]:
        return families(self._state())


def families(state: State | None) -> Iterator[Metric]:
    """All metrics of one look."""
    yield _gauge("schedc_up", "Whether the loader answers.", [((), float(state is not None))])
    if state is None:
        return
    kernel = state.kernel
    yield _gauge("schedc_sched_ext_enabled", "Whether a sched_ext scheduler runs, ours or another.",
                 [((), float(kernel.state == "enabled"))])  # fmt: skip
    yield _counter("schedc_schedulers_enabled", "Schedulers that the kernel enabled since boot.",
                   [((), kernel.enable_seq)])  # fmt: skip
    yield _counter("schedc_tasks_rejected", "Tasks that asked for sched_ext and were refused.",
                   [((), kernel.nr_rejected)])  # fmt: skip
    yield _counter("schedc_kernel_events", "Events that the kernel counts of a scheduler.",
                   [((name,), count) for name, count in kernel.events.items()],
                   ("event",))  # fmt: skip
    yield _gauge("schedc_quarantined_policies", "Policies that are not loaded any more.",
                 [((), float(len(state.quarantined)))])  # fmt: skip
    if state.policy is not None:
        yield from _of_the_policy(state)


def _of_the_policy(state: State) -> Iterator[Metric]:
    one = state.policy
    assert one is not None
    yield _gauge("schedc_policy_info", "The policy that runs.",
                 [((one.name, one.version, one.object, one.stage), 1.0)],
                 ("policy", "version", "object", "stage"))  # fmt: skip
    yield _gauge("schedc_policy_since_timestamp_seconds", "When it was loaded.",
                 [((one.name,), one.since)], ("policy",))  # fmt: skip
    yield from _classes(one.name, state)
    for name, what in (("inserted", "put into"), ("taken", "taken from"), ("stolen", "stolen from"),
                       ("skipped", "passed over in")):  # fmt: skip
        yield _counter(f"schedc_queue_{name}", f"Tasks {what} a queue.",
                       [((one.name, q.name), getattr(q, name)) for q in state.queues],
                       ("policy", "queue"))  # fmt: skip
    yield _counter("schedc_program_runs", "Calls of its callbacks; 0 unless counted.",
                   [((one.name, p.name), p.run_cnt) for p in state.programs],
                   ("policy", "program"))  # fmt: skip
    yield _counter("schedc_program_seconds", "Cpu time of its callbacks; 0 unless counted.",
                   [((one.name, p.name), p.run_time_ns / _S) for p in state.programs],
                   ("policy", "program"))  # fmt: skip


def _classes(policy: str, state: State) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    labels = ("policy", "class")
    for name, what in (
        ("enqueued", "Tasks that began to wait"), ("direct", "Tasks that an idle cpu took at once"),
        ("run", "Waits that ended"), ("preempted", "Stints that ended with the task runnable"),
    ):  # fmt: skip
        yield _counter(f"schedc_class_{name}", f"{what}.",
                       [((policy, one.name), getattr(one, name)) for one in state.classes],
                       labels)  # fmt: skip
    yield _counter("schedc_class_cpu_seconds", "Cpu time that tasks of a class had.",
                   [((policy, one.name), one.ran_ns / _S) for one in state.classes],
                   labels)  # fmt: skip
    waits = HistogramMetricFamily("schedc_class_wait_seconds", "Waits for a cpu.", labels=labels)
    for one in state.classes:
        waits.add_metric([policy, one.name], _buckets(one), one.wait_ns / _S)
    yield waits
    yield _gauge("schedc_class_wait_max_seconds", "The longest wait since the policy was attached.",
                 [((policy, one.name), one.wait_max_ns / _S) for one in state.classes],
                 labels)  # fmt: skip
    yield _gauge("schedc_class_wait_bound_seconds", "The longest wait that is proved possible.",
                 [((policy, one.cls), one.wait_ms / 1000) for one in state.bounds],
                 labels)  # fmt: skip


def _buckets(one: ClassCounts) -> list[tuple[str, float]]:
    """Cumulative, by upper edge in seconds; the last bucket has none."""
    found, below = [], 0
    for bucket, count in enumerate(one.wait_hist):
        below += count
        last = bucket == BUCKETS - 1
        found.append(("+Inf" if last else repr(edges(bucket)[1] / _S), float(below)))
    return found


_Rows = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, what: str, rows: _Rows, labels: tuple[str, ...] = ()) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(name, what, labels=labels), rows)


def _counter(name: str, what: str, rows: _Rows, labels: tuple[str, ...] = ()) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(name, what, labels=labels), rows)


def _filled(family: M, rows: _Rows) -> M:
    add: Any = family  # the families agree in this method, but have no common type for it
    for labels, value in rows:
        add.add_metric(list(labels), value)
    return family


# --- out of the program


def registry(state: Callable[[], State | None]) -> CollectorRegistry:
    """A registry of these metrics alone: none about Python or this process."""
    from prometheus_client import CollectorRegistry

    made = CollectorRegistry()
    made.register(Collected(state))
    return made


def address(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9187` or `[::1]:9187`; raises `NotHere` for any but the
    loopback."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        number = int(port)
    except ValueError:
        raise NotHere(f"`{text}` is no address and port, such as 127.0.0.1:9187") from None
    if not colon or not found.is_loopback or not 0 <= number < 1 << 16:
        raise NotHere(f"`{text}` is not on the loopback")
    return str(found), number
