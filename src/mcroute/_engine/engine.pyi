from collections.abc import Sequence
from typing import Any

from mcroute._engine.servers import EngineServers
from mcroute.policy.nodes import Plan

class Engine(EngineServers):
    """Routes requests by a plan. Opens no socket and reads no clock: a driver does.

    `plan` is a `mcroute.policy.nodes.Plan`; `seed` starts the engine's random generator. `now` is in seconds
    of any clock that never goes back. The state words of servers lie in `memory` if it is given, 64 bytes for each id,
    as far as it reaches. One thread should call the engine: a call from another thread waits for the call under way.
    Raises RuntimeError if two threads admit or install plans at once, or a route's steps() calls the engine.

    Connections and servers are numbers. The number of a closed session raises KeyError, an unknown server IndexError.
    """

    def __new__(cls, plan: Plan, *, seed: int = 1, memory: memoryview | None = None) -> Engine: ...
    def open_session(self) -> int:
        """Opens a session for a client that has connected. Returns the connection's number."""
    def open_link(self, server: int, index: int = 0, script: Sequence[tuple[bytes, bytes]] = ()) -> int:
        """The driver begins to connect to this server. Returns the connection's number; requests may queue.

        A server may have several links, numbered from 0 without gaps; each key has one of them. `script` is the
        handshake: pairs of bytes, the request and a prefix of its reply; requests wait until each reply has come with
        its prefix. Another reply breaks the link, see `greeting`. Raises IndexError for an unknown server, a gap before
        `index` or more than 16 links a server, ValueError for a script of more than 4 steps, MemoryError with the link
        closed.
        """
    def add_link(self, server: int, index: int = 0) -> int:
        """Returns the number of the server's link `index`; a new link is closed until `open_link`. Raises as there."""
    def greeting(self, number: int) -> bytes:
        """The server's last reply in the link's handshake; empty before the first reply, or without a handshake."""
    def link_connected(self, number: int) -> None:
        """The connection to the server is established: the handshake is to be sent, and after its replies requests.

        ValueError for the number of a session.
        """
    def is_ready(self, number: int) -> bool:
        """Whether the link is connected and its handshake answered, so that requests are sent."""
    def close(self, number: int, now: float) -> None:
        """The connection is closed, by either side. A link keeps its number for its next connection."""
    def withdraw(self, number: int, now: float) -> None:
        """The driver could not connect the link for want of descriptors or memory: no failure of the server."""
    def receive(self, number: int, data: bytes | bytearray | memoryview, now: float) -> bool:
        """Takes bytes that arrived on the connection. Returns `may_read`: whether the driver is to read on.

        Bytes for a paused session are held until the session goes on. Raises BufferError, and takes nothing of `data`,
        if more than 256 KiB would be held: the driver has read on although `may_read` was false.
        """
    def may_read(self, number: int) -> bool:
        """Whether the driver is to read from the connection now; ask after `receive` and `take_output`.

        False while the session is paused, after `end_input`, and when the connection is to be closed at once.
        """
    def get_buffer(self, number: int) -> memoryview | None:
        """A memoryview to read bytes of the connection into, before any other call; then call `received`.

        None if the driver is not to read now, see `may_read`.
        """
    def received(self, number: int, size: int, now: float) -> None:
        """Takes `size` bytes from the buffer of `get_buffer`. No effect if the connection is to be closed at once.

        Raises BufferError if the last `get_buffer` was not for this connection; ValueError for more bytes than the
        buffer has.
        """
    def take_output(self, number: int) -> bytes:
        """Returns all bytes to be sent on the connection now, and counts them as sent."""
    def take_pieces(self, number: int, most: int = ...) -> list[bytes | memoryview]:
        """As `take_output`, for `writelines`: a list of bytes and, for large pieces, memoryviews of engine memory.

        Stops after the piece with which the list has `most` bytes or more.
        """
    def is_broken(self, number: int) -> bool:
        """Whether the connection is to be closed at once, even if some output was not sent."""
    def take_dirty(self) -> list[int]:
        """Returns, each once, the numbers of the connections that have output or are to be closed."""
    def must_close(self, number: int) -> bool:
        """Whether the driver is to close the connection: at once, or because all output has been sent."""
    def submit(self, request: bytes, now: float) -> int:
        """Begins a call: a request of this process, without a session. Returns its number for `take_results`.

        `request` is one whole request with its data block, classic or meta. Raises ValueError, with memcached's error
        text if there is one, for other bytes, and for requests that are not routed or have no reply (version, stats,
        noreply, quiet modes); OverflowError if 65536 calls are in flight or the memory for requests is used up;
        MemoryError.
        """
    def discard_result(self, number: int) -> None:
        """Discards the result of a call, which runs on. Raises KeyError if the result was taken already."""
    def take_results(self) -> list[tuple[int, int, Any]]:
        """Takes the results of calls since the last time: a list of (number, outcome, result).

        `outcome` is a `mcroute.policy.nodes.Outcome`. The result of get, gets, gat and gats is a list of
        (key, flags, cas or None, value), of incr and decr an int. The result of other commands, and of a failure, is
        the reply without its last line end.
        """
    def culprits_of_results(self) -> dict[int, int]:
        """By number of each failed call in the last `take_results`: the server that the call failed at.

        Calls that failed without a server, such as those refused before an ask, are missing.
        """
    def take_deferred(self) -> list[tuple[int, bytes]]:
        """Takes the deferred requests, which the driver is to `answer`: a list of (number, line without its end).

        Only `stats` is deferred: its answer is about the process as much as about the engine.
        """
    def answer(self, number: int, reply: bytes) -> None:
        """Answers a request from `take_deferred`; `reply` has its line ends. Raises KeyError if it was answered."""
    def end_input(self, number: int) -> None:
        """The client sends no more bytes: the session is to be closed after its last reply."""
    def unanswered(self, number: int) -> int:
        """Number of requests on the link without a reply, also of those that have timed out."""
    def silent_since(self, number: int) -> float:
        """The later of two times: the link's last progress, its oldest unanswered request. Infinity without one."""
    def unanswered_writes(self, number: int) -> int:
        """Number of unanswered requests that change something: the server may execute them after the link's loss."""
    def next_wakeup(self) -> float:
        """The time of the next `check`, in seconds of the driver's clock; infinity if nothing is in flight.

        The time of the last call, so not a future one, while `take_dirty` has something to do.
        """
    def check(self, now: float) -> None:
        """Ends requests that are overdue, and resumes routes in Python whose wait has ended."""
