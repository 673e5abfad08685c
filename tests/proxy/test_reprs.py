"""Live objects say in a debugger what they are and how they fare."""

from __future__ import annotations

import asyncio
import sys

import pytest

from mcroute import Engine
from mcroute.asyncio import Client, start_proxy
from mcroute.drivers.asyncio.driver import AsyncioDriver
from mcroute.drivers.asyncio.link import LinkConnection
from mcroute.policy import Pool, PoolRoute, compile_plan
from mcroute.testing import EmbeddedServer


def test_a_client_and_its_links() -> None:
    async def scenario() -> None:
        with EmbeddedServer() as one, EmbeddedServer() as other:
            client = Client.of([one.address, other.address])
            assert repr(client) == "<Client of 2 servers, idle>"
            async with client:
                await client.set("k", b"v")
                assert repr(client) == "<Client: 2 of 2 servers in service>"
                routing = client._calls.routing
                assert isinstance(routing.driver, AsyncioDriver)
                links = [
                    each.link
                    for each in routing.driver.engine_loop.connections.values()
                    if isinstance(each, LinkConnection)
                ]
                assert {repr(link) for link in links} == {
                    f"<Link 0 to {server.address}: ready, 0 requests unanswered>" for server in (one, other)
                }
                assert {repr(each) for each in routing.links.values()} == {
                    f"<links to {server.address}: 1 connected, 0 requests unanswered>"
                    for server in (one, other)
                }
            assert repr(client) == "<Client of 2 servers, closed>"

    asyncio.run(scenario())


def test_the_repr_of_a_proxy() -> None:
    async def scenario() -> None:
        with EmbeddedServer() as server:
            proxy = await start_proxy(PoolRoute(Pool.of("main", [server.address])))
            assert repr(proxy) == f"<Proxy on port {proxy.port}: 1 of 1 servers in service>"
            await proxy.close()

    asyncio.run(scenario())


def test_the_repr_of_an_engine() -> None:
    engine = Engine(compile_plan(PoolRoute(Pool.of("main", ["a:1", "b:1"]))))
    engine.set_server_state(1, 1)
    assert repr(engine) == "<Engine: 1 of 2 servers in service>"


@pytest.mark.skipif(sys.platform != "linux", reason="no epoll")
def test_a_proxy_on_the_native_loop() -> None:
    from mcroute.native import Proxy  # noqa: PLC0415

    with EmbeddedServer() as server:
        proxy = Proxy(PoolRoute(Pool.of("main", [server.address])), threads=2)
        assert repr(proxy) == "<Proxy on port 0: not running, 2 threads, 1 servers>"
        with proxy:
            assert repr(proxy) == f"<Proxy on port {proxy.port}: running, 2 threads, 1 servers>"
