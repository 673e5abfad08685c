from collections.abc import Sequence
from typing import Any

from mcroute._engine.journals import JournalSaver, ServerJournal
from mcroute.policy import Limits

class SharedState:
    """One state word per server, by the server's id; allocated at the first use, and never moved.

    `wake_fds` are eventfds that wake the engines' threads, one each, in the order of the threads' numbers from 1 on.
    They are duplicated: the caller may close its own. Raises ValueError for more than 255, MemoryError.

    The first state words lie in `memory` if it is given, 64 bytes each. A mapped file keeps them if the process is
    killed.
    """

    def __new__(cls, wake_fds: Sequence[int] = (), memory: memoryview | None = None) -> SharedState: ...
    def set_clients_max(self, size: int) -> None:
        """Bounds the clients that are connected at once to `size`. Connected clients stay, further ones wait."""
    def clients_held(self) -> int:
        """The number of times that a listener was paused because as many clients were connected as are allowed."""
    def reset(self, server: int) -> None:
        """Resets the state of a reused id: its new server is in service and has no missed writes."""
    def fail_over(self, server: int) -> None:
        """In every thread, fails over the requests that wait for the server, if it is ejected."""
    def retry_now(self, server: int) -> None:
        """In every thread, ends the backoff of the server's links: they try to connect now."""
    def describe(self, server: int, name: str, fault: str) -> None:
        """As `Engine.describe`, for every thread. Wakes none: a thread reads the description when a request fails."""
    def set_item_size_max(self, server: int, size: int, flags_size: int = 4) -> None:
        """As `Engine.set_item_size_max`, for every thread."""
    def set_hedge_after(self, server: int, seconds: float) -> None:
        """As `Engine.set_hedge_after`, for every thread."""
    def state(self, server: int) -> int:
        """As `Engine.server_state`."""
    def set_state(self, server: int, state: int) -> None:
        """As `Engine.set_server_state`."""
    def protect(self, server: int, is_protected: bool) -> None:
        """As `Engine.protect`."""
    def is_spared(self, server: int) -> bool:
        """As `Engine.is_spared`."""
    def is_stale(self, server: int) -> bool:
        """As `Engine.is_stale`."""
    def out(self) -> set[int]:
        """As `Engine.out`."""
    def stale(self) -> set[int]:
        """As `Engine.stale`."""
    def missed(self, server: int) -> int:
        """As `Engine.missed_writes`."""
    def set_date(self, ahead: float) -> None:
        """As `Engine.set_date`, for every thread."""
    def save_journals(self, saver: JournalSaver) -> None:
        """As `Engine.save_journals`."""
    def restore(self, server: int, missed: int) -> bool:
        """Restores the server unless it has missed more than `missed` writes. Returns whether it was restored."""
    def restore_unless_stale(self, server: int) -> bool:
        """Restores the server unless it is stale. Returns whether it was restored."""
    def __reduce__(self) -> Any: ...
    def __setstate__(self, state: Any) -> None: ...
    def journal(self, server: int) -> ServerJournal:
        """As `Engine.journal`."""
    def bound_journals(self, limits: Limits) -> None:
        """Sets the bounds of all journals together, by a `mcroute.policy.Limits`."""
