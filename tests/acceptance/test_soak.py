"""A short soak, of MCROUTE_SOAK_SECONDS (8); `make soak` is the long one."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from mcroute.testing import find_memcached

from .drivers import NATIVE
from .soak import Settings, soak

SECONDS = float(os.environ.get("MCROUTE_SOAK_SECONDS", "8"))

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


@pytest.mark.parametrize("driver", ["asyncio", NATIVE])
def test_no_client_sees_servers_stop_and_start(driver: str, tmp_path: Path) -> None:
    settings = Settings(seconds=SECONDS, driver=driver, clients=20, longest_fault_s=1.5)
    outcome = asyncio.run(soak(settings, tmp_path))
    assert outcome.wrong() == []
    assert min(outcome.tally.count, outcome.faults.counts.total(), outcome.watch.counts["reloads"]) > 0
