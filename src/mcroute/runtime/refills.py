"""Copies of keys from server to server, which the engine carries out."""

from __future__ import annotations

from collections.abc import Mapping

from .interfaces import Driver

__all__ = ("Refills",)


class Refills:
    """The copies of a driver's engine. Servers are ids."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def begin(self, keys: list[bytes], source: int, target: int, are_base64: bool) -> int:
        """Begins to copy keys. Returns how many of them, from the front: as many as there is room for."""
        count = self._driver.engine.refill(keys, source, target, are_base64)
        self._driver.schedule()
        return count

    def open(self) -> int:
        """Returns the number of copies that are not over yet."""
        return self._driver.engine.snapshot().counters["refills_open"]

    def counts(self, server: str) -> Mapping[str, int]:
        """Returns the counters of copies to the server of this name."""
        return self._driver.engine.snapshot().servers[server].counters
