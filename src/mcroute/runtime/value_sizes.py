"""Asks each server for its largest value after every connection, since the server may have restarted."""

from __future__ import annotations

from ..policy import Server
from .interfaces import FAILURES, Task
from .supervised import Supervised

__all__ = ("ValueSizes",)


class ValueSizes:
    """Sets the item_size_max of each server in the engine, and the size of its client flags."""

    def __init__(self, supervised: Supervised) -> None:
        self._supervised = supervised
        self._asking: dict[int, Task[None]] = {}

    def cancel(self) -> None:
        for task in self._asking.values():
            task.cancel()

    @property
    def tasks(self) -> list[Task[None]]:
        """The running questions, including cancelled ones that have not ended."""
        return list(self._asking.values())

    def ask(self, number: int) -> None:
        supervised = self._supervised
        if supervised.is_closed or number not in supervised.servers or number in self._asking:
            return
        task = supervised.clock.start(self._ask(number, supervised.servers[number]))
        self._asking[number] = task
        task.add_done_callback(lambda _: self._asking.pop(number, None))

    async def _ask(self, number: int, server: Server) -> None:
        clock, control, upkeep = self._supervised.clock, self._supervised.control, self._supervised.upkeep
        for attempt in range(upkeep.item_size_tries):
            await clock.sleep(attempt * upkeep.item_size_retry_s)
            try:
                settings = await clock.within(upkeep.control_timeout_s, control.settings(server))
                size = int(settings[b"item_size_max"])
                flags_size = int(settings.get(b"client_flags_size", b"4"))
            except KeyError:
                # A server without this setting is no memcached; the default counts.
                return
            except FAILURES:
                continue
            if size > 0 and self._supervised.servers.get(number) == server:
                self._supervised.engine.set_item_size_max(number, size, flags_size)
            return
