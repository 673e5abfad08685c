from collections.abc import Mapping

from mcroute._engine.journals import JournalSaver, ServerJournal
from mcroute._engine.losses import Losses, ServerDesync
from mcroute._engine.server_ids import Identity
from mcroute._engine.snapshots import Snapshot
from mcroute.policy import Limits
from mcroute.policy.nodes import Plan

class EngineServers:
    """The plans, servers, bounds and counters of an `Engine`. Servers are given by their ids."""

    def admit(self, plan: Plan, renamed: Mapping[Identity, Identity] | None = None) -> dict[str, int]:
        """Makes the plan's servers known, and returns their ids by name; call `install` afterwards.

        Until then a new server gets no request: this is the time to open its links. A server that stays (the same name
        and address, or `renamed` from a server with other ones) keeps its id, its links and its state. A new server is
        in service. It may reuse an id that no request refers to any more; then it wants as many links as the id's
        previous server had. `renamed` maps pairs of name and address to those of the installed plan.
        """
    def install(self, plan: Plan) -> None:
        """Starts new requests on this plan; requests in flight finish on the plan that they started with.

        Admits the plan first if `admit` was not called for it.
        """
    def server_ids(self) -> dict[str, int]:
        """The ids of the installed plan's servers, by name."""
    def free_plans(self) -> int:
        """Frees plans that no request uses any more. Returns the number of older plans that remain."""
    def server_in_use(self, server: int) -> bool:
        """Whether the installed plan or a request in flight on an older one refers to this server."""
    def server_state(self, server: int) -> int:
        """0 in service, 1 ejected (by the engine, or by `set_server_state`), 2 returning."""
    def set_server_state(
        self, server: int, state: int, missed: int | None = None, unless_stale: bool = False
    ) -> None:
        """Sets a server's state: 0 in service, 1 ejected, 2 returning.

        With `missed`, restores it if it has missed exactly that number of writes, else ejects it; with `unless_stale`,
        restores it unless it `is_stale`, else ejects it. With state 1, requests that wait on the server fail over.
        """
    def protect(self, server: int, is_protected: bool) -> None:
        """Sets whether failures in a row do not eject the server; a missed write ejects it in any case."""
    def out(self) -> set[int]:
        """The ids of the servers that are out of service, or spared: a set."""
    def stale(self) -> set[int]:
        """The ids of the servers that may hold old values, see `is_stale`: a set."""
    def is_spared(self, server: int) -> bool:
        """Whether protection has prevented the server's ejection since the last `set_server_state` for it."""
    def is_stale(self, server: int) -> bool:
        """Whether the server may hold old values: a write did not reach it, while another copy may have taken it.

        Only writes since the server was last restored count. A write that timed out is not missed yet.
        """
    def set_limits(self, limits: Limits) -> None:
        """Sets the bounds of memory and of requests' values, by a `mcroute.policy.Limits`."""
    def set_date(self, ahead: float) -> None:
        """`ahead`: seconds since 1970, less the time of the engine's clock. Shortens lifetimes that are dates."""
    def set_item_size_max(self, server: int, size: int, flags_size: int = 4) -> None:
        """The server has reported that it stores values of up to `size` bytes, and client flags of `flags_size` bytes.

        Larger values from it are skipped. Clients may send flags of 64 bits if all servers store them.
        """
    def set_hedge_after(self, server: int, seconds: float) -> None:
        """Sets how long a read waits for this server before the next copy is asked too; 0: it is not hedged.

        Only reads whose plan hedges, see `nodes.First`.
        """
    def describe(self, server: int, name: str, fault: str = "") -> None:
        """Sets the server's description in error lines: its name, and the reason why it cannot be used, if any.

        The name is cut to 127 bytes, the reason to 191. With an empty name, error lines do not mention the server.
        """
    def refill(self, keys: list[bytes], source: int, target: int, are_base64: bool = False) -> int:
        """Begins to copy keys from the server `source` to the server `target`. Call the driver's `schedule` afterwards.

        Returns how many, from the front, the queue had room for. Each is copied with its flags and its remaining
        lifetime if the source has it, the target does not, and no write of the key is under way.
        """
    def set_wall_offset(self, seconds: float) -> None:
        """Sets the difference between the time since 1970 and the time that the driver gives, in seconds."""
    def losses(self) -> Losses:
        """A `Losses`: counts of refusals, closed sessions, skipped values and desyncs."""
    def take_desyncs(self) -> list[ServerDesync]:
        """A list of `ServerDesync`: one for each server with desyncs since the last call, at most 16."""
    def ejections(self) -> int:
        """Number of ejections by the engine itself; only grows."""
    def slowness(self) -> dict[int, tuple[int, int]]:
        """By server id: (replies later than the reply timeout, retries that the budget refused); both only grow."""
    def evidence(self) -> dict[int, tuple[int, int, dict[int, int], int, int]]:
        """By server id: (asks lost or timed out, requests lost with their connection, replies, hits, misses).

        Replies are counted by the bucket of their duration, see `histograms.BOUNDS`. All only grow; servers without
        any are missing.
        """
    def alarms(self) -> int:
        """Ejections, suppressed ejections and servers found slow; monotonic."""
    def journal(self, server: int) -> ServerJournal:
        """The `ServerJournal` of the server: the keys of these writes. It stays the same for as long as the engine."""
    def missed_writes(self, server: int) -> int:
        """Number of writes that the server has missed, see `is_stale`; only grows."""
    def save_journals(self, saver: JournalSaver) -> None:
        """Saves journals with it from now on. Call it once, before the first request."""
    def counters(self) -> dict[str, int]:
        """The engine's counters since it was made, by name; a part of `snapshot`."""
    def snapshot(self) -> Snapshot:
        """All counters of the engine, as a Snapshot with the servers of the installed plan.

        A server's part begins when it gets its id. Requests that the engine answers by itself (version, noop) count
        as HIT.
        """
