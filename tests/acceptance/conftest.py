"""Every test that asks for a driver, or to be run on one, runs on each."""

from __future__ import annotations

import pytest

from .drivers import DRIVERS, Run, runner


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(driver: str) -> Run:
    return runner(driver)
