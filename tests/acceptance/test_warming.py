"""Servers that come back empty get their keys again; `warming` and `rolling` measure it with more keys."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from mcroute.testing import find_memcached

from . import rolling
from .drivers import NATIVE
from .warming import Settings, warming

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
    pytest.mark.skipif(sys.platform == "win32", reason="stops processes"),
]

LOOPS = pytest.mark.parametrize("driver", ["asyncio", NATIVE])


@LOOPS
def test_a_killed_server_gets_its_keys_from_its_twins_and_none_is_old(driver: str, tmp_path: Path) -> None:
    settings = Settings(keys=1000, driver=driver, margin_s=25.0)
    outcome = asyncio.run(asyncio.wait_for(warming(settings, tmp_path), 50))
    assert outcome.old == outcome.wrong_lives == []
    assert outcome.share >= 0.99
    assert any("has its keys again" in line for line in outcome.lines)


@LOOPS
def test_two_proxies_copy_the_same_keys_to_no_harm(driver: str, tmp_path: Path) -> None:
    settings = Settings(keys=1000, driver=driver, margin_s=25.0, proxies=2)
    outcome = asyncio.run(asyncio.wait_for(warming(settings, tmp_path), 50))
    assert outcome.old == outcome.wrong_lives == []
    assert outcome.share >= 0.99
    assert sum("has its keys again" in line for line in outcome.lines) == 2


@LOOPS
def test_a_stopped_server_has_all_that_was_not_written_meanwhile(driver: str, tmp_path: Path) -> None:
    outcome = asyncio.run(asyncio.wait_for(warming(Settings("stop", 1000, driver=driver), tmp_path), 50))
    # Lifetimes differ: writes that were waiting at the server were executed late.
    assert outcome.old == []
    assert outcome.untouched_back == outcome.untouched > 300
    assert not any("came back empty" in line for line in outcome.lines)


@LOOPS
def test_a_restart_of_all_servers_in_turn_loses_no_value(driver: str, tmp_path: Path) -> None:
    settings = rolling.Settings(keys=500, driver=driver, margin_s=25.0)
    outcome = asyncio.run(asyncio.wait_for(rolling.rolling(settings, tmp_path), 50))
    assert outcome.read >= 0.99 * outcome.keys
