"""What is supervised: an engine, and the links of its servers; what the parts of supervision share of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from random import Random
from typing import Protocol

from ..policy import Decision, Server, ServerOptions, Supervisor, Upkeep
from ..policy.places import Endpoint
from .interfaces import Clock, Control, LinksReport

__all__ = (
    "Links",
    "Supervised",
    "SupervisedEngine",
)


class SupervisedEngine(Protocol):
    """What the supervisor sees of an engine, or of several that act as one; servers are ids."""

    def server_state(self, server: int) -> int: ...

    def set_server_state(
        self, server: int, state: int, missed: int | None = None, unless_stale: bool = False
    ) -> None: ...

    def keep(self, server: int, is_kept: bool) -> None:
        """Whether failures leave the server in service."""

    def is_spared(self, server: int) -> bool:
        """Whether they have done so since its state was set."""

    def out(self) -> Set[int]:
        """Servers that are out of service, and those that are spared."""

    def stale(self) -> Set[int]:
        """Servers that have missed a write for good since they were put into service."""

    def missed_writes(self, server: int) -> int: ...

    def troubles(self) -> Mapping[int, tuple[int, int]]:
        """By server: late replies, and retries that the budget refused. They only grow."""

    def set_item_size_max(self, server: int, size: int, flags_size: int = 4) -> None:
        """The server stores values of up to `size` bytes, with client flags of `flags_size`."""

    def describe(self, server: int, name: str, fault: str = "") -> None:
        """What clients are told of the server in errors: its name, and why it cannot be used, if so."""


class Links(Protocol):
    """All links to one server as one thing: each key has one of them, so it takes all of them to serve."""

    server: Server

    def __len__(self) -> int: ...

    def look(self) -> LinksReport:
        """How all of them are, at one moment; costs as much as any of its parts."""

    @property
    def connected(self) -> int:
        """How many of them are."""

    @property
    def are_connected(self) -> bool:
        """All of them."""

    @property
    def unanswered(self) -> int:
        """Requests on all of them that have no reply yet."""

    @property
    def version(self) -> str:
        """What the server calls itself; empty before it has said so."""

    @property
    def addresses(self) -> frozenset[str]:
        """Our ends of those that are connected, as `Control` spells them."""

    def set_options(self, options: ServerOptions) -> None:
        """For connections that will be made; the links stay as many as they are."""

    def set_server(self, server: Server, addresses: Sequence[Endpoint]) -> None:
        """The same server under another name or address: for connections that will be made."""

    async def tried(self) -> None:
        """Returns when the first attempt to connect each of them is over."""

    def hurry(self) -> None:
        """Those that wait for their next attempt to connect make it now."""

    async def settled(self) -> None:
        """Hurries them. Returns when all are connected at the same time, and every request is answered."""

    def abort_silent(self, since: float) -> None:
        """Closes those that owe replies and were last heard before then (the clock's `now`)."""

    def abort_unsettled(self) -> None:
        """Closes those with unanswered requests; they are connected again."""

    def disconnect(self) -> None:
        """Closes all of them, until they are connected to another address."""

    def leave(self) -> None:
        """Closes all of them, for good."""

    async def gone(self) -> None:
        """Returns when their connections have ended, and everything about them was told."""


@dataclass
class Supervised:
    """The engine, its servers and their links by id, and the supervisor whose decisions are carried out."""

    supervisor: Supervisor
    engine: SupervisedEngine
    links: Mapping[int, Links]
    servers: dict[int, Server]
    clock: Clock
    control: Control
    upkeep: Upkeep
    rng: Random
    carry_out: Callable[[Sequence[Decision]], None]
    is_closed: bool = False  # what is reported from now on is ignored

    def name(self, server: int) -> str:
        return self.servers[server].name

    def drop_silent_links(self, server: int, asked_at: float) -> None:
        """A new connection was answered: links that had been silent for too long by then lead nowhere.

        A firewall that has forgotten them drops their packets, and nobody resets them.
        """
        options = self.supervisor.plan.server_options.get(self.name(server))
        if server in self.links and options is not None:
            self.links[server].abort_silent(asked_at - options.reply_timeout_s)
