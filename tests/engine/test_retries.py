"""Retries after timeouts have a budget: a share of the requests, and a few a second; at most 100 in stock."""

import pytest

from mcroute._engine.engine import Engine
from mcroute.policy import Replicate, compile_plan

from .network import Network, pool

# A read that is overdue at its first server asks the second one, while the budget lasts.
ROUTE = Replicate(pool(2, trip_after=10_000), copies=2)
LATE = 0.625


def net_of(share: float, floor: float) -> Network:
    net = Network(ROUTE, 2)
    net.engine = Engine(compile_plan(ROUTE, retry_share=share, retry_floor_per_s=floor))
    net.links = [net.engine.open_link(i) for i in range(2)]
    for link in net.links:
        net.engine.link_connected(link)
    return net


def retries(net: Network, requests: int) -> int:
    before = net.engine.counters()["failovers"]
    for _ in range(requests):
        net.engine.submit(b"get k1\r\n", net.now)
    net.wait(LATE)
    return net.engine.counters()["failovers"] - before


@pytest.mark.parametrize(
    ("share", "floor", "expected"),
    [
        # 50 of the 100 saved; the share of 300 fills them up; all; then only the share of new requests.
        (0.2, 0.0, [(50, 50), (300, 100), (200, 40), (0, 0)]),
        (0.0, 10.0, [(300, 100), (100, 6), (100, 6)]),
        (0.1, 10.0, [(300, 100), (100, 16)]),
        (0.0, 0.0, [(10, 0)]),
    ],
)
def test_retries_stay_within_the_budget(share: float, floor: float, expected: list[tuple[int, int]]) -> None:
    net = net_of(share, floor)
    assert [(requests, retries(net, requests)) for requests, _ in expected] == expected
