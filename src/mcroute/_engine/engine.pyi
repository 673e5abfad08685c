from collections.abc import Mapping, Sequence
from typing import Any

from mcroute._engine.server_ids import Identity
from mcroute._engine.servers import EngineServers
from mcroute.policy.nodes import Plan

class Engine(EngineServers):
    """Routes requests by a plan. Opens no socket and reads no clock: a driver does, and tells.

    `plan` is a `mcroute.policy.nodes.Plan`; `seed` starts the engine's random generator. `now` is in seconds
    of any clock that never goes back. For one thread: of others, a call waits for the one under way, but two must not
    admit or install plans at once, and a route's steps() must not call it: RuntimeError. The servers' states lie in
    `memory` if there is one, 64 bytes for each id, as far as it reaches.

    Connections and servers are numbers. That of a closed session raises KeyError, that of no server IndexError.
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
        """The connection to the server stands: the handshake is to be sent, and requests when it is answered.

        ValueError for the number of a session.
        """
    def is_ready(self, number: int) -> bool:
        """Whether the link is connected and its handshake answered, so that requests are sent."""
    def close(self, number: int, now: float) -> None:
        """The connection is gone, whoever closed it. A link's number stays for its next connection."""
    def withdraw(self, number: int, now: float) -> None:
        """The link's connection was not made for want of descriptors or memory: no failure of its server."""
    def receive(self, number: int, data: bytes | bytearray | memoryview, now: float) -> bool:
        """Takes bytes that arrived on the connection. Returns `may_read`: whether the driver is to read on.

        What comes for a paused session is held until the session goes on. BufferError, with nothing of `data` taken,
        when more than 256 KiB would be held: the driver has gone on reading.
        """
    def may_read(self, number: int) -> bool:
        """Whether the driver is to read from the connection now; to be asked after `receive` and `take_output`.

        Not while the session is paused, after `end_input`, or when the connection is to be closed at once.
        """
    def get_buffer(self, number: int) -> memoryview | None:
        """Room for bytes that arrive on the connection: a memoryview, to be filled before any other call.

        None when nothing may be read now: see `may_read`.
        """
    def received(self, number: int, size: int, now: float) -> None:
        """So many bytes are in the room that was lent. Without effect if the connection is to be closed at once.

        Raises BufferError if no room is lent to it, or to another connection since; ValueError for more bytes than
        there was room for.
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
    def culprits_of_results(self) -> dict[int, int]:
        """Of the last `take_results`: the server that each failed request failed at, by the request's number.

        Requests that no server has failed, such as those refused before one was asked, are not there.
        """
    def take_deferred(self) -> list[tuple[int, bytes]]:
        """Requests that the driver is to answer with `answer`: a list of (number, command line without its end).

        That is `stats`, whose answer is about the process as much as about the engine.
        """
    def answer(self, number: int, reply: bytes) -> None:
        """The reply to a request from `take_deferred`, with its line ends. KeyError if it was answered."""
    def end_input(self, number: int) -> None:
        """The client sends no more: the session is to be closed when all that came is answered."""
    def unanswered(self, number: int) -> int:
        """How many requests on the link have no reply yet, whether anybody waits for it or not."""
    def silent_since(self, number: int) -> float:
        """When the link was last heard, or the oldest request sent that it owes a reply; infinity if it owes none."""
    def unanswered_writes(self, number: int) -> int:
        """How many of these change something: the server may execute them yet, also after the link is lost."""
    def next_wakeup(self) -> float:
        """When `check` is due next, in the driver's seconds; infinity if nothing is in flight.

        A time that has passed already while there is something for `take_dirty`.
        """
    def check(self, now: float) -> None:
        """Ends what is overdue."""
