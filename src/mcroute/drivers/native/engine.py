"""The engines of all native threads as one: one plan, and one word per server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from ..._engine.journals import JournalSaver, ServerJournal
from ..._engine.losses import Losses, ServerDesync
from ..._engine.server_ids import NO_RENAMES, Identity, ServerIds
from ..._engine.snapshots import Snapshot
from ..._loop.shared_state import SharedState
from ..._loop.threads import LoopThread, install_plans
from ...policy import Limits, Plan, ServerState

__all__ = ("NativeEngine",)

log: logging.Logger = logging.getLogger("mcroute")


class NativeEngine:
    """A `RoutedEngine` of several engines."""

    def __init__(self, threads: Sequence[LoopThread], memory: memoryview | None = None) -> None:
        self._threads = threads
        self._shared = SharedState([thread.wake_fd() for thread in threads], memory)
        for number, thread in enumerate(threads, 1):
            thread.share(self._shared, number)
        self._server_ids = ServerIds()
        self._ids: dict[str, int] = {}
        self._admitted: Plan | None = None
        self._admitted_ids: dict[str, int] = {}
        self._are_late = False  # whether some threads lack the installed plan
        self._next_refill = 0

    # ---- plans ----

    def admit(self, plan: Plan, renamed: Mapping[Identity, Identity] = NO_RENAMES) -> Mapping[str, int]:
        """As `Engine.admit`; requests continue meanwhile."""
        self._admitted = None
        servers = self._server_ids.admit(plan, self._is_free, renamed)
        for server in servers:
            if server.is_new:
                self._shared.reset(server.id)
        for thread in self._threads:
            thread.admit(plan, servers)
        self._admitted = plan
        self._admitted_ids = {server.name: server.id for server in servers}
        return dict(self._admitted_ids)

    def install(self, plan: Plan) -> None:
        """As `Engine.install`, in all threads at one moment."""
        if self._admitted is not plan:
            self.admit(plan)
        self._ids = self._admitted_ids
        self._are_late = not install_plans(list(self._threads))
        if self._are_late:
            log.error("a thread still uses the previous configuration")

    def free_plans(self) -> int:
        """Frees plans without requests. Returns the number of older plans that are left.

        Posts the installed plan again to threads that were late for it.
        """
        if self._are_late:
            self._are_late = not install_plans(list(self._threads))
        return self._are_late + sum(self._free_plans(thread) for thread in self._threads)

    def _free_plans(self, thread: LoopThread) -> int:
        try:
            return thread.free_plans()
        except RuntimeError:
            return 1

    def _is_free(self, server: int) -> bool:
        return not self.server_in_use(server) and all(t.is_unlinked(server) for t in self._threads)

    def server_ids(self) -> Mapping[str, int]:
        return dict(self._ids)

    def server_in_use(self, server: int) -> bool:
        """True also if a thread does not answer."""
        try:
            return any(thread.server_in_use(server) for thread in self._threads)
        except RuntimeError:
            return True

    def snapshot(self) -> Snapshot:
        """Sums over all threads."""
        return sum((thread.snapshot() for thread in self._threads), Snapshot())

    # ---- servers ----

    def server_state(self, server: int) -> int:
        return self._shared.state(server)

    def set_server_state(
        self, server: int, state: int, missed: int | None = None, unless_stale: bool = False
    ) -> None:
        """As `Engine.set_server_state`; the threads continue meanwhile, and may count more missed writes."""
        is_put = True
        if unless_stale:
            is_put = self._shared.restore_unless_stale(server)
        elif missed is not None:
            is_put = self._shared.restore(server, missed)
        else:
            self._shared.set_state(server, state)
        if not is_put:
            self._shared.set_state(server, ServerState.EJECTED)
        if state == ServerState.EJECTED:
            # The thread that tripped has failed over its own requests already.
            self._shared.fail_over(server)

    def _tell_each(self, job: Callable[[LoopThread], None]) -> None:
        """Posts a job to each thread; a hanging thread misses only data about its own clients."""
        for thread in self._threads:
            try:
                job(thread)
            except RuntimeError:
                log.exception("a thread did not take a limit")

    def set_limits(self, limits: Limits) -> None:
        """The limits of the process, which the threads share."""
        self._shared.bound_journals(limits)
        share = limits.share(len(self._threads))
        self._tell_each(lambda thread: thread.set_limits(share))

    def set_clients_max(self, clients_max: int) -> None:
        """The sum over all threads."""
        self._shared.set_clients_max(clients_max)

    def clients_held(self) -> int:
        """How often a listener was paused because of the bound on clients."""
        return self._shared.clients_held()

    def losses(self) -> Losses:
        return Losses(*(sum(counts) for counts in zip(*(t.losses() for t in self._threads), strict=True)))

    def take_desyncs(self) -> list[ServerDesync]:
        found: list[ServerDesync] = []
        self._tell_each(lambda thread: found.extend(thread.take_desyncs()))
        return found

    def set_item_size_max(self, server: int, size: int, flags_size: int = 4) -> None:
        self._shared.set_item_size_max(server, size, flags_size)

    def set_hedge_after(self, server: int, seconds: float) -> None:
        self._shared.set_hedge_after(server, seconds)

    def describe(self, server: int, name: str, fault: str = "") -> None:
        self._shared.describe(server, name, fault)

    def protect(self, server: int, is_protected: bool) -> None:
        self._shared.protect(server, is_protected)

    def is_spared(self, server: int) -> bool:
        return self._shared.is_spared(server)

    def is_stale(self, server: int) -> bool:
        return self._shared.is_stale(server)

    def out(self) -> set[int]:
        return self._shared.out()

    def stale(self) -> set[int]:
        return self._shared.stale()

    def retry_now(self, server: int) -> None:
        """Links that wait for their next attempt to the server connect now, in every thread."""
        self._shared.retry_now(server)

    def slowness(self) -> Mapping[int, tuple[int, int]]:
        """As `Engine.slowness`, summed over all threads."""
        total: dict[int, tuple[int, int]] = {}
        for thread in self._threads:
            for server, (late, refused) in thread.slowness().items():
                before = total.get(server, (0, 0))
                total[server] = (before[0] + late, before[1] + refused)
        return total

    def evidence(self) -> Mapping[int, tuple[int, int, Mapping[int, int], int, int]]:
        """As `Engine.evidence`, summed over all threads."""
        total: dict[int, tuple[int, int, Mapping[int, int], int, int]] = {}
        for thread in self._threads:
            for server, own in thread.evidence().items():
                before = total.get(server)
                total[server] = own if before is None else _sum(before, own)
        return total

    def refill(self, keys: list[bytes], source: int, target: int, are_base64: bool = False) -> int:
        """As `Engine.refill`; each call is for the next thread."""
        self._next_refill = (self._next_refill + 1) % len(self._threads)
        return self._threads[self._next_refill].refill(keys, source, target, are_base64)

    def set_wall_offset(self, seconds: float) -> None:
        """As `Engine.set_wall_offset`."""
        self._tell_each(lambda thread: thread.set_wall_offset(seconds))

    def missed_writes(self, server: int) -> int:
        return self._shared.missed(server)

    def set_date(self, ahead: float) -> None:
        """As `Engine.set_date`, for all threads."""
        self._shared.set_date(ahead)

    def save_journals(self, saver: JournalSaver) -> None:
        """As `Engine.save_journals`, for all threads; before they start."""
        self._shared.save_journals(saver)

    def journal(self, server: int) -> ServerJournal:
        return self._shared.journal(server)


def _sum(
    one: tuple[int, int, Mapping[int, int], int, int], other: tuple[int, int, Mapping[int, int], int, int]
) -> tuple[int, int, Mapping[int, int], int, int]:
    replies = dict(one[2])
    for bucket, count in other[2].items():
        replies[bucket] = replies.get(bucket, 0) + count
    return one[0] + other[0], one[1] + other[1], replies, one[3] + other[3], one[4] + other[4]
