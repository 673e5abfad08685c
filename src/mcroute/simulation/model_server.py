"""A memcached without sockets, on the simulator's clocks: it is killed, restarted, set back to a snapshot."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from ..testing.clocks import Clock
from ..testing.memcached import Conversation, Memcached, Peer
from ..testing.profiles import NEWEST, Limits, Profile
from ..testing.store import Store

__all__ = ("ModelServer", "Snapshot")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A process as it was at `taken_at`, by the monotonic clock."""

    store: Store
    pid: int
    taken_at: float


class ModelServer:
    """One memcached, and the processes that follow each other at its address; runs from the start.

    It reads `clock.monotonic()` for uptimes and lifetimes, and `clock.unix()` only when a process starts or
    ends: a jump of the host's date leaves lifetimes as they are, but those that are given as a date are then
    wrong. The same calls at the same times give the same bytes. Raises ValueError for versions before 1.6.18.
    """

    def __init__(
        self, clock: Clock, version: str = NEWEST, limits: Limits | None = None, pid: int = 1
    ) -> None:
        self._clock = clock
        self._profile = Profile.of(version)
        self._limits = limits
        self.is_running: bool = True
        self.process: Memcached = self._start(pid)
        self._stopped_at_unix = 0.0

    def _start(self, pid: int, inherited: Store | None = None, away_s: int = 0) -> Memcached:
        return Memcached(self._clock, self._profile, self._limits, pid, inherited, away_s)

    @property
    def store(self) -> Store:
        """The items and counters of the present process, or of the last one."""
        return self.process.store

    @property
    def pid(self) -> int:
        return self.process.pid

    def accept(self, peer: Peer) -> Conversation:
        """A client's connection from this address. Raises ConnectionRefusedError while no process runs."""
        if not self.is_running:
            raise ConnectionRefusedError(f"no memcached with the pid {self.pid} runs any more")
        return self.process.accept(peer)

    def kill(self) -> None:
        """The process ends, and its conversations with it. Harmless if none runs."""
        if self.is_running:
            self.store.tick()
            self.process.stop()
            self._stopped_at_unix = self._clock.unix()
            self.is_running = False

    def restart(self, *, keeps_items: bool = False, pid: int | None = None) -> bool:
        """Kills if needed, and starts a process with another pid, by default the next number.

        `keeps_items`: with the items of the last process, as memcached after a shutdown under `-e`; its
        uptime and CAS numbers then continue. As in memcached, they are lost if the host's date is not a later
        second than at the end. Returns whether they were kept.
        """
        self.kill()
        away_s = int(self._clock.unix()) - int(self._stopped_at_unix)
        inherited = self.store if keeps_items and away_s > 0 else None
        self.process = self._start(self.pid + 1 if pid is None else pid, inherited, away_s)
        self.is_running = True
        return inherited is not None

    def snapshot(self) -> Snapshot:
        """The process with its items, as a suspended virtual machine has them."""
        self.store.tick()
        return Snapshot(self._copy(self.store), self.pid, self._clock.monotonic())

    def go_back(self, snapshot: Snapshot) -> None:
        """Kills if needed, and continues from a snapshot: its pid, items and uptime, no connections."""
        self.kill()
        self.process = self._start(snapshot.pid)
        self.process.store = self._copy(snapshot.store)
        self.store.resume_after(self._clock.monotonic() - snapshot.taken_at)
        self.is_running = True

    def _copy(self, store: Store) -> Store:
        return copy.deepcopy(store, {id(self._clock): self._clock})
