"""A pytest plugin: with mcroute installed, tests can use the fixtures below.

The plugin has the name of this module: `-p no:mcroute.testing.fixtures` disables it, and
`pytest_plugins = ["mcroute.testing.fixtures"]` loads it where entry points are not loaded. Tests that need
the real memcached are skipped where it is not installed, and the summary counts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import EmbeddedServer, MemcachedServer

SKIPPED = "no memcached on the PATH"


@pytest.fixture
def embedded_server() -> Iterator[EmbeddedServer]:
    """An empty embedded server for one test."""
    from . import EmbeddedServer  # noqa: PLC0415  only where a test asks for it

    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def memcached_server() -> Iterator[MemcachedServer]:
    """A real, empty memcached for one test."""
    from . import MemcachedServer, find_memcached  # noqa: PLC0415

    if find_memcached() is None:
        pytest.skip(SKIPPED)
    with MemcachedServer() as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(SKIPPED in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.write_line(
            f"{count} tests skipped: {SKIPPED}; install it or set $MEMCACHED", red=True
        )
