from collections.abc import Mapping, Sequence
from typing import Any

from mcroute._engine.losses import Losses, ServerDesync
from mcroute._engine.roster import Identity
from mcroute._engine.snapshots import Snapshot
from mcroute.policy import Limits
from mcroute.policy.nodes import Plan

class Engine:
    """Routes requests by a plan. Opens no socket and reads no clock: a driver does, and tells.

    `plan` is a `mcroute.policy.nodes.Plan`; `seed` starts the engine's random generator. `now` is in seconds
    of any clock that never goes back. Not for use by several threads at once. The servers' states lie in `memory` if
    there is one, 64 bytes for each id, as far as it reaches.
    """

    def __new__(cls, plan: Plan, *, seed: int = 1, memory: memoryview | None = None) -> Engine: ...
    def admit(self, plan: Plan, renamed: Mapping[Identity, Identity] | None = None) -> dict[str, int]:
        """Makes the plan's servers known, and returns their ids by name; `install` is to follow.

        Until then nothing is asked of a server that joins: it is the time to open its links. A server that stays
        (the same name and address, or `renamed` from a server with other ones) keeps its id, its links and its state;
        one that is new gets an id that no request refers to any more, is in service, and wants as many links as the
        server had that had the id before. `renamed` maps pairs of name and address to those of the installed plan.
        """
    def install(self, plan: Plan) -> None:
        """Requests from now on start on this plan; those in flight finish on the one that they started with.

        A plan that was not admitted is so first.
        """
    def server_ids(self) -> dict[str, int]:
        """The ids of the installed plan's servers, by name."""
    def forget_plans(self) -> int:
        """Frees plans that no request is on any more. Returns how many older ones there still are."""
    def server_in_use(self, server: int) -> bool:
        """Whether the installed plan or a request in flight on an older one refers to this server."""
    def open_session(self) -> int:
        """A client has connected. Returns the number that its connection goes by."""
    def open_link(self, server: int, index: int = 0, script: Sequence[tuple[bytes, bytes]] = ()) -> int:
        """The driver connects to this server. Returns the connection's number; requests may queue.

        A server may have several links, numbered from 0 without gaps; each key has one of them. `script` is the
        handshake: (request, what the reply begins with) pairs of bytes; no request is sent before all of them are
        answered so. Another reply breaks the link, see `greeting`. Raises IndexError for a server or an index that
        cannot be (there are at most 16 links a server), ValueError for a script of more than 4 steps, MemoryError
        with the link closed.
        """
    def add_link(self, server: int, index: int = 0) -> int:
        """The number of the server's link of this index; a new one is closed until `open_link`. IndexError as there."""
    def greeting(self, number: int) -> bytes:
        """What the server answered last in the link's handshake; empty before, and without one."""
    def link_connected(self, number: int) -> None:
        """The connection to the server stands: the handshake is to be sent, and requests when it is answered."""
    def is_ready(self, number: int) -> bool:
        """Whether the link is connected and its handshake answered, so that requests are sent."""
    def close(self, number: int, now: float) -> None:
        """The connection is gone, whoever closed it. A link's number stays for its next connection."""
    def withdraw(self, number: int, now: float) -> None:
        """The link's connection was not made for want of descriptors or memory: no failure of its server."""
    def receive(self, number: int, data: bytes | bytearray | memoryview, now: float) -> int:
        """Takes bytes that arrived on the connection. Returns how many; fewer when the session is paused."""
    def get_buffer(self, number: int) -> memoryview | None:
        """Room for bytes that arrive on the connection: a memoryview, to be filled before any other call.

        None when nothing may be read now: the session is paused, or the connection is to be closed.
        """
    def received(self, number: int, size: int, now: float) -> None:
        """So many bytes are in the room that was lent. Without effect if none was, or to another one since.

        Raises ValueError for more bytes than there was room for.
        """
    def take_output(self, number: int) -> bytes:
        """All bytes that are to be sent on the connection now, taken as sent."""
    def take_pieces(self, number: int, most: int = ...) -> list[bytes | memoryview]:
        """The same for `writelines`: a list of bytes and, where copying costs, memoryviews of the engine's memory.

        With `most`, no further piece once there are so many bytes.
        """
    def is_broken(self, number: int) -> bool:
        """Whether the connection is to be closed at once, whatever has not been sent yet."""
    def take_dirty(self) -> list[int]:
        """The numbers of the connections that have something to send or are to be closed, each once."""
    def must_close(self, number: int) -> bool:
        """Whether the driver is to close the connection: at once, or because all of it has been sent."""
    def submit(self, request: bytes, now: float) -> int:
        """Begins a request of this process itself, without a session. Returns its number for `take_results`.

        `request` is one whole request with its data block, classic or meta. Raises ValueError, with
        memcached's words, for anything else, and for what is not routed by a key or wants no reply (version,
        stats, noreply, quiet modes); OverflowError when 65536 are in flight.
        """
    def forget(self, number: int) -> None:
        """Nobody waits for this request any more; it runs on, and has no result. KeyError if it had one."""
    def take_results(self) -> list[tuple[int, int, Any]]:
        """What came of submitted requests since the last time: a list of (number, outcome, result).

        `outcome` is a `mcroute.policy.nodes.Outcome`. The result of get, gets, gat and gats is a list of
        (key, flags, cas or None, value), of incr and decr an int, of all others, and of what failed, the
        reply without its last line end.
        """
    def take_handed(self) -> list[tuple[int, bytes]]:
        """Requests that the driver is to answer with `answer`: a list of (number, command line without its end).

        That is `stats`, whose answer is about the process as much as about the engine.
        """
    def answer(self, number: int, reply: bytes) -> None:
        """The reply to a request from `take_handed`, with its line ends. KeyError if it was answered."""
    def end_input(self, number: int) -> None:
        """The client sends no more: the session is to be closed when all that came is answered.

        Without effect while the session is paused; to be said again at the next turn.
        """
    def unanswered(self, number: int) -> int:
        """How many requests on the link have no reply yet, whether anybody waits for it or not."""
    def silent_since(self, number: int) -> float:
        """When the link was last heard, or the oldest request sent that it owes a reply; infinity if it owes none."""
    def unanswered_writes(self, number: int) -> int:
        """How many of these change something: the server may execute them yet, also after the link is lost."""
    def next_wakeup(self) -> float:
        """When `check` is due next, in the driver's seconds; infinity if nothing is in flight."""
    def check(self, now: float) -> None:
        """Ends what is overdue."""
    def server_state(self, server: int) -> int:
        """0 in service, 1 ejected (by the engine's trip rule or as it was told), 2 returning."""
    def set_server_state(
        self, server: int, state: int, missed: int | None = None, unless_stale: bool = False
    ) -> None:
        """Puts a server into service (0), or out of it (1 ejected, 2 returning).

        With `missed`, it is put into service if it has missed no more writes than that, else ejected; with
        `unless_stale`, if `is_stale` does not hold. What waits on a server that is ejected fails over.
        """
    def keep(self, server: int, is_kept: bool) -> None:
        """Whether failures in a row leave the server in service; a write that it missed never does."""
    def is_spared(self, server: int) -> bool:
        """Whether it would be out of service if it were not kept. Until `set_server_state` is called for it."""
    def is_stale(self, server: int) -> bool:
        """Whether it may hold old values: a write did not reach it, while another copy may have taken it.

        Since it was last put into service. A write that timed out says nothing yet.
        """
    def out(self) -> set[int]:
        """The ids of the servers that are out of service, or would be if they were not kept: a set."""
    def stale(self) -> set[int]:
        """The ids of the servers that may hold old values, see `is_stale`: a set."""
    def set_limits(self, limits: Limits) -> None:
        """Bounds of its memory and of requests' values from now on, as a `mcroute.policy.Limits`."""
    def set_item_size_max(self, server: int, size: int) -> None:
        """The server stores values of up to so many bytes: larger ones are not read from it."""
    def losses(self) -> Losses:
        """A `Losses`: what was refused, closed or read past without any server's failing."""
    def take_desyncs(self) -> list[ServerDesync]:
        """A `ServerDesync` for each server of whose links one was out of step since the last time, at most 16."""
    def ejections(self) -> int:
        """How often the engine itself has taken a server out of service; only grows."""
    def troubles(self) -> dict[int, tuple[int, int]]:
        """By server: (replies later than the reply timeout, retries that the budget refused); they only grow."""
    def alarms(self) -> int:
        """How often it has done that, has spared a server, or has found one slow; only grows."""
    def missed_writes(self, server: int) -> int:
        """Writes that this server did not receive while another copy may have; only grows."""
    def counters(self) -> dict[str, int]:
        """What the engine has counted since it was made; counters only grow. A part of `snapshot`."""
    def snapshot(self) -> Snapshot:
        """All that the engine has counted, as a Snapshot with the servers of the installed plan.

        A server's part begins when it gets its id. What the engine answers by itself (version, noop) is counted
        as HIT.
        """
