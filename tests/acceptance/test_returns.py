"""A few returns of servers that missed writes; `python -m tests.acceptance.returns` does more."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import replace
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

# Only root can end connections of other processes.
CAN_LOSE = shutil.which("ss") is not None and sys.platform == "linux" and os.geteuid() == 0
FEW = Settings(returns=12, pools=4, others=1, pending=50)


@pytest.mark.parametrize("driver", ["asyncio", NATIVE])
def test_no_old_value_is_read_or_held_after_a_return_and_no_other_is_lost(
    driver: str, tmp_path: Path
) -> None:
    outcome = asyncio.run(returns(replace(FEW, driver=driver), tmp_path))
    assert outcome.wrong() == []
    assert outcome.log.returns >= 12
    assert outcome.log.replays >= 12


@pytest.mark.parametrize("driver", ["asyncio", NATIVE])
def test_servers_whose_journals_overflow_are_flushed(driver: str, tmp_path: Path) -> None:
    outcome = asyncio.run(returns(replace(FEW, driver=driver, returns=4, journal_keys=5), tmp_path))
    assert outcome.wrong() == []
    assert outcome.log.returns >= 4
    assert outcome.log.replays == 0


@pytest.mark.skipif(not CAN_LOSE, reason="needs ss, and to be root")
@pytest.mark.parametrize("driver", ["asyncio", NATIVE])
def test_links_that_are_lost_during_a_stop_bring_no_old_value_back(driver: str, tmp_path: Path) -> None:
    outcome = asyncio.run(returns(replace(FEW, driver=driver, returns=8, losses=1.0), tmp_path))
    assert outcome.wrong() == []
    assert outcome.log.returns >= 8


@pytest.mark.skipif(sys.platform != "linux", reason="a journal file needs Linux")
@pytest.mark.parametrize("driver", ["asyncio", NATIVE])
def test_a_proxy_that_starts_again_meanwhile_deletes_what_was_missed_before(
    driver: str, tmp_path: Path
) -> None:
    outcome = asyncio.run(returns(replace(FEW, driver=driver, returns=8, restarts=1.0), tmp_path))
    assert outcome.wrong() == []
    assert outcome.log.kills + outcome.log.ends >= 2
    assert outcome.log.restarted_replays >= 4 and outcome.log.restarted == outcome.log.restarted_replays
