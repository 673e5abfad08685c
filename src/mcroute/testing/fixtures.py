"""A pytest plugin: `pytest_plugins = ["mcroute.testing.fixtures"]` gives the fixtures below.

Tests that ask for the real memcached are skipped where it is not installed, and the summary counts them.
"""

from collections.abc import Iterator

import pytest

from . import EmbeddedServer, MemcachedServer, find_memcached

LEFT_OUT = "no memcached on the PATH"


@pytest.fixture
def embedded_server() -> Iterator[EmbeddedServer]:
    """An empty embedded server of this test's own."""
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def memcached_server() -> Iterator[MemcachedServer]:
    """A real, empty memcached of this test's own."""
    if find_memcached() is None:
        pytest.skip(LEFT_OUT)
    with MemcachedServer() as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(LEFT_OUT in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.write_line(
            f"{count} tests left out: {LEFT_OUT}; install it or set $MEMCACHED", red=True
        )
