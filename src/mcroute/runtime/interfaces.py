"""What a driver implements for the runtime: time and tasks, and questions to servers.

The rest of what the runtime sees of a driver is in `supervised` (engines, links) and `routing` (`Driver`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, NamedTuple, Protocol, TypeVar

from ..errors import RemoteProtocolError
from ..policy import Server, ServerStats

__all__ = (
    "FAILURES",
    "NO_PROCESS",
    "Clock",
    "Control",
    "Future",
    "LinksReport",
    "OtherAddresses",
    "OtherProcess",
    "Task",
    "Timer",
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# What a `Control` raises when a server does not answer, or not as memcached does. OSError includes
# TimeoutError; ValueError is for the name of no host, or a number that is none.
FAILURES = (OSError, RemoteProtocolError, ValueError)

# What `Control.unix_connections` calls the process behind a socket where the system does not tell it.
NO_PROCESS = "unix:0"


class OtherAddresses(RemoteProtocolError):
    """The server sees our connections under other addresses than we do, or under none."""


class OtherProcess(RemoteProtocolError):
    """Another process answers there than the server's: nothing was changed."""


# ---- time and tasks ----


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """The call is not made; without effect if it was made already."""


class Future(Protocol[T_co]):
    """A result to come, for one coroutine that awaits it. Cancelling that coroutine cancels the future."""

    def done(self) -> bool:
        """Whether it has a result, or was cancelled."""

    def cancelled(self) -> bool: ...

    def __await__(self) -> Generator[Any, None, T_co]: ...


class Promise(Future[None], Protocol):
    """A future that the runtime sets itself."""

    def set_result(self, result: None, /) -> None:
        """The coroutine that awaits it goes on, not before the present call of the driver has returned."""


class Task(Future[T_co], Protocol[T_co]):
    """A coroutine that runs by itself. Awaiting it returns its result, or raises its exception."""

    def cancel(self) -> object:
        """Ends it where it awaits, by an exception that is no `Exception`; its `finally` blocks still run."""

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """`callback` is called with the task once it has ended, also if it has already, never at once."""


class Clock(Protocol):
    """The time, and what happens later. All calls and coroutines of one clock run one after the other."""

    def now(self) -> float:
        """Seconds of the clock that the driver hands to the engine. Never goes backwards."""

    def lasting(self) -> float:
        """Seconds that go on while the machine sleeps, as servers' uptimes do. Another zero than `now`."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Timer:
        """Calls back after the present call, in the order in which callbacks were handed over."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Calls back when `now` has come to `when`."""

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Calls back after so many seconds."""

    def future(self) -> Promise:
        """One without a result yet."""

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Begins to run a coroutine soon. Whoever starts it keeps the task until it has ended."""

    def beside(self, function: Callable[[], T]) -> Task[T]:
        """Runs a function that blocks, such as a write to a disk, and holds nothing else up."""

    async def sleep(self, seconds: float) -> None:
        """Returns after so many seconds; after 0, once everything else that is due now has run."""

    async def within(self, seconds: float | None, awaitable: Awaitable[T]) -> T:
        """The result. Raises TimeoutError after so many seconds, when what was awaited has been cancelled."""


# ---- servers ----


class Control(Protocol):
    """Questions to servers, each on a short connection of its own: requests of clients do not delay it.

    Every method raises OSError, RemoteProtocolError or ValueError if the server does not answer, or not as
    memcached does. None of them ends by time: the runtime cancels them.
    """

    async def probe(self, server: Server) -> ServerStats:
        """What the server says of itself, empty if it has no `stats`."""

    async def settings(self, server: Server) -> dict[bytes, bytes]:
        """The rows of `stats settings`: how the server was started."""

    async def look(self, server: Server) -> ServerStats:
        """The server's `stats` and settings, empty if it has none."""

    async def flush(
        self, server: Server, delay_s: int = 0, allows: Callable[[ServerStats], bool] = ...
    ) -> ServerStats:
        """Sends flush_all, with this delay in seconds unless the server refuses it; then as `look`.

        Before, on the same connection, `allows` hears what the server says of itself. Raises OtherProcess if
        it does not allow the flush.
        """

    async def is_one_store(self, server: Server, other: Server) -> bool:
        """Whether a key that is stored on one of the servers is found on the other: they are one process."""

    async def listed_connections(self, server: Server) -> set[str]:
        """The far ends of the server's connections, spelled as in `Links.addresses`, but for this question's.

        Raises OtherAddresses if the server does not list the connection of this question.
        """

    async def unix_connections(self, server: Server) -> tuple[str, int]:
        """The process behind a unix socket, or NO_PROCESS, and how many clients it lists there but this one.

        A process is spelled as in `Links.addresses`.
        """


class LinksReport(NamedTuple):
    """All links of one server, at one moment."""

    connected: int
    """How many of them are."""
    unanswered: int
    """Requests on all of them that have no reply yet."""
    version: str
    """What the server calls itself; empty before it has said so."""
