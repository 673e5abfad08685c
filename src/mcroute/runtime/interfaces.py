"""The interfaces between the runtime and a driver. A new driver implements `Driver`, `Clock` and `Control`.

The runtime's coroutines await nothing but what `Clock` and `Control` return. So they are ordinary coroutines
under asyncio, and a small scheduler of another driver can run them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple, Protocol

from .._engine.losses import Losses, ServerDesync
from .._engine.server_ids import Identity
from .._engine.snapshots import Snapshot
from ..errors import RemoteProtocolError
from ..policy import Limits, Past, Place, Plan, Reason, Server, ServerOptions, ServerStats, Upkeep
from ..policy.places import Endpoint
from .clocks import Clock, Future, Promise, Task, Timer
from .dumps import Dump

__all__ = (
    "FAILURES",
    "NO_PROCESS",
    "Clock",
    "Control",
    "Driver",
    "Future",
    "Journal",
    "JournalStore",
    "Links",
    "LinksReport",
    "LinksWatcher",
    "OtherAddresses",
    "OtherProcess",
    "Promise",
    "RoutedEngine",
    "StateStore",
    "SupervisedEngine",
    "Task",
    "Timer",
)

# The errors of a `Control`. OSError includes TimeoutError; ValueError is for a malformed host or number.
FAILURES = (OSError, RemoteProtocolError, ValueError)

# `Control.unix_connections` returns this process if the system does not show the server's.
NO_PROCESS = "unix:0"


class OtherAddresses(RemoteProtocolError):
    """The server lists our connections under other addresses than ours, or does not list them."""


class OtherProcess(RemoteProtocolError):
    """Another process than the server's answers at its address. Nothing was changed there."""


# ---- questions to servers ----


class Control(Protocol):
    """Commands to servers on separate short connections, which no client's request delays.

    Every method raises one of `FAILURES` if the server does not answer, or not as memcached does. The methods
    have no timeout: the runtime cancels them.
    """

    async def probe(self, server: Server) -> ServerStats:
        """Returns the server's `stats`, empty if it has none."""

    async def turns(self, server: Server, count: int) -> list[float]:
        """Returns the times, in seconds, of so many commands one after the other on a new connection."""

    async def stats(self, server: Server, arguments: bytes = b"") -> dict[bytes, bytes]:
        """Returns the rows of `stats` with these arguments, by name."""

    async def settings(self, server: Server) -> dict[bytes, bytes]:
        """Returns the rows of `stats settings`, of a server that answers `version` as memcached does."""

    async def look(self, server: Server) -> ServerStats:
        """Returns the server's `stats` together with its settings, empty if it has none."""

    async def flush(
        self, server: Server, delay_s: int = 0, allows: Callable[[ServerStats], bool] = ...
    ) -> ServerStats:
        """Sends flush_all, with this delay in seconds unless the server refuses it. Returns as `look`.

        First, on the same connection, passes the server's `stats` to `allows`. Raises OtherProcess if that
        returns False.
        """

    async def delete(
        self,
        server: Server,
        take: Callable[[], Sequence[bytes]],
        allows: Callable[[ServerStats], bool],
    ) -> None:
        """Sends the deletes that `take` returns, waits for the replies, and repeats it until there are none.

        First, on the same connection, passes the server's `stats` to `allows`. Raises OtherProcess if that
        returns False, RemoteProtocolError if a reply is not DELETED, NOT_FOUND, HD or NF.
        """

    async def dump(self, server: Server, name: bytes) -> Dump:
        """Begins a dump of the server's keys with `lru_crawler` and this name: b"metadump hash" or similar.

        The caller has to close it.
        """

    async def is_one_store(self, server: Server, other: Server) -> bool:
        """Whether both are one process: a key stored on the one is found on the other."""

    async def listed_connections(self, server: Server) -> set[str]:
        """Returns the remote ends of the server's connections, without this one, as `Links.addresses` does.

        Raises OtherAddresses if the server does not list this connection.
        """

    async def unix_connections(self, server: Server) -> tuple[str, int]:
        """Returns the process that listens on the server's unix socket, and how many other clients it lists.

        The process is spelled as in `Links.addresses`, or NO_PROCESS.
        """


