from collections.abc import Sequence
from typing import Any

class SharedState:
    """One word a server, by its number; made when first asked for, and never moved.

    `wake_fds` are eventfds that wake the engines' threads, one each, in the order of their numbers from 1 on. They
    are duplicated, so that nobody writes to what another has closed. Raises ValueError for more than 255.

    The first words lie in `memory` if there is one, 64 bytes each: a map of a file outlives a process that is killed.
    """

    def __new__(cls, wake_fds: Sequence[int] = (), memory: memoryview | None = None) -> SharedState: ...
    def set_clients_max(self, size: int) -> None:
        """So many clients may be connected at once; those that are there stay, the next ones wait."""
    def clients_held(self) -> int:
        """How often a listener was held because of that."""
    def forget(self, server: int) -> None:
        """The number is another server's from now on, which is in service and has missed nothing."""
    def fail_over(self, server: int) -> None:
        """What waits on the server in any thread goes on elsewhere, if the server has tripped and is out."""
    def hurry(self, server: int) -> None:
        """Links that wait for their next attempt to connect to the server make it now, in every thread."""
    def describe(self, server: int, name: str, fault: str) -> None:
        """As `Engine.describe`, for every thread. None of them is woken: it is read when a request fails."""
    def set_item_size_max(self, server: int, size: int, flags_size: int = 4) -> None:
        """As `Engine.set_item_size_max`, for every thread."""
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
    def restore(self, server: int, missed: int) -> bool:
        """Puts the server into service unless it has missed more than so many writes. Whether it did."""
    def restore_unless_stale(self, server: int) -> bool:
        """Puts the server into service unless it is stale. Whether it did."""
    def __reduce__(self) -> Any: ...
    def __setstate__(self, state: Any) -> None: ...
