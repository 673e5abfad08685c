from typing import NamedTuple

from mcroute._engine.engine import Engine
from mcroute.policy import Backoff, ServerOptions
from mcroute.runtime.link_values import LinkEvent, LinkStatus

class LinkOrder(NamedTuple):
    """What a driver is to do for a link: close the connection of before, then connect to `address`."""

    server: int
    link: int
    closes: bool
    address: int

class LinkRunner:
    """Runs the links of `engine`; belongs to one thread, the engine's.

    Servers are ids, links have an index among those of their server, `now` is in seconds of the engine's clock. After
    each call the driver carries out `take_orders`, tells the supervisor of `events`, and calls `check` at
    `next_wakeup`. `seed` is for the jitter of attempts.
    """

    def __new__(cls, engine: Engine, seed: int = 1) -> LinkRunner: ...
    def connect(
        self,
        server: int,
        options: ServerOptions,
        backoff: Backoff,
        address_count: int,
        now: float,
        are_new: bool = False,
    ) -> None:
        """Keeps `options.links` links to the server, at most 16; those that there are stay.

        `options` are a `ServerOptions`, `backoff` is a `Backoff`. The server has so many addresses, `are_new` if they
        are not those of before; -1: they are not known yet, and links wait for the next call. Raises IndexError if
        the engine has no such server, MemoryError.
        """
    def number(self, server: int, index: int) -> int:
        """The number that the link's connections go by in the engine."""
    def settle(self, server: int, now: float) -> None:
        """Closes connected links with unanswered requests; they are connected again."""
    def drop_silent(self, server: int, since: float, now: float) -> None:
        """Closes connected links that owe replies and were last heard before `since`; they are connected again."""
    def leave(self, server: int, now: float) -> None:
        """Closes all links of the server; they stay closed until `connect`."""
    def hurry(self, server: int, now: float) -> None:
        """Links that wait for their next attempt to connect make it now, as if the server had not failed."""
    def close(self, now: float) -> None:
        """Closes all links of all servers."""
    def made(self, server: int, index: int, host: str, port: int, now: float) -> None:
        """The connection is made, and this is our end of it; the engine's output for it is to be sent.

        Of a unix socket `host` is "unix" and `port` the process that listens; an empty host is not known.
        """
    def not_made(self, server: int, index: int, error: int, now: float) -> None:
        """The attempt to connect has failed, by this errno."""
    def received(self, server: int, index: int, now: float) -> None:
        """The engine has taken in bytes of the connection: the handshake may be answered."""
    def ended(self, server: int, index: int, error: int, now: float) -> None:
        """The connection is gone, by this errno; 0 if the server has closed it."""
    def check(self, now: float) -> None:
        """Begins attempts that are due, ends those that take too long."""
    def next_wakeup(self) -> float:
        """When `check` is to be called; infinity: not before something happens."""
    def take_orders(self) -> list[LinkOrder]:
        """A `LinkOrder` for each link whose connection is to be closed or begun, in the order of their coming."""
    def events(self, now: float) -> list[LinkEvent]:
        """A `LinkEvent` for each link to which something has happened. Links that were held because of it go on.

        At most EVENTS_MAX: if there are so many there may be more.
        """
    def links(self, servers: list[int]) -> list[list[LinkStatus]]:
        """For each of these servers a list with a `LinkStatus` for each of its links."""
