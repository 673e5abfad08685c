from typing import Any

from mcroute._engine.losses import Losses, ServerDesync
from mcroute._engine.server_ids import AdmittedServer
from mcroute._engine.snapshots import Snapshot
from mcroute._loop.shared_state import SharedState
from mcroute.policy import Backoff, Limits, ServerOptions
from mcroute.policy.nodes import Plan
from mcroute.runtime.link_values import LinkEvent, LinkStatus

JOB_TIMEOUT_S: float

class LoopThread:
    """A loop with an engine of its own. The loop writes to the eventfd `notify_fd` when it has events.

    `seed` starts the engine's random generator; `timeout_s` is how long a job waits to be begun. Raises OSError
    when the system has no descriptor left.
    """

    def __new__(cls, notify_fd: int, seed: int, timeout_s: float = 30.0) -> LoopThread: ...
    def run(self) -> None:
        """Serves until `stop`, in the thread that calls it; `will_run` is due before, in the one that starts it."""
    def will_run(self, will: bool = True) -> None:
        """From now on jobs wait for the thread; or do not, if there is none after all."""
    def step(self, now: float) -> int:
        """Makes one turn of a loop that does not run, without waiting. Returns how many sockets were ready.

        From the first time on, its time is what it is told here, in seconds; for tests and simulations.
        """
    def stop(self) -> None:
        """The thread ends with this turn, and is to be joined before anything else is asked."""
    def detach(self) -> None:
        """In a forked child: closes the child's copies of the descriptors, and nothing else, ever.

        Whatever is asked of it from then on raises RuntimeError; but `stop` and this are without effect.
        """
    def wake_fd(self) -> int:
        """An eventfd: writing to it makes the loop take a turn."""
    def share(self, words: SharedState, number: int) -> None:
        """Acts on these words from now on, by this number, together with the other threads that do.

        Due before the first plan is admitted.
        """
    def admit(self, plan: Plan, servers: list[AdmittedServer]) -> None:
        """Makes the plan's servers known, so that they may be connected to; `install_plans` is to follow.

        `servers` are what `ServerIds.admit` returned for the plan.
        """
    def has_admitted(self) -> bool:
        """Whether there is a plan to be installed."""
    def forget_plans(self) -> int:
        """Frees plans that no request is on any more. Returns how many older ones there still are."""
    def server_in_use(self, server: int) -> bool:
        """Whether the installed plan or a request on an older one refers to this server."""
    def is_unlinked(self, server: int) -> bool:
        """Whether the server's links are closed, and nothing waits for them."""
    def run_routes(self, now: float) -> float:
        """Tells the users' generators what has happened, and has done what they order. `now` is monotonic time.

        Returns when the next call is due; infinity if it is due only when `notify_fd` is written.
        """
    def take_deferred(self) -> list[tuple[int, bytes]]:
        """As `Engine.take_deferred`."""
    def answer(self, number: int, reply: bytes) -> None:
        """As `Engine.answer`; without effect when the client has gone."""
    def snapshot(self) -> Snapshot:
        """As `Engine.snapshot`; the loop does not notice."""
    def troubles(self) -> dict[int, tuple[int, int]]:
        """As `Engine.troubles`; the thread goes on meanwhile."""
    def connect(
        self,
        server: int,
        options: ServerOptions,
        addresses: list[tuple[str, int] | str] | None,
        backoff: Backoff,
    ) -> None:
        """Keeps `options.links` links to the server, at most 16; those that there are stay. `options` are a
        `ServerOptions`, `backoff` is a `Backoff`. `addresses` are pairs of a numeric host and a port, or the path of
        a unix socket, tried in order. A host may have a numeric scope.
        With None links wait until the next call, which knows them.

        Raises ValueError for something else.
        """
    def settle(self, server: int) -> None:
        """Closes connected links with unanswered requests; they are connected again."""
    def drop_silent(self, server: int, since: float) -> None:
        """Closes connected links that owe replies and were last heard before `since` (seconds, monotonic)."""
    def leave(self, server: int) -> None:
        """Closes all links; they stay closed until `connect`."""
    def set_limits(self, limits: Limits) -> None:
        """As `Engine.set_limits`: this thread's share."""
    def losses(self) -> Losses:
        """As `Engine.losses`; the loop does not notice."""
    def take_desyncs(self) -> list[ServerDesync]:
        """As `Engine.take_desyncs`."""
    def links(self, servers: list[int]) -> list[list[LinkStatus]]:
        """For each of these servers a list with a `LinkStatus` for each of its links."""
    def events(self) -> list[LinkEvent]:
        """A `LinkEvent` for each link to which something has happened. Links that were held because of it go on.

        At most EVENTS_MAX: if there are so many there may be more.
        """
    def acknowledge(self) -> None:
        """All events have been taken: `notify_fd` is written for later ones."""
    def accepted_in(self) -> int:
        """The descriptor through which other loops hand clients over to this one."""
    def listen(self, fd: int, share_with: object = None) -> None:
        """Takes clients from this socket, which listens and does not block; the loop closes it.

        `share_with` is a buffer of C ints: the `accepted_in` of the loops among which clients are divided, -1 for this
        one. Without it all stay here. Raises OSError if it cannot listen on one more.
        """
    def stop_listening(self) -> None:
        """Closes the listening sockets."""
    def end_sessions(self) -> None:
        """Takes no more requests: each session ends when those that have come are answered."""
    def abort_sessions(self) -> None:
        """Closes all sessions now."""
    def clients(self) -> int:
        """How many sessions are open."""
    def __reduce__(self) -> Any: ...
    def __setstate__(self, state: Any) -> None: ...

def install_plans(threads: list[LoopThread]) -> bool:
    """Requests from now on start on the plans that the threads have admitted last; in all of them at one moment.

    Were a request to start on the older plan in one thread after another thread had started one on the newer, a write
    could be done on a server that nobody reads it from any more. A thread that does not come for a second is not
    waited for by the others. Returns whether all have come to it; those that have not may be asked again.
    """
