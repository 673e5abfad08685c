"""Fingerprints: equal for what does the same, on every machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mcroute.policy import Error, Failover, Pool, PoolRoute, Replicate, Route, compile_plan
from mcroute.policy.fingerprint import fingerprint


class Routing:
    """A route in Python, whose repr differs from process to process."""

    def __init__(self, *children: Route) -> None:
        self.children = children

    def steps(self, request):
        raise NotImplementedError
        yield


def of(route: Route, **options: float) -> str:
    return fingerprint(compile_plan(route, **options))


MAIN = Pool.of("main", ["a:1", "b:2"])


@pytest.mark.parametrize("seed", ["1", "2"])
def test_it_is_the_same_in_every_process(seed):
    program = """
from mcroute.policy import Pool, Replicate, compile_plan
from mcroute.policy.fingerprint import fingerprint
print(fingerprint(compile_plan(Replicate(Pool.of("main", ["a:1", "b:2"])))))
"""
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)
    assert printed.stdout.strip() == of(Replicate(MAIN))


def test_equal_routes_have_equal_fingerprints():
    MAIN.ring()
    assert of(PoolRoute(MAIN)) == of(PoolRoute(Pool.of("main", ["a:1", "b:2"])))
    assert of(Routing(PoolRoute(MAIN))) == of(Routing(PoolRoute(MAIN)))


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(PoolRoute(Pool.of("main", ["b:2", "a:1"])), id="order"),
        pytest.param(PoolRoute(Pool.of("main", ["a:1", "b:2:2"])), id="weight"),
        pytest.param(PoolRoute(Pool.of("main", ["a:1", "b:3"])), id="port"),
        pytest.param(PoolRoute(Pool.of("other", ["a:1", "b:2"])), id="name"),
        pytest.param(PoolRoute(Pool("main", MAIN.servers, reply_timeout_s=0.1)), id="timeout"),
        pytest.param(PoolRoute(Pool("main", MAIN.servers, distribution="ketama")), id="distribution"),
        pytest.param(Replicate(MAIN), id="replicate"),
        pytest.param(Failover((PoolRoute(MAIN), Error("gone"))), id="failover"),
        pytest.param(Routing(PoolRoute(MAIN)), id="of Python"),
    ],
)
def test_different_routes_have_different_fingerprints(route):
    assert of(route) != of(PoolRoute(MAIN))


def test_the_retry_budget_counts():
    assert of(PoolRoute(MAIN), retry_share=0.1) != of(PoolRoute(MAIN))
