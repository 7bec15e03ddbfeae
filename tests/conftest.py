"""Options and the summary that all tests share."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]

# The same inputs in every run; how long a machine takes for one is no property of ours.
settings.register_profile(
    "schedc", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("schedc")

# A background job of a shell ignores SIGINT, and what the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite golden files")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten instead of compared."""
    return bool(request.config.getoption("--update"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first, virtual machines last; campaigns after everything."""
    order = {"packaging": 1, "vm": 2, "slow": 3}

    def rank(item: pytest.Item) -> int:
        return max((order.get(mark.name, 0) for mark in item.iter_markers()), default=0)

    items.sort(key=rank)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped and why; `make test` adds the numbers up."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(_reason(report) for report in skipped)
    terminalreporter.section("skips")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count:5} {reason}")
    terminalreporter.write_line(f"skipped: {len(skipped)}")
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build" / "skips", "a", encoding="utf-8") as file:
        file.write(f"{len(skipped)}\n")


def _reason(report: pytest.TestReport) -> str:
    place = report.longrepr
    text = place[2] if isinstance(place, tuple) else str(place)
    return text.removeprefix("Skipped: ")
