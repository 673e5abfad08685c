from mcroute._engine.losses import Losses, ServerDesync
from mcroute._engine.snapshots import Snapshot
from mcroute.policy import Limits

class EngineServers:
    """What an `Engine` is besides its plans and connections; by itself it has no servers. Servers are ids."""

    def server_state(self, server: int) -> int:
        """0 in service, 1 ejected (by the engine's trip rule or as it was told), 2 returning."""
    def set_server_state(
        self, server: int, state: int, missed: int | None = None, unless_stale: bool = False
    ) -> None:
        """Puts a server into service (0), or out of it (1 ejected, 2 returning).

        With `missed`, it is put into service if it has missed no more writes than that, else ejected; with
        `unless_stale`, if `is_stale` does not hold. What waits on a server that is ejected fails over.
        """
    def protect(self, server: int, is_protected: bool) -> None:
        """Whether failures in a row leave the server in service; a write that it missed never does."""
    def out(self) -> set[int]:
        """The ids of the servers that are out of service, or would be if they were not kept: a set."""
    def stale(self) -> set[int]:
        """The ids of the servers that may hold old values, see `is_stale`: a set."""
    def is_spared(self, server: int) -> bool:
        """Whether it would be out of service if it were not kept. Until `set_server_state` is called for it."""
    def is_stale(self, server: int) -> bool:
        """Whether it may hold old values: a write did not reach it, while another copy may have taken it.

        Since it was last put into service. A write that timed out says nothing yet.
        """
    def set_limits(self, limits: Limits) -> None:
        """Bounds of its memory and of requests' values from now on, as a `mcroute.policy.Limits`."""
    def set_item_size_max(self, server: int, size: int, flags_size: int = 4) -> None:
        """The server stores values of up to so many bytes, and client flags of `flags_size`.

        Larger values are not read from it. Larger flags are taken from clients if all servers store them.
        """
    def describe(self, server: int, name: str, fault: str = "") -> None:
        """What clients are told of a server in errors: its name, and why it cannot be used, if it cannot.

        Both are cut to 127 and 191 bytes. Without a name nothing is told.
        """
    def losses(self) -> Losses:
        """A `Losses`: what was refused, closed or read past without any server's failing."""
    def take_desyncs(self) -> list[ServerDesync]:
        """A `ServerDesync` for each server of whose links one was out of step since the last time, at most 16."""
    def ejections(self) -> int:
        """How often the engine itself has taken a server out of service; only grows."""
    def troubles(self) -> dict[int, tuple[int, int]]:
        """By server: (replies later than the reply timeout, retries that the budget refused); they only grow."""
    def alarms(self) -> int:
        """Ejections, suppressed ejections and servers found slow; monotonic."""
    def missed_writes(self, server: int) -> int:
        """Writes that this server did not receive while another copy may have; only grows."""
    def counters(self) -> dict[str, int]:
        """What the engine has counted since it was made; counters only grow. A part of `snapshot`."""
    def snapshot(self) -> Snapshot:
        """All that the engine has counted, as a Snapshot with the servers of the installed plan.

        A server's part begins when it gets its id. What the engine answers by itself (version, noop) is counted
        as HIT.
        """