# ---- engines ----


class TakenKeys(Protocol):
    """The keys that one server took as a stand-in. Engines append to it at any time.

    A key is due when a server that it belongs to may have served since.
    """

    def __len__(self) -> int: ...

    def distrust(self, until: float) -> None:
        """Before this time, requests for other keys than these are not sent to the stand-in."""

    def begin(self) -> bool:
        """Begins a cleaning of the present keys. Returns whether any of them is due."""

    def take(self, limit: int) -> list[bytes]:
        """Returns the requests that delete the next due keys, at most `limit`."""

    def settle(self) -> int:
        """Forgets the taken keys, which are deleted. Returns how many."""

    def clear(self) -> None:
        """Forgets all keys."""


class Journal(Protocol):
    """The keys of writes that did not reach one server, each once, as they were sent.

    Engines append to it at any time, before they count the write as missed.
    """

    def __len__(self) -> int: ...

    @property
    def is_overflowed(self) -> bool:
        """Whether keys are missing, for lack of room or since they are unknown."""

    @property
    def overflows(self) -> int:
        """Counts overflows. Monotonic."""

    @property
    def taken(self) -> TakenKeys:
        """The keys that the server took as a stand-in."""

    def begin(self) -> None:
        """Begins a replay: all keys are to be taken."""

    def take(self, limit: int) -> list[bytes]:
        """Returns the requests that delete the next keys, at most `limit`. Later misses come last."""

    @property
    def is_idle(self) -> bool:
        """Whether the next process needs no key: none is here, and no write to the server has timed out."""

    @property
    def is_unsaved(self) -> bool:
        """Whether keys are not saved for the next process."""

    def leave_unsaved(self) -> None:
        """Saves no more keys for the next process until the journal is emptied."""

    def recall(self, keys: Iterable[tuple[bytes, bool]]) -> None:
        """Notes keys that the server missed in an earlier process, each with whether it is in base64.

        Counts that as one missed write, even without keys.
        """

    def settle(self, restores: bool) -> int | None:
        """Empties the journal if all keys are taken, and in the same step restores the server if `restores`.

        Call when the keys are deleted. Returns the number of missed writes up to then; None if there are
        keys to be taken, or the journal is overflowed.
        """

    def clear(self) -> None:
        """Empties the journal of a server that is empty, before the server is restored."""


class SupervisedEngine(Protocol):
    """The supervision's view of one engine, or of several that act as one. Servers are ids."""

    def server_state(self, server: int) -> int:
        """Returns a `ServerState`."""

    def set_server_state(
        self, server: int, state: int, missed: int | None = None, unless_stale: bool = False
    ) -> None:
        """Carries out a `SetState`."""

    def protect(self, server: int, is_protected: bool) -> None:
        """Protects the server from ejection by failures, or no longer does."""

    def is_spared(self, server: int) -> bool:
        """Whether this protection has prevented an ejection since the server's state was set."""

    def out(self) -> Set[int]:
        """Returns the servers that are ejected, or would be without protection."""

    def stale(self) -> Set[int]:
        """Returns the servers that have missed a write for good since they were put into service."""

    def missed_writes(self, server: int) -> int:
        """Counts writes that did not reach the server. Monotonic."""

    def slowness(self) -> Mapping[int, tuple[int, int]]:
        """Counts, by server, late replies and retries that the budget refused. Monotonic."""

    def journal(self, server: int) -> Journal:
        """Returns the journal of these writes."""

    def evidence(self) -> Mapping[int, tuple[int, int, Mapping[int, int], int, int]]:
        """Returns the `Counts` of each server with requests. Monotonic.

        The buckets of durations are those of `_engine.histograms`.
        """

    def set_hedge_after(self, server: int, seconds: float) -> None:
        """Sets how long a read waits for the server before the next copy is asked too; 0: not hedged."""

    def refill(self, keys: list[bytes], source: int, target: int, are_base64: bool = False) -> int:
        """Begins to copy keys from the server `source` to `target`. Call `Driver.schedule` afterwards.

        Returns how many, from the front, were accepted: as many as there was room for.
        """

    def set_wall_offset(self, seconds: float) -> None:
        """Sets the difference between `Clock.wall` and `Clock.now`, in seconds."""

    def set_item_size_max(self, server: int, size: int, flags_size: int = 4) -> None:
        """Sets the largest value that the server stores, and the size of its client flags, in bytes."""

    def set_date(self, ahead: float) -> None:
        """`ahead`: seconds since 1970, less `Clock.now`. For lifetimes that are dates."""

    def describe(self, server: int, name: str, fault: str = "") -> None:
        """Sets the server's name and fault for errors that clients get."""


