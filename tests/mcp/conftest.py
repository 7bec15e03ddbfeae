"""One server for all tests that leave no trace in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mcp.session import Home, Session


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("mcp"))


@pytest.fixture(scope="session")
def session(shared_home: Home) -> Iterator[Session]:
    with shared_home.session() as found:
        yield found
