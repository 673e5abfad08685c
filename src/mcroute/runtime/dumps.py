"""The interface of a driver to a server's list of its keys."""

from __future__ import annotations

from typing import Protocol

from ..errors import RemoteProtocolError

__all__ = ("Dump", "DumpBusy", "DumpRefused")


class DumpBusy(RemoteProtocolError):
    """The server sends one dump at a time, and another client's is not over."""


class DumpRefused(RemoteProtocolError):
    """The server sends no dumps of its keys."""


class Dump(Protocol):
    """A server's list of its keys, on a connection of its own."""

    async def lines(self) -> list[bytes]:
        """Waits for further lines, and returns them without their ends; none at the end of the list.

        The server waits until they are read, so only a few are in memory. The first call raises DumpBusy or
        DumpRefused if the server does not send its list. Any call raises one of `FAILURES` if the list is
        broken off.
        """

    def close(self) -> None:
        """Ends the connection, also before the end of the list."""
