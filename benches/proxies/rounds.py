"""A run: every peer under every workload, several times, in rotating order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from .cell import Cell, Memcacheds, Settings, measure, memcacheds
from .peers import Peer
from .processes import Failed
from .workloads import Workload

__all__ = ("Plan",)

Report = Callable[[Workload, Peer, "Cell | str"], None]


@dataclass(frozen=True)
class Plan:
    """The cells of a run, and when a cell is measured again.

    The peers of one row follow each other closely, and each round begins with another peer, so that
    disturbances affect all peers alike. A cell in which other programs used more than `quiet_cores` of
    the measured cores is measured again, at most `retries` times, and the quietest one is kept.
    """

    peers: Sequence[Peer]
    workloads: Sequence[Workload]
    rounds: int
    quiet_cores: float = 0.25
    retries: int = 2

    @property
    def cells(self) -> int:
        return self.rounds * len(self.peers) * len(self.workloads)

    def run(self, settings: Settings, done: Report) -> None:
        """Passes each cell to `done`, or the reason why there is none."""
        numbers = count()
        for turn in range(self.rounds):
            first = turn % len(self.peers)
            peers = [*self.peers[first:], *self.peers[:first]]
            with memcacheds(settings) as servers:
                for workload, peer in ((w, p) for w in self.workloads for p in peers):
                    try:
                        cell = self._quietest(peer, workload, numbers, servers, settings)
                    except Failed as failed:
                        done(workload, peer, str(failed))
                    else:
                        identity = {"peer": peer.name, "workload": workload.letter, "round": turn}
                        done(workload, peer, identity | cell)

    def _quietest(
        self, peer: Peer, workload: Workload, numbers: Iterator[int], servers: Memcacheds, settings: Settings
    ) -> Cell:
        tried: list[Cell] = []
        while not tried or (tried[-1]["others_cores"] > self.quiet_cores and len(tried) <= self.retries):
            tried.append(measure(peer, workload, next(numbers), servers, settings))
        return min(tried, key=lambda cell: float(cell["others_cores"]))
