"""The state that the parts of the supervision share: an engine, and the links of its servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from ..policy import Decision, Server, Supervisor, Upkeep
from .interfaces import Clock, Control, Links, SupervisedEngine

__all__ = ("Supervised",)


@dataclass
class Supervised:
    """The engine, its servers and links by id, the supervisor, and what carries its decisions out."""

    supervisor: Supervisor
    engine: SupervisedEngine
    links: Mapping[int, Links]
    servers: dict[int, Server]
    clock: Clock
    control: Control
    upkeep: Upkeep
    rng: Random
    carry_out: Callable[[Sequence[Decision]], None]
    process_changed: Callable[[], None]
    is_closed: bool = False  # later reports are ignored

    def name(self, server: int) -> str:
        return self.servers[server].name

    def report_missed(self, server: int) -> None:
        """Tells the supervisor how many writes the server has missed, and whether all keys are known."""
        # In this order: keys are noted before their writes are counted.
        missed = self.engine.missed_writes(server)
        is_named = not self.engine.journal(server).is_overflowed
        self.supervisor.missed_writes(server, missed, self.clock.now(), is_named=is_named)

    def abort_silent_links(self, server: int, asked_at: float) -> None:
        """Closes links that were silent for too long when a new connection got an answer.

        A firewall that lost their state discards their packets, and no reset arrives.
        """
        options = self.supervisor.plan.server_options.get(self.name(server))
        if server in self.links and options is not None:
            self.links[server].abort_silent(asked_at - options.reply_timeout_s)
