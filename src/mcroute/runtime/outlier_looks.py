"""Reads the engine's counters at an interval, and reports outliers, and servers whose hits have fallen."""

from __future__ import annotations

from collections.abc import Callable

from .._engine.histograms import BOUNDS
from ..policy import Counts, HitsFell, HitShares, Outlier, Outliers
from .interfaces import Timer
from .supervised import Supervised

__all__ = ("OutlierLooks",)


class OutlierLooks:
    """Looks at all servers each `Upkeep.outliers_look_s` until it is cancelled.

    `found` gets each outlier, `fell` each server with fewer hits than before.
    """

    def __init__(
        self, supervised: Supervised, found: Callable[[Outlier], None], fell: Callable[[HitsFell], None]
    ) -> None:
        self._supervised = supervised
        self._found = found
        self._fell = fell
        self._hit_shares = HitShares()
        self._outliers = Outliers(BOUNDS)
        self._timer: Timer | None = None
        self._arm()

    def reset(self, number: int) -> None:
        """The id is another server's from now on."""
        self._outliers.reset(number)
        self._hit_shares.reset(number)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        supervised = self._supervised
        self._timer = supervised.clock.call_later(supervised.upkeep.outliers_look_s, self._look_now)

    def _look_now(self) -> None:
        self._arm()
        self.look()

    def look(self) -> None:
        """Judges all servers by the present counters."""
        supervised, supervisor = self._supervised, self._supervised.supervisor
        now = supervised.clock.now()
        evidence = supervised.engine.evidence()
        counts = {server: Counts(*evidence[server]) for server in evidence if server in supervised.servers}
        members, serving = supervisor.members, supervisor.serving
        outliers = self._outliers.look(counts, members, serving, now, supervisor.settings.outliers)
        for fallen in self._hit_shares.look(counts, members, serving, now):
            self._fell(fallen)
        for outlier in outliers:
            self._found(outlier)
