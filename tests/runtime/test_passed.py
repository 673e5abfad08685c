"""Links that have answered what was sent before a moment, however much is sent after it."""

from __future__ import annotations

from typing import Any

import pytest

from mcroute.policy import Server, ServerOptions, Upkeep
from mcroute.policy.server_options import folded
from mcroute.policy.servers import Pool
from mcroute.runtime.link_values import LinkStatus
from mcroute.runtime.server_links import LinkLooks, ServerLinks

from .virtual_clock import VirtualClock

SERVER = Server("s", "127.0.0.1", 1)
OPTIONS: ServerOptions = folded([Pool("main", (SERVER,))])
WRAP = 1 << 32


class Host:
    """The links of one engine: at each look, (answered, unanswered) of each link."""

    def __init__(self, looks: list[list[tuple[int, int]]]) -> None:
        self.looks = looks
        self.count = 0

    def connect(self, *about: Any) -> None:
        pass

    def links(self, servers: list[int]) -> list[list[LinkStatus]]:
        look = self.looks[self.count]
        self.count += 1
        return [[LinkStatus(True, True, waiting, answered % WRAP, b"", ()) for answered, waiting in look]]


@pytest.mark.parametrize(
    ("looks", "needed"),
    [
        ([[(7, 0)]], 1),
        ([[(7, 2)], [(8, 9)], [(9, 9)]], 3),
        ([[(7, 2), (3, 1)], [(9, 5), (3, 4)], [(9, 9), (4, 9)]], 3),
        ([[(WRAP - 1, 3)], [(WRAP + 1, 8)], [(WRAP + 2, 8)]], 3),
        ([[(WRAP - 1, 0)], []], 1),
        # More than was asked for.
        ([[(7, 2)], [(70, 9)]], 2),
    ],
)
def test_it_waits_for_what_was_sent_by_then_and_no_longer(
    looks: list[list[tuple[int, int]]], needed: int
) -> None:
    clock, host = VirtualClock(), Host(looks)
    driver: Any = type("Driver", (), {"clock": clock})()
    links = ServerLinks(
        driver, [host], LinkLooks([host], clock), 0, SERVER, OPTIONS, [("127.0.0.1", 1)], Upkeep()
    )
    clock.run(links.passed())
    assert host.count == needed
