"""A few returns of servers that missed writes; `python -m tests.acceptance.returns` does more."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from mcroute.testing import find_memcached

from .drivers import NATIVE
from .returns import Settings, returns

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(sys.platform == "win32", reason="stops processes"),
]


@pytest.mark.parametrize("driver", ["asyncio", NATIVE])
def test_no_old_value_is_read_or_held_after_a_return(driver: str, tmp_path: Path) -> None:
    outcome = asyncio.run(returns(Settings(returns=12, pools=4, others=1, driver=driver), tmp_path))
    assert outcome.wrong() == []
    assert outcome.log.returns >= 12