class RoutedEngine(SupervisedEngine, Protocol):
    """The same for a plan at work."""

    def admit(self, plan: Plan, renamed: Mapping[Identity, Identity]) -> Mapping[str, int]:
        """Prepares the plan's servers, and returns their ids by name. New ones get no requests yet.

        `renamed` maps the name and address of servers that keep their ids to the earlier name and address.
        """

    def install(self, plan: Plan) -> None:
        """Starts later requests on this plan, which was admitted before."""

    def server_ids(self) -> Mapping[str, int]:
        """Returns the ids of the installed plan's servers, by name."""

    def server_in_use(self, server: int) -> bool:
        """Whether the installed plan or a request in flight refers to the server."""

    def free_plans(self) -> int:
        """Frees plans without requests. Returns the number of older plans that are left."""

    def snapshot(self) -> Snapshot:
        """Returns all counters."""

    def losses(self) -> Losses:
        """Counts requests refused and values discarded without a server's failure. Monotonic."""

    def take_desyncs(self) -> list[ServerDesync]:
        """Returns the servers whose links were out of step since the last call."""

    def set_limits(self, limits: Limits) -> None:
        """Sets the bounds of memory and of values."""

    def save_journals(self, saver: Any) -> None:
        """Saves journals with the saver of a `JournalStore` from now on. Called once, before `begin`."""


# ---- links ----


class LinksWatcher(Protocol):
    """Hears of links and of the engine: the supervision. Servers are ids; reasons are words for the log."""

    def connected(self, server: int) -> None:
        """A connection was made, and the server has answered the handshake."""

    def connect_failed(self, server: int, reason: Reason, error: Exception | None = None) -> None:
        """A connection could not be made. `error` is the system's, if there is one."""

    def out_of_resources(self, server: int) -> None:
        """No descriptor or memory was left for a connection to the server, which has not failed."""

    def located(self, server: int, place: Place) -> None:
        """The server's address means this place from now on."""

    def link_lost(
        self,
        server: int,
        local_address: str,
        writes_in_flight: int,
        missed: int,
        why: str = "",
        error: Exception | None = None,
    ) -> None:
        """A connection was lost, and its requests have been answered. `error` is the system's, if any.

        The server may still execute the `writes_in_flight`. `missed` counts the writes that the server had
        missed at that time.
        """

    def look_for_trips(self) -> None:
        """The engine may have counted a failure."""


class LinksReport(NamedTuple):
    """The links of one server at one moment."""

    connected: int
    """The number of links that are connected."""
    unanswered: int
    """The number of requests on all links that have no reply yet."""
    version: str
    """The server's version; empty before the first handshake."""


class Links(Protocol):
    """All links to one server. Each key has one of them, so the server needs all of them to serve."""

    server: Server

    def __len__(self) -> int: ...

    def look(self) -> LinksReport:
        """Returns all of the report at one moment, at the cost of one of its parts."""

    @property
    def connected(self) -> int:
        """The number of links that are connected."""

    @property
    def are_connected(self) -> bool:
        """Whether all links are connected."""

    @property
    def unanswered(self) -> int:
        """The number of requests on all links that have no reply yet."""

    @property
    def version(self) -> str:
        """The server's version; empty before the first handshake."""

    @property
    def addresses(self) -> frozenset[str]:
        """Our ends of the connected links, in the spelling of `policy.places.spell_end`."""

    def set_options(self, options: ServerOptions) -> None:
        """Sets the options of later connections. The number of links stays as it is."""

    def set_server(self, server: Server, addresses: Sequence[Endpoint]) -> None:
        """Gives the server another name or address, for later connections."""

    async def tried(self) -> None:
        """Returns when every link has finished its first attempt to connect."""

    def retry_now(self) -> None:
        """Begins at once the attempts that are waiting to be retried."""

    async def settled(self) -> None:
        """Retries the links now. Returns when all are connected and no request is unanswered."""

    async def passed(self) -> None:
        """Returns when every request sent by now is answered, or lost with its connection."""

    def abort_silent(self, since: float) -> None:
        """Closes links that owe replies and last received bytes before `since`, by `Clock.now`."""

    def abort_unsettled(self) -> None:
        """Closes links with unanswered requests. They are connected again."""

    def disconnect(self) -> None:
        """Closes all links, until they get other addresses."""

    def close(self) -> None:
        """Closes all links for good."""

    async def closed(self) -> None:
        """Returns when no connection is left, and the supervision knows of all events."""


