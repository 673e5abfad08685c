from collections.abc import Iterable

from .taken_keys import TakenKeys

class JournalSaver:
    """Saves the journals of an engine for the next process. Its methods need no interpreter."""

class ServerJournal:
    """The journal of one server. Any thread may use it, while engines append to it.

    A replay deletes the keys from the server: `begin`, then `take` until there are none and `settle` succeeds.
    """

    def __len__(self) -> int: ...
    @property
    def is_overflowed(self) -> bool:
        """Whether keys are missing, for lack of room or since they are unknown, as those of a flush_all."""
    @property
    def overflows(self) -> int:
        """How often the journal has overflowed; only grows."""
    @property
    def taken(self) -> TakenKeys:
        """The `TakenKeys` of the server: the keys that it took as a stand-in."""
    @property
    def is_idle(self) -> bool:
        """Whether the next process needs no key of the server: none is in the journal, and no write has timed out."""
    @property
    def is_unsaved(self) -> bool:
        """Whether keys are not saved for the next process."""
    def leave_unsaved(self) -> None:
        """Saves no more keys for the next process until the journal is emptied."""
    def recall(self, keys: Iterable[tuple[bytes, bool]]) -> None:
        """Notes keys that the server missed in an earlier process, pairs of a key and whether it is in base64.

        Counts that as one missed write, even without keys.
        """
    def begin(self) -> None:
        """Begins a replay from the first key on."""
    def take(self, limit: int) -> list[bytes]:
        """The requests that delete the next keys of the replay, at most `limit`: a list of bytes.

        Their replies are DELETED or NOT_FOUND, HD or NF. Raises MemoryError.
        """
    def settle(self, restores: bool) -> int | None:
        """Empties the journal if all keys are taken; call when they are deleted. `restores`: the server serves again.

        Returns the server's number of missed writes that are settled by that; None if there are keys to be taken, or
        the journal is overflowed.
        """
    def clear(self) -> None:
        """Empties the journal, after a flush of the server and before it serves again."""
