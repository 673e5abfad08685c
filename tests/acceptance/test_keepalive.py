"""Links have the TCP options of the policy, whatever the driver."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from mcroute.policy import KeepAlive, Pool, PoolRoute, Upkeep
from mcroute.testing import EmbeddedServer

from .drivers import DRIVERS, runner, start_proxy

OPTIONS = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd") or not all(hasattr(socket, name) for name in OPTIONS),
    reason="another system",
)


def connections_to(port: int) -> Iterator[socket.socket]:
    """This process's connected sockets with this port at their other end."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as connection:
            if connection.family == socket.AF_INET and connection.getpeername()[1] == port:
                yield connection


@pytest.mark.parametrize("driver", DRIVERS)
def test_connections_to_servers_have_the_keepalive_of_the_policy(driver: str) -> None:
    keepalive = KeepAlive(idle_s=7, interval_s=2, probes=4, unacknowledged_s=2.5)

    async def scenario() -> None:
        with EmbeddedServer() as server:
            route = PoolRoute(Pool.of("main", [server.address]))
            proxy = await start_proxy(driver, route, upkeep=Upkeep(keepalive=keepalive))
            try:
                assert all(links.are_connected for links in proxy.supervision.links.values())
                values = {
                    tuple(
                        connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in OPTIONS
                    )
                    for connection in connections_to(server.port)
                }
                # Questions to the server are on connections without these options.
                assert (7, 2, 4, 2500) in values
            finally:
                await proxy.close()

    runner(driver)(scenario())
