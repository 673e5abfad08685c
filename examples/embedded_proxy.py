"""A service with an embedded proxy, through which clients reach all of its memcacheds, with two copies.

    python examples/embedded_proxy.py 127.0.0.1:11211 127.0.0.1:11212 127.0.0.1:11213

The service keeps working while clients are served: the proxy's threads do not wait for the interpreter.
"""

from __future__ import annotations

import sys

from pymemcache.client.base import Client

from mcroute.native import Proxy
from mcroute.policy import Pool, Replicate


def squares(count: int) -> int:
    """The work of the service: it keeps the interpreter busy."""
    return sum(number * number for number in range(count))


def main(addresses: list[str]) -> None:
    route = Replicate(Pool.of("main", addresses), copies=min(2, len(addresses)))
    with Proxy(route, threads=1) as proxy:
        print(f"memcached's clients are served on port {proxy.port}")
        client = Client(("127.0.0.1", proxy.port), default_noreply=False)
        client.set("squares", str(squares(1_000_000)))
        print("kept on two servers:", client.get("squares").decode())
        # From now on without the first server, as a service may decide by itself.
        if len(addresses) > 2:
            proxy.reload(Replicate(Pool.of("main", addresses[1:]), copies=2))
        client.set("squares", "0")
        client.close()
        counted = proxy.stats().snapshot.counters
        print(f"{counted['requests']} requests, {counted['replies']} replies")


if __name__ == "__main__":
    main(sys.argv[1:] or ["127.0.0.1:11211"])
