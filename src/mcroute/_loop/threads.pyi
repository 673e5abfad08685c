from typing import Any

from mcroute._engine.losses import Losses, ServerDesync
from mcroute._engine.server_ids import AdmittedServer
from mcroute._engine.snapshots import Snapshot
from mcroute._loop.shared_state import SharedState
from mcroute.policy import Limits, ServerOptions, Upkeep
from mcroute.policy.nodes import Plan
from mcroute.runtime.link_values import LinkEvent, LinkStatus

JOB_TIMEOUT_S: float

class LoopThread:
    """A loop with an engine of its own. The loop writes to the eventfd `notify_fd` when it has events.

    `seed` starts the engine's random generator; a job that the loop has not begun after `timeout_s` seconds is not
    done. Raises OSError when the system has no descriptor left.
    """

    def __new__(cls, notify_fd: int, seed: int, timeout_s: float = 30.0) -> LoopThread: ...
    def run(self) -> None:
        """Serves in the calling thread until `stop`. The thread that starts it calls `will_run` before."""
    def will_run(self, will: bool = True) -> None:
        """Whether jobs wait for the loop's thread from now on; False if the thread could not be started."""
    def step(self, now: float) -> int:
        """Makes one turn of a loop that does not run, without waiting. Returns the number of ready sockets.

        From the first call on, `now` is the loop's time, in seconds; for tests and simulations.
        """
    def stop(self) -> None:
        """Ends `run` with the current turn. Join the thread before you call another method."""
    def detach(self) -> None:
        """In a forked child: closes the child's copies of the descriptors; the parent's connections stay open.

        From then on `stop` and `detach` have no effect; other methods raise RuntimeError.
        """
    def wake_fd(self) -> int:
        """An eventfd; a write to it wakes the loop for a turn."""
    def share(self, words: SharedState, number: int) -> None:
        """Shares the state `words` with other threads, among which this one has `number`, from 1 on.

        Call before the first plan is admitted. Raises MemoryError.
        """
    def admit(self, plan: Plan, servers: list[AdmittedServer]) -> None:
        """Admits the plan: adds its servers to the engine, so that `connect` accepts them; `install_plans` installs it.

        `servers` is the list that `ServerIds.admit` returned for the plan. Raises MemoryError.
        """
    def has_admitted(self) -> bool:
        """Whether a plan is admitted and not installed."""
    def free_plans(self) -> int:
        """Frees older plans that no request uses. Returns the number of older plans that remain."""
    def server_in_use(self, server: int) -> bool:
        """Whether the installed plan, or an older plan that requests use, refers to the server."""
    def is_unlinked(self, server: int) -> bool:
        """Whether the server's links are closed, and no request waits for them."""
    def run_routes(self, now: float) -> float:
        """Runs the generators of custom routes: passes them their events, and applies their orders to the engine.

        `now` and the result are in seconds, monotonic. Returns the time of the next call; infinity if the next call is
        due only when `notify_fd` is written. Raises RuntimeError if the loop runs routes already.
        """
    def take_deferred(self) -> list[tuple[int, bytes]]:
        """As `Engine.take_deferred`."""
    def answer(self, number: int, reply: bytes) -> None:
        """As `Engine.answer`; no effect after the client has closed its connection."""
    def snapshot(self) -> Snapshot:
        """As `Engine.snapshot`; posts no job."""
    def slowness(self) -> dict[int, tuple[int, int]]:
        """As `Engine.slowness`; posts no job."""
    def evidence(self) -> dict[int, tuple[int, int, dict[int, int], int, int]]:
        """As `Engine.evidence`; posts no job."""
    def connect(
        self,
        server: int,
        options: ServerOptions,
        addresses: list[tuple[str, int] | str] | None,
        upkeep: Upkeep,
    ) -> None:
        """Keeps `options.links` links to the server, at most 16; links that exist stay.

        `options` are `ServerOptions`, `upkeep` is an `Upkeep`. `addresses` are pairs of a numeric host and a port, or
        paths of unix sockets, tried in order; a host may have a numeric scope. None: the addresses are not known yet,
        and links wait for the next call. Raises ValueError for other addresses, MemoryError.
        """
    def abort_unsettled(self, server: int) -> None:
        """Closes connected links with unanswered requests; they are connected again."""
    def abort_silent(self, server: int, since: float) -> None:
        """Closes connected links that owe replies and last received bytes before `since` (seconds, monotonic)."""
    def disconnect(self, server: int) -> None:
        """Closes all links of the server; they stay closed until `connect`."""
    def set_limits(self, limits: Limits) -> None:
        """As `Engine.set_limits`: this thread's share."""
    def refill(self, keys: list[bytes], source: int, target: int, are_base64: bool = False) -> int:
        """As `Engine.refill`."""
    def set_wall_offset(self, seconds: float) -> None:
        """As `Engine.set_wall_offset`."""
    def losses(self) -> Losses:
        """As `Engine.losses`; posts no job."""
    def take_desyncs(self) -> list[ServerDesync]:
        """As `Engine.take_desyncs`."""
    def links(self, servers: list[int]) -> list[list[LinkStatus]]:
        """A list for each of these servers, with a `LinkStatus` for each of its links."""
    def events(self) -> list[LinkEvent]:
        """Takes a `LinkEvent` for each link that has changed. Links that were held for the supervisor connect again.

        Returns at most EVENTS_MAX events; after so many, call again.
        """
    def acknowledge(self) -> None:
        """Acknowledges the events so far: the loop writes to `notify_fd` again for later ones."""
    def accepted_in(self) -> int:
        """The descriptor of a pipe: other loops write accepted sockets to it for this loop."""
    def listen(self, fd: int, share_with: object = None) -> None:
        """Accepts clients from the listening, non-blocking socket `fd`; the loop closes the socket.

        `share_with` is a buffer of C ints: the `accepted_in` of the loops among which clients are divided, -1 for this
        loop. Without it all clients stay on this loop. Raises OSError if the loop cannot listen on one more socket.
        """
    def stop_listening(self) -> None:
        """Closes the listening sockets."""
    def end_sessions(self) -> None:
        """Stops reading from clients: each session ends when its requests are answered."""
    def abort_sessions(self) -> None:
        """Closes all sessions now."""
    def clients(self) -> int:
        """The number of open sessions."""
    def __reduce__(self) -> Any: ...
    def __setstate__(self, state: Any) -> None: ...

def install_plans(threads: list[LoopThread]) -> bool:
    """Installs the plans that the threads have admitted last, in all threads at one moment.

    If a thread could start requests on the older plan after another thread has started one on the newer plan, it might
    write to a server from which no thread reads the key any more. A thread that does not arrive within a second is not
    waited for by the others. Returns whether all threads have installed their plans; otherwise call again.
    """
