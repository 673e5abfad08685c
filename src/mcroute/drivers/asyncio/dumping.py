"""A server's list of its keys, read piece by piece: the crawler waits for a slow reader."""

from __future__ import annotations

import asyncio

from ...errors import RemoteProtocolError
from ...policy import Server
from ...runtime.dumps import DumpBusy, DumpRefused

__all__ = ("READ_SIZE", "AsyncioDump")

# Lines of one piece are processed without a pause: some hundred.
READ_SIZE = 1 << 14
# A line has at most 750 bytes of an escaped key, and the numbers.
LINE_MAX = 2048
# `metadump` ends with the first, `mgdump` with the second.
ENDS = (b"END", b"EN")


class AsyncioDump:
    """A `Dump`: the reply to `lru_crawler`, which was sent on this connection alone."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._rest = b""
        self._has_begun = False
        self._is_over = False

    async def lines(self) -> list[bytes]:
        found: list[bytes] = []
        while not self._is_over and not found:
            piece = await self._reader.read(READ_SIZE)
            if not piece:
                raise ConnectionResetError("closed by the server")
            # Lines of `metadump` end with LF alone.
            *lines, self._rest = (self._rest + piece).split(b"\n")
            if len(self._rest) > LINE_MAX:
                raise RemoteProtocolError(f"{self._server.name} sends a line of {len(self._rest)} bytes")
            found = self._keys([line.removesuffix(b"\r") for line in lines])
        return found

    def close(self) -> None:
        # An orderly close would wait for a server that sends the rest.
        self._writer.transport.abort()

    def _keys(self, lines: list[bytes]) -> list[bytes]:
        """The lines of keys among these."""
        if not lines:
            return lines
        if not self._has_begun:
            self._has_begun = True
            self._check(lines[0])
            # memcached sends this since 1.6.43.
            lines = lines[lines[0] == b"OK" :]
        if lines and lines[-1] in ENDS:
            self._is_over = True
            lines.pop()
        return lines

    def _check(self, first: bytes) -> None:
        if first == b"OK" or first in ENDS or first.startswith((b"key=", b"mg ")):
            return
        text = f"{self._server.name} answers {first[:80]!r} to lru_crawler"
        raise DumpBusy(text) if first.startswith(b"BUSY") else DumpRefused(text)
