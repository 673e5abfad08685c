"""How many clients a limit of descriptors leaves room for."""

import pytest

from mcroute.errors import ConfigError
from mcroute.policy import Plan, Pool, PoolRoute, Server, compile_plan
from mcroute.proxy.descriptors import Descriptors


def plan(*servers: str, links: int = 1) -> Plan:
    return compile_plan(
        PoolRoute(Pool("main", tuple(Server.parse(server) for server in servers), links=links))
    )


ONE = plan("127.0.0.1:1")
THREE = plan("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")


@pytest.mark.parametrize(
    ("more", "of_which", "taken"),
    [
        # Of a server: a link in each thread, and four short connections.
        (dict(threads=2), ONE, 10 + 11 + 4 + 8 + 2 + 4),
        (dict(threads=2), THREE, 10 + 11 + 4 + 8 + 6 + 12),
        (dict(threads=4), THREE, 10 + 21 + 8 + 8 + 12 + 12),
        (dict(threads=2), plan("127.0.0.1:1", links=4), 10 + 11 + 4 + 8 + 8 + 4),
        (dict(threads=2, has_metrics=True), ONE, 10 + 11 + 4 + 8 + 2 + 4 + 4),
        # asyncio has no threads of its own; a name takes a lookup.
        (dict(), ONE, 10 + 2 + 8 + 1 + 4),
        (dict(), plan("cache.example:1"), 10 + 2 + 8 + 1 + 4 + 2),
        (dict(), plan("/run/memcached.sock"), 10 + 2 + 8 + 1 + 4),
        # Probes, stages and stats are bounded for all servers together, and so are lookups.
        (dict(), plan(*(f"127.0.0.1:{n}" for n in range(1, 1001))), 10 + 2 + 8 + 1000 + 1000 + 192 + 32),
        (dict(), plan(*(f"h{n}.example:1" for n in range(100))), 10 + 2 + 8 + 100 + 100 + 192 + 32 + 16),
    ],
)
def test_clients_have_the_remaining_descriptors(more: dict[str, int], of_which: Plan, taken: int) -> None:
    assert Descriptors(10_000, 10, **more).clients_max(of_which) == 10_000 - taken


def test_a_reload_counts_the_servers_of_before_once() -> None:
    descriptors = Descriptors(1000, 10, threads=2)
    assert descriptors.clients_max(THREE, THREE) == descriptors.clients_max(THREE)
    assert descriptors.clients_max(THREE, ONE) == descriptors.clients_max(THREE)
    assert descriptors.clients_max(ONE, THREE) == descriptors.clients_max(THREE)


def test_less_than_one_client_a_thread_is_an_error() -> None:
    assert Descriptors(41, 10, threads=2).clients_max(ONE) == 2
    with pytest.raises(
        ConfigError, match=r"limit of 40 .*\(ulimit -n\) .* 39 are reserved .* raise it above 41"
    ):
        Descriptors(40, 10, threads=2).clients_max(ONE)
