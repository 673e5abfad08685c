"""A pytest plugin: with mcroute installed, tests can simulate routes, and programs that use the client.

`-p no:mcroute.simulation.fixtures` disables the plugin; `pytest_plugins = ["mcroute.simulation.fixtures"]`
loads it where entry points are not loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .embedding import Simulated, Simulation


@pytest.fixture
def simulated() -> Callable[..., Simulated]:
    """`mcroute.simulation.simulate`: runs clients with a route under faults."""
    from .embedding import simulate  # noqa: PLC0415  only where a test asks for it

    return simulate


@pytest.fixture
def simulation() -> Callable[..., Simulation]:
    """`mcroute.simulation.Simulation`: servers on a simulated network, for coroutines of one's own."""
    from .embedding import Simulation  # noqa: PLC0415

    return Simulation
