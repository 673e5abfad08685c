"""The cost of the engine, without sockets: requests in, requests out to a server, replies in, replies out.

    PYTHONPATH=src pytest benches/bench_engine.py --benchmark-only --benchmark-columns=min,median

1000 requests per round: microseconds of a round are nanoseconds of a request. Few of these are Python's.
"""

import pytest

from mcroute import Engine
from mcroute.policy import Failover, Pool, PoolRoute, Replicate, Route, compile_plan

COUNT = 1000
KEYS = [b"key:%06d" % number for number in range(COUNT)]
GETS = b"".join(b"get %b\r\n" % key for key in KEYS)
SETS = b"".join(b"set %b 0 0 4\r\nabcd\r\n" % key for key in KEYS)
MULTIGET = b"get %b\r\n" % b" ".join(KEYS[:24])
VALUE = b"v" * 100
REQUESTS = {"gets": GETS, "sets": SETS, "multigets": MULTIGET * (COUNT // 24)}


def pool(servers: int) -> Pool:
    return Pool.of("main", [f"127.0.0.1:{11211 + number}" for number in range(servers)])


ROUTES: dict[str, Route] = {
    "one server": PoolRoute(pool(1)),
    "four servers": PoolRoute(pool(4)),
    "failover": Failover([PoolRoute(pool(4)), PoolRoute(Pool.of("other", ["127.0.0.1:11300"]))]),
    "two copies": Replicate(pool(4), copies=2),
}


def answer(request: bytes) -> bytes:
    command, *rest = request.split()
    if command == b"get":
        return b"".join(b"VALUE %b 0 100\r\n%b\r\n" % (key, VALUE) for key in rest) + b"END\r\n"
    return b"STORED\r\n"


class World:
    """An engine, one client, and servers that repeat their replies of the first round."""

    def __init__(self, route: Route) -> None:
        self.engine = Engine(compile_plan(route), seed=1)
        self.client = self.engine.open_session()
        self.links = [self.engine.open_link(server) for server in self.engine.server_ids().values()]
        for link in self.links:
            self.engine.link_connected(link)

    def reply(self, output: bytes) -> bytes:
        lines = [line for line in output.split(b"\r\n") if line and line != b"abcd"]
        return b"".join(answer(line) for line in lines)

    def round(self, requests: bytes, replies: dict[int, bytes] | None = None) -> dict[int, bytes]:
        """Returns the replies on each link; by default these are made from the link's requests."""
        engine = self.engine
        engine.receive(self.client, requests, 0.0)
        made = {}
        for number in engine.take_dirty():
            output = engine.take_output(number)
            if number != self.client and output:
                made[number] = replies[number] if replies else self.reply(output)
        for number, reply in made.items():
            engine.receive(number, reply, 0.0)
        for number in engine.take_dirty():
            engine.take_output(number)
        return made


@pytest.mark.parametrize("requests", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
@pytest.mark.benchmark(group="1000 requests through the engine")
def test_requests(benchmark, route: Route, requests: bytes) -> None:
    world = World(route)
    replies = world.round(requests)
    benchmark(world.round, requests, replies)
