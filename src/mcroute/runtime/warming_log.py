"""Log lines about servers that are warmed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..policy.warming import Stop

__all__ = ("Filling", "WarmingLog")

NAMES_LOGGED = 5

log: logging.Logger = logging.getLogger("mcroute")


class Filling(NamedTuple):
    """The figures of one server that is filled: those of its time, whoever had keys copied there."""

    seconds: float
    ahead: int  # keys that are found, and not begun yet
    copied: int
    present: int  # the server had them
    gone: int  # the twin had them no more
    undone: int  # copied, and deleted again: they were written meanwhile
    skipped: int


class WarmingLog:
    """Writes lines about begin, progress and end. `name_of` returns the name of a server's id."""

    def __init__(self, name_of: Callable[[int], str]) -> None:
        self._name = name_of
        self._refusing: set[str] = set()

    def begins(self, server: int, twins: Sequence[int], keys_per_s: float) -> None:
        names = ", ".join(map(self._name, twins[:NAMES_LOGGED])) + ", ..." * (len(twins) > NAMES_LOGGED)
        text = "server %s came back empty: its keys are copied from %s, %g a second at most"
        log.info(text, self._name(server), names, keys_per_s)

    def goes_on(self, server: int, filling: Filling) -> None:
        text = "server %s: %d keys copied in %.0f s, %d more are found"
        log.info(text, self._name(server), filling.copied, filling.seconds, filling.ahead)

    def ends(self, server: int, filling: Filling) -> None:
        text = (
            "server %s has its keys again: %d copied in %.1f s, %d were there already, %d ended, %d changed "
        )
        text += "meanwhile, %d were left out"
        seconds, _, copied, *others = filling
        log.info(text, self._name(server), copied, seconds, *others)

    def stops(self, server: int, filling: Filling, why: Stop) -> None:
        text = "server %s gets no more keys, after %d in %.1f s: %s"
        log.warning(text, self._name(server), filling.copied, filling.seconds, why.value)

    def refuses(self, twin: int, why: Exception) -> None:
        """One line for each server: every dump of it will be refused."""
        name = self._name(twin)
        if name not in self._refusing:
            self._refusing.add(name)
            log.warning("server %s does not list its keys, so none are copied from it: %s", name, why)

    def gives_up(self, server: int, twin: int, why: Exception | str) -> None:
        text = "server %s gets no keys from server %s: %s"
        log.warning(text, self._name(server), self._name(twin), str(why) or type(why).__name__)
