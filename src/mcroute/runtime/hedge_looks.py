"""Reads the engine's counters at an interval, and sets when reads are hedged."""

from __future__ import annotations

from .._engine.histograms import BOUNDS
from ..policy import HedgedPool, HedgeTimes
from .interfaces import Timer
from .supervised import Supervised

__all__ = ("HedgeLooks",)


class HedgeLooks:
    """Looks at pools with `hedge_after_s` each `Upkeep.hedges_look_s` until it is cancelled."""

    def __init__(self, supervised: Supervised) -> None:
        self._supervised = supervised
        self._times = HedgeTimes(BOUNDS)
        self._timer: Timer | None = None
        self._arm()

    def reset(self, number: int) -> None:
        """The id is another server's from now on."""
        self._times.reset(number)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        supervised = self._supervised
        self._timer = supervised.clock.call_later(supervised.upkeep.hedges_look_s, self._look_now)

    def _look_now(self) -> None:
        self._arm()
        self.look()

    def look(self) -> None:
        """Sets the times by the present counters."""
        engine = self._supervised.engine
        ids = {server.name: number for number, server in self._supervised.servers.items()}
        pools = [
            HedgedPool(pool, [ids[server.name] for server in pool.servers])
            for pool in self._supervised.supervisor.plan.named_pools
            if pool.hedge_after_s
        ]
        evidence = engine.evidence() if pools else {}
        replies = {number: evidence[number][2] for number in ids.values() if number in evidence}
        for number, seconds in self._times.look(replies, pools).items():
            engine.set_hedge_after(number, seconds)
