"""A few pauses, of MCROUTE_PAUSES (20); `python -m tests.acceptance.pauses` makes a thousand."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from mcroute.testing import find_memcached

from .drivers import NATIVE
from .pauses import Settings, run

PAUSES = int(os.environ.get("MCROUTE_PAUSES", "20"))

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(os.name != "posix", reason="stops processes by signals"),
]


@pytest.mark.parametrize("driver", ["asyncio", NATIVE])
def test_nothing_happens_twice_while_servers_stop_and_go_on(driver: str, tmp_path: Path) -> None:
    tally = asyncio.run(run(Settings(pauses=PAUSES, driver=driver, clients=12), tmp_path))
    assert tally.second == []
    assert tally.pauses >= PAUSES
    assert {"add STORED", "add NOT_STORED", "cas STORED", "incr a number"} <= tally.replies.keys()
