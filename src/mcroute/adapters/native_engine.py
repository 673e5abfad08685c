"""The engines of the native loop's threads as one: the same plan in all, and one word for each server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .._engine.roster import Roster
from .._engine.snapshots import Snapshot
from .._loop.threads import LoopThread
from .._loop.words import Words
from ..policy import Plan, ServerState

__all__ = ("NativeEngine",)


class NativeEngine:
    """A `CarriedEngine` of several.

    `on_ejection` is to be set; it is called when a server that was put into service is out of it again.
    """

    def __init__(self, threads: Sequence[LoopThread]) -> None:
        self.on_ejection: Callable[[], None]
        self._threads = threads
        self._words = Words()
        self._roster = Roster()
        self._ids: dict[str, int] = {}
        # What the supervisor knows of. A server may have missed more since: the threads go on meanwhile.
        self._known_missed: dict[int, int] = {}

    # ---- plans ----

    def install(self, plan: Plan) -> None:
        """As `Engine.install`, in one thread after the other."""
        terms = self._roster.admit(plan, self._is_free)
        for server in terms:
            if server.is_new:
                self._words.forget(server.id)
                self._known_missed.pop(server.id, None)
        for thread in self._threads:
            thread.adopt(plan, terms, self._words)
        self._ids = {server.name: server.id for server in terms}

    def forget_plans(self) -> int:
        """Frees plans that no request is on any more. Returns how many older ones there still are."""
        return sum(thread.forget_plans() for thread in self._threads)

    def _is_free(self, server: int) -> bool:
        return not self.server_in_use(server) and all(t.is_unlinked(server) for t in self._threads)

    def server_ids(self) -> Mapping[str, int]:
        return dict(self._ids)

    def server_in_use(self, server: int) -> bool:
        return any(thread.server_in_use(server) for thread in self._threads)

    def snapshot(self) -> Snapshot:
        """Of all threads together."""
        return sum((thread.snapshot() for thread in self._threads), Snapshot())

    # ---- servers ----

    def server_state(self, server: int) -> int:
        return self._words.state(server)

    def set_server_state(self, server: int, state: int) -> None:
        """A server that has missed a write which the supervisor does not know of is not put into service."""
        if state != ServerState.UP:
            self._words.put(server, state)
            return
        for thread in self._threads:
            thread.forgive(server)
        if not self._words.trust(server, self._known_missed.get(server, 0)):
            self._words.put(server, ServerState.EJECTED)
            self.missed_writes(server)
            self.on_ejection()

    def missed_writes(self, server: int) -> int:
        missed = self._known_missed[server] = self._words.missed(server)
        return missed
