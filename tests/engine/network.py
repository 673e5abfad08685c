"""A network of byte strings around one engine: the test plays the clients and the servers line by line."""

from __future__ import annotations

from mcroute._engine.engine import Engine
from mcroute.policy import Pool, Server, compile_plan


def pool(size: int, **options: object) -> Pool:
    return Pool("main", tuple(Server(f"s{i}", "127.0.0.1", 1000 + i) for i in range(size)), **options)


class Network:
    """Clients and links are numbers; what the engine sends on each is collected until it is read."""

    def __init__(self, route: object, servers: int) -> None:
        self.engine = Engine(compile_plan(route), seed=7)
        self.now = 100.0
        self.sent: dict[int, bytes] = {}
        self.closed: list[int] = []
        self.links = [self.engine.open_link(i) for i in range(servers)]
        for link in self.links:
            self.engine.link_connected(link)

    def client(self) -> int:
        return self.engine.open_session()

    def turn(self) -> None:
        while numbers := self.engine.take_dirty():
            for number in numbers:
                self.sent[number] = self.sent.get(number, b"") + self.engine.take_output(number)
                if self.engine.must_close(number):
                    self.closed.append(number)
                    self.engine.close(number, self.now)

    def send(self, client: int, data: bytes) -> None:
        self.engine.receive(client, data, self.now)
        self.turn()

    def reply(self, server: int, data: bytes) -> None:
        self.send(self.links[server], data)

    def got(self, number: int) -> bytes:
        """The bytes that were sent on the connection since the last call."""
        return self.sent.pop(number, b"")

    def asked(self, server: int) -> bytes:
        return self.got(self.links[server])

    def lose(self, server: int) -> None:
        self.engine.close(self.links[server], self.now)
        self.turn()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.engine.next_wakeup():
            self.engine.check(self.now)
        self.turn()


# The class that `network` makes an object of; see the fixture `driver`.
make: type = Network


def network(route: object, servers: int) -> Network:
    """Around whatever drives the engine in this test."""
    made: Network = make(route, servers)
    return made
