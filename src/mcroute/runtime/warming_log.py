"""Announces servers that are warmed, and logs what keeps them from it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from ..policy import Change
from ..policy.warming import Stop
from .announcements import NAMES_LOGGED, Announcements
from .supervised import Supervised

__all__ = ("Filling", "WarmingLog")

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

    def figures(self) -> dict[str, float]:
        """The figures at the end, as events name them."""
        counts = zip(self._fields[2:], self[2:], strict=True)
        return {"warming_s": round(self.seconds, 3), **{f"keys_{name}": count for name, count in counts}}


class WarmingLog:
    """Reports begin, progress and end of each server's filling."""

    def __init__(self, supervised: Supervised, changes: Announcements) -> None:
        self._name = supervised.name
        self._changes = changes
        self._refusing: set[str] = set()

    def begins(self, server: int, twins: Sequence[int], keys_per_s: float) -> None:
        names = ", ".join(map(self._name, twins[:NAMES_LOGGED])) + ", ..." * (len(twins) > NAMES_LOGGED)
        text = f"came back empty: its keys are copied from {names}, {keys_per_s:g} a second at most"
        figures = {"twins": len(twins), "keys_per_s": keys_per_s}
        self._changes.warming(Change.WARMING, server, text, figures)

    def goes_on(self, server: int, filling: Filling) -> None:
        text = "server %s: %d keys copied in %.0f s, %d more are found"
        log.info(text, self._name(server), filling.copied, filling.seconds, filling.ahead)

    def ends(self, server: int, filling: Filling) -> None:
        seconds, _, copied, present, gone, undone, skipped = filling
        text = f"has its keys again: {copied} copied in {seconds:.1f} s, {present} were there already, "
        text += f"{gone} ended, {undone} changed meanwhile, {skipped} were left out"
        self._changes.warming(Change.WARMED, server, text, filling.figures())

    def stops(self, server: int, filling: Filling, why: Stop) -> None:
        text = f"gets no more keys, after {filling.copied} in {filling.seconds:.1f} s: {why.value}"
        self._changes.warming(Change.WARMING_STOPPED, server, text, filling.figures(), why)

    def refuses(self, twin: int, why: Exception) -> None:
        """One line for each server: every dump of it will be refused."""
        name = self._name(twin)
        if name not in self._refusing:
            self._refusing.add(name)
            log.warning("server %s does not list its keys, so none are copied from it: %s", name, why)

    def gives_up(self, server: int, twin: int, why: Exception | str) -> None:
        text = "server %s gets no keys from server %s: %s"
        log.warning(text, self._name(server), self._name(twin), str(why) or type(why).__name__)
