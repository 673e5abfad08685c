"""A pytest plugin: where mcroute is installed, tests may ask for the fixtures below.

Its name is that of this module: `-p no:mcroute.testing.fixtures` leaves it out, and where entry points are
not loaded `pytest_plugins = ["mcroute.testing.fixtures"]` loads it. Tests that ask for the real memcached are
skipped where it is not installed, and the summary counts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import EmbeddedServer, MemcachedServer

LEFT_OUT = "no memcached on the PATH"


@pytest.fixture
def embedded_server() -> Iterator[EmbeddedServer]:
    """An empty embedded server of this test's own."""
    from . import EmbeddedServer  # noqa: PLC0415  only where a test asks for it

    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def memcached_server() -> Iterator[MemcachedServer]:
    """A real, empty memcached of this test's own."""
    from . import MemcachedServer, find_memcached  # noqa: PLC0415

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
