class TakenKeys:
    """The keys that one server took as a stand-in. Any thread may use it, while engines note keys.

    A key is due when a server that it belongs to may have served since. A cleaning deletes the due keys from the
    stand-in: `begin`; then wait until the stand-in has answered all that was sent to it before; then `take` until there
    are none, and `settle`.
    """

    def __len__(self) -> int: ...
    def distrust(self, until: float) -> None:
        """Before this time of the engine's clock, requests for other keys than the noted ones are not sent there."""
    def begin(self) -> bool:
        """Begins a cleaning of the present keys. Returns whether any of them is due."""
    def take(self, limit: int) -> list[bytes]:
        """The requests that delete the next due keys, at most `limit`: a list of bytes.

        Their replies are DELETED or NOT_FOUND, HD or NF. Raises MemoryError.
        """
    def settle(self) -> int:
        """Forgets the keys that were taken and deleted, but for those noted again meanwhile. Returns how many."""
    def clear(self) -> None:
        """Forgets all keys: the server is no stand-in any more."""
