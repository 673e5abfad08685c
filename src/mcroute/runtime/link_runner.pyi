from typing import NamedTuple

from mcroute._engine.engine import Engine
from mcroute.policy import Backoff, ServerOptions
from mcroute.runtime.link_values import LinkEvent, LinkStatus

class LinkOrder(NamedTuple):
    """An order to a driver: close the link's current connection, then connect to `address`."""

    server: int
    link: int
    closes: bool
    address: int

class LinkRunner:
    """Runs the links of `engine`; belongs to the engine's thread.

    `server` is an id, `index` a link's index among the links of its server, `now` is in seconds of the engine's clock.
    After each call the driver carries out `take_orders`, passes `events` to the supervisor, and calls `check` at
    `next_wakeup`. `seed` starts the random generator of the backoff's jitter.
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
        """Keeps `options.links` links to the server, at most 16; links that exist stay.

        `options` are `ServerOptions`, `backoff` is a `Backoff`. `address_count` is the number of the server's
        addresses; -1: they are not known yet, and links wait for the next call. `are_new` says that the addresses
        have changed. Raises IndexError if the engine has no such server, MemoryError.
        """
    def number(self, server: int, index: int) -> int:
        """The number of the link's connections in the engine."""
    def abort_unsettled(self, server: int, now: float) -> None:
        """Closes connected links with unanswered requests; they are connected again."""
    def abort_silent(self, server: int, since: float, now: float) -> None:
        """Closes connected links that owe replies and last received bytes before `since`; they are connected again."""
    def disconnect(self, server: int, now: float) -> None:
        """Closes all links of the server; they stay closed until `connect`."""
    def retry_now(self, server: int, now: float) -> None:
        """Ends the backoff of the server's links: they try to connect now."""
    def close(self, now: float) -> None:
        """Closes all links of all servers."""
    def made(self, server: int, index: int, host: str, port: int, now: float) -> None:
        """Reports that the connection is made. The driver then sends the engine's output for it, the handshake.

        `host` and `port` are our end of the connection. For a unix socket `host` is "unix" and `port` is the id of the
        listening process. An empty host: our end is not known.
        """
    def not_made(self, server: int, index: int, error: int, now: float) -> None:
        """Reports that the attempt to connect has failed, with errno `error`."""
    def received(self, server: int, index: int, now: float) -> None:
        """Reports that the engine has received bytes of the connection, perhaps the reply to the handshake."""
    def ended(self, server: int, index: int, error: int, now: float) -> None:
        """Reports that the connection is lost, with errno `error`; 0: the server has closed it."""
    def check(self, now: float) -> None:
        """Begins attempts to connect that are due, and ends attempts that have timed out."""
    def next_wakeup(self) -> float:
        """The time at which to call `check`, in seconds of the engine's clock; infinity: not before another call."""
    def take_orders(self) -> list[LinkOrder]:
        """Takes the `LinkOrder`s since the last call, one per link, in the order of the links' first orders."""
    def events(self, now: float) -> list[LinkEvent]:
        """Takes a `LinkEvent` for each link that has changed. Links that were held for the supervisor connect again.

        Returns at most EVENTS_MAX events; after so many, call again.
        """
    def links(self, servers: list[int]) -> list[list[LinkStatus]]:
        """A list for each of these servers, with a `LinkStatus` for each of its links."""
