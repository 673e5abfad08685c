"""Configurations of mcroute for the load: they differ in policy, not in the kernel's work per request.

Servers have names, so that the placement of keys is the same in every run, for any ports. Pools that name
the same server share its connection: a hundred pools have no more connections than one.
"""

from __future__ import annotations

__all__ = ("by_prefix", "copies", "failover", "plain")

SERVERS = 4
_HEAD = '[proxy]\nlisten = "127.0.0.1:$port"\n'


def _pool(name: str, count: int = SERVERS, more: str = "") -> str:
    servers = "".join(
        f'    {{ name = "cache-{i}", address = "$server{i % SERVERS}" }},\n' for i in range(count)
    )
    # Otherwise one memcached under several names is refused.
    several = 'identity = "any"\n' if count > SERVERS else ""
    return f"\n[pools.{name}]\n{several}servers = [\n{servers}{more}]\n"


def plain(count: int = SERVERS) -> str:
    """One pool; more than four servers are further names, and connections, of the same four memcacheds."""
    return _HEAD + _pool("main", count)


def copies(count: int) -> str:
    return plain() + f'\n[route]\ntype = "replicate"\npool = "main"\ncopies = {count}\n'


def failover(is_one_gone: bool = False) -> str:
    """Two pools of the same servers; `is_one_gone` adds a fifth server, without a listener, to the first.

    The second pool takes its keys, so every request still costs one answer of one server.
    """
    gone = '    { name = "cache-gone", address = "127.0.0.1:$closed" },\n' if is_one_gone else ""
    route = '\n[route]\ntype = "failover"\nchildren = ["main", "spare"]\n'
    return _HEAD + _pool("main", more=gone) + _pool("spare") + route


def by_prefix(count: int) -> str:
    """A pool for each prefix of keys that the load's `--pools` makes, and one for the rest."""
    pools = "".join(_pool(f"pool-{i}") for i in range(count))
    routes = "".join(f'"p{i:02}:" = "pool-{i}"\n' for i in range(count))
    route = '\n[route]\ntype = "by_prefix"\ndefault = "main"\n\n[route.routes]\n'
    return _HEAD + _pool("main") + pools + route + routes
