"""The bounds of one link: further requests are refused at once, and a link that owes too much for too long
is connected again.
"""

from __future__ import annotations

import pytest

from mcroute.errors import ConfigError
from mcroute.policy import Limits, PoolRoute

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

TOO_MANY = b"SERVER_ERROR too many requests wait for the server\r\n"


def bounded(limits: Limits) -> Network:
    net = network(PoolRoute(pool(1, reply_timeout_s=1.0, deadline_s=2.0)), 1)
    net.engine.set_limits(limits)
    return net


def test_requests_beyond_the_bound_are_refused_and_room_is_used_again() -> None:
    net = bounded(Limits(link_requests_max=3))
    clients = [net.client() for _ in range(4)]
    for client in clients:
        net.send(client, b"get k\r\n")
    assert net.got(clients[3]) == TOO_MANY
    net.reply(0, b"END\r\n" * 3)
    assert [net.got(client) for client in clients[:3]] == [b"END\r\n"] * 3
    net.send(clients[3], b"get k\r\n")
    net.reply(0, b"END\r\n")
    assert net.got(clients[3]) == b"END\r\n"


@pytest.mark.parametrize(
    ("limits", "is_closed"),
    [
        (Limits(), False),
        (Limits(link_orphans_max=2), True),
        (Limits(link_orphan_age_s=3.0), True),
    ],
    ids=["by default", "too many", "too old"],
)
def test_a_link_is_closed_for_replies_to_requests_that_timed_out(limits: Limits, is_closed: bool) -> None:
    net = bounded(limits)
    clients = [net.client() for _ in range(3)]
    for client in clients:
        net.send(client, b"touch k 0\r\n")
    for _ in range(8):
        net.wait(0.5)
    assert all(net.got(client).startswith(b"SERVER_ERROR") for client in clients)
    assert bool(set(net.closed) & set(net.links)) is is_closed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("link_requests_max", 0),
        ("link_bytes_max", 1 << 31),
        ("link_orphans_max", -1),
        ("link_orphan_age_s", 0.0),
        ("link_orphan_age_s", float("nan")),
    ],
)
def test_bounds_that_cannot_be(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"limits\.{name}"):
        Limits(**{name: value})
