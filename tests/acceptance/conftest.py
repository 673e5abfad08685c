"""Every test that asks for a carrier, or to be run on one, runs on each."""

from __future__ import annotations

import pytest

from .carriers import CARRIERS, Run, runner


@pytest.fixture(params=CARRIERS)
def carrier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(carrier: str) -> Run:
    return runner(carrier)