# ---- the driver ----


class JournalStore(Protocol):
    """The journals that one process stores for the next."""

    path: str

    @property
    def saver(self) -> Any:
        """For `RoutedEngine.save_journals`. Has `size` (bytes), `failures` (monotonic) and `is_complete`."""

    def keep(self, failures: int, journals: Mapping[int, Journal]) -> None:
        """Syncs and tidies what is stored. Blocks, so the runtime calls this with `Clock.beside`.

        `journals` are those of all servers by id, read after `failures` of the saver.
        """


class StateStore(Protocol):
    """The state that one process stores for the next."""

    pasts: list[Past]
    """The state that the earlier process left."""
    memory: memoryview[int]
    """The memory for the engine's state words of servers, which outlives a killed process."""

    @property
    def journal(self) -> JournalStore | None:
        """Stores the keys that servers missed; None if they end with the process."""

    def write(
        self,
        pasts: Sequence[Past],
        connections: Mapping[int, frozenset[str]],
        *,
        is_clean: bool = False,
        is_durable: bool = False,
        answers_early: bool = True,
    ) -> None:
        """Replaces the state. `connections` are our ends of the links, by the server's id.

        `is_clean`: the process ends in order. `is_durable`: returns when the disk has the state.
        `answers_early`: clients may have their answers before all servers have answered.
        """

    def sync(self) -> None:
        """Returns when the disk has the state. Blocks, so the runtime calls this with `Clock.beside`."""

    def close(self) -> None:
        """Releases the state for the next process."""


class Driver(Protocol):
    """Moves bytes between the engine and the servers, and connects links."""

    @property
    def engine(self) -> RoutedEngine: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def control(self) -> Control: ...

    def supervise(self, supervision: LinksWatcher) -> None:
        """Sets the supervision that hears of links' events and of the engine's ejections."""

    async def prepare(self, plan: Plan) -> Mapping[str, list[Endpoint]]:
        """Looks the plan's servers up. Returns their addresses by name, empty for a name not found yet.

        Takes no longer than one lookup may.
        """

    def place_of(self, server: Server, addresses: Sequence[Endpoint] = ()) -> Place:
        """Returns the place of a server at these addresses. Without them, uses the server's own address."""

    def connect(
        self,
        number: int,
        server: Server,
        options: ServerOptions,
        addresses: Sequence[Endpoint] | None,
        upkeep: Upkeep,
    ) -> Links:
        """Connects links with these options to the server with the id `number`.

        Without `addresses` looks the server's name up first. `upkeep` sets the pauses between attempts.
        """

    def look(self, links: Mapping[int, Links]) -> Mapping[int, LinksReport]:
        """Returns a report for each of these servers, by id. Cheaper than `Links.look` for each."""

    def addresses(self, links: Mapping[int, Links]) -> Mapping[int, frozenset[str]]:
        """Returns `Links.addresses` for each of these servers, by id."""

    def begin(self) -> None:
        """Starts to move bytes."""

    def take_events(self) -> None:
        """Reports all events up to now to the supervision."""

    def schedule(self) -> None:
        """Sends the engine's output soon: the engine was changed."""

    def close(self) -> None:
        """Stops to move bytes, for good."""

    def at_fork(self, detach: Callable[[], None]) -> None:
        """Registers a method for child processes: called there after a fork, if its object still lives."""

    def detach(self) -> None:
        """Detaches a forked child from the open connections, which are the parent's."""
