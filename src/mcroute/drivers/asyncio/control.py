"""Commands to a server outside of its link, one short connection each.

They cannot desynchronise the clients' requests, and show how the server treats a new connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from random import Random

from ...errors import RemoteProtocolError
from ...policy import Server, ServerStats
from ...policy.places import spell_end
from ...runtime.dumps import Dump
from ...runtime.interfaces import OtherAddresses, OtherProcess
from .addresses import Resolver
from .dumping import READ_SIZE as DUMP_SIZE
from .dumping import AsyncioDump

__all__ = ("AsyncioControl", "local_end")

# A key stored to compare two servers has this lifetime, in case it cannot be deleted.
MARK_S = 10

# The replies to deletes that leave no item.
GONE = frozenset((b"DELETED\r\n", b"NOT_FOUND\r\n", b"HD\r\n", b"NF\r\n"))

# Far above the size of `stats conns` with ten thousand connections.
ANSWER_MAX = 4 << 20
READ_SIZE = 1 << 16


def local_end(transport: asyncio.BaseTransport) -> tuple[str, int]:
    """Identifies a connection: host and port of our end.

    For a unix socket: "unix" and the process at the other end, if the system reports it: see
    `unix_connections`.
    """
    sock = transport.get_extra_info("socket")
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return "unix", _peer_process(sock)
    host, port, *_ = transport.get_extra_info("sockname")
    return host, port


def _peer_process(sock: socket.socket) -> int:
    """The listening process, 0 if the system does not report it: see NO_PROCESS."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    process, *_ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(process)


class AsyncioControl:
    """A `Control` on the running loop. `rng` makes the keys that compare servers unique."""

    def __init__(self, resolver: Resolver, rng: Random) -> None:
        self._resolver = resolver
        self._rng = rng

    async def probe(self, server: Server) -> ServerStats:
        """Returns when the server has answered: its `stats`, empty if it has none.

        Raises OSError or RemoteProtocolError; other servers than memcached get no `stats`.
        """
        reader, writer = await self._connect(server)
        try:
            await _greet(server, reader, writer)
            return await _look(server, reader, writer)
        finally:
            writer.transport.abort()

    async def turns(self, server: Server, count: int) -> list[float]:
        """The times of so many commands, one after the other. Raises OSError or RemoteProtocolError."""
        clock = asyncio.get_running_loop().time
        reader, writer = await self._connect(server)
        try:
            # The first command may wait for the server to accept the connection.
            await _greet(server, reader, writer)
            times = []
            for _ in range(count):
                begun_at = clock()
                await _greet(server, reader, writer)
                times.append(clock() - begun_at)
            return times
        finally:
            writer.transport.abort()

    async def version(self, server: Server) -> bytes:
        """The server's version. Raises OSError or RemoteProtocolError."""
        return (await self._ask(server, b"version\r\n", b"VERSION ")).split(b" ", 1)[1].rstrip()

    async def stats(self, server: Server, arguments: bytes = b"") -> dict[bytes, bytes]:
        """The server's rows of `stats`, by name. Raises OSError or RemoteProtocolError."""
        reader, writer = await self._connect(server)
        try:
            return await _stats(server, reader, writer, arguments)
        finally:
            writer.transport.abort()

    async def settings(self, server: Server) -> dict[bytes, bytes]:
        """The server's settings. Raises OSError or RemoteProtocolError; only memcached is asked."""
        reader, writer = await self._connect(server)
        try:
            await _greet(server, reader, writer)
            return await _stats(server, reader, writer, b"settings")
        finally:
            writer.transport.abort()

    async def flush(
        self, server: Server, delay_s: int = 0, allows: Callable[[ServerStats], bool] = lambda stats: True
    ) -> ServerStats:
        """Sends flush_all, with this argument unless the server refuses it. Returns its `stats` afterwards.

        First, on the same connection, `allows` gets the server's `stats`. Raises OtherProcess if it returns
        False, and OSError or RemoteProtocolError.
        """
        reader, writer = await self._connect(server)
        try:
            if not allows(await _look(server, reader, writer)):
                raise OtherProcess("it is another memcached than before")
            commands = [b"flush_all %d\r\n" % delay_s] if delay_s else []
            for command in (*commands, b"flush_all\r\n"):
                writer.write(command)
                line = await _line(reader)
                if line == b"OK\r\n":
                    return await _look(server, reader, writer)
            raise RemoteProtocolError(f"{server.name} answers {line[:80]!r} to flush_all")
        finally:
            writer.transport.abort()

    async def delete(
        self,
        server: Server,
        take: Callable[[], Sequence[bytes]],
        allows: Callable[[ServerStats], bool],
    ) -> None:
        """Sends the deletes that `take` returns, waits for the replies, and repeats it until there are none.

        First, on the same connection, `allows` gets the server's `stats`. Raises OtherProcess if it returns
        False, and OSError or RemoteProtocolError.
        """
        reader, writer = await self._connect(server)
        try:
            if not allows(await _look(server, reader, writer)):
                raise OtherProcess("it is another memcached than before")
            while requests := take():
                writer.write(b"".join(requests))
                for request in requests:
                    line = await _line(reader)
                    if line not in GONE:
                        raise RemoteProtocolError(f"{server.name} answers {line[:80]!r} to {request[:80]!r}")
        finally:
            writer.transport.abort()

    async def dump(self, server: Server, name: bytes) -> Dump:
        """Sends `lru_crawler` with this dump's name, such as b"metadump hash". Raises OSError."""
        reader, writer = await self._connect(server, DUMP_SIZE)
        writer.write(b"lru_crawler %b\r\n" % name)
        return AsyncioDump(server, reader, writer)

    async def is_one_store(self, server: Server, other: Server) -> bool:
        """Whether a key stored on one of two servers is found on the other: they are one process.

        The key is unique, and is deleted at once. Raises OSError or RemoteProtocolError if a server does not
        answer.
        """
        key = b"mcroute:same:" + b"%016x" % self._rng.getrandbits(64)
        reader, writer = await self._connect(server)
        try:
            writer.write(b"set %b 0 %d 1\r\n1\r\n" % (key, MARK_S))
            line = await _line(reader)
            if line != b"STORED\r\n":
                raise RemoteProtocolError(f"{server.name} answers {line[:80]!r} to set")
            try:
                return await self._has(other, key)
            finally:
                writer.write(b"delete %b\r\n" % key)
                await _line(reader)
        finally:
            writer.transport.abort()

    async def _has(self, server: Server, key: bytes) -> bool:
        line = await self._ask(server, b"get %b\r\n" % key, b"")
        if not line.startswith((b"VALUE %b " % key, b"END\r\n")):
            raise RemoteProtocolError(f"{server.name} answers {line[:80]!r} to get")
        return not line.startswith(b"END")

    async def look(self, server: Server) -> ServerStats:
        """The server's `stats`, empty if it has none. Raises OSError or RemoteProtocolError."""
        reader, writer = await self._connect(server)
        try:
            return await _look(server, reader, writer)
        finally:
            writer.transport.abort()

    async def listed_connections(self, server: Server) -> set[str]:
        """The remote ends of the server's connections, in its own spelling, without this one.

        Raises OtherAddresses if this one is not among them, and OSError or RemoteProtocolError.
        """
        reader, writer = await self._connect(server)
        try:
            own = spell_end(*local_end(writer.transport))
            listed = set()
            for name, value in (await _stats(server, reader, writer, b"conns")).items():
                if name.endswith(b":addr") and value.startswith(b"tcp"):
                    host, _, port = value.split(b":", 1)[1].decode("latin-1").rpartition(":")
                    listed.add(spell_end(host, int(port)))
            if own not in listed:
                raise OtherAddresses(f"{server.name} does not list our connection {own}")
            return listed - {own}
        finally:
            writer.transport.abort()

    async def unix_connections(self, server: Server) -> tuple[str, int]:
        """The process behind a unix socket, as `spell_end` spells it, and the number of clients it lists.

        Does not count this connection. Raises OSError or RemoteProtocolError.
        """
        reader, writer = await self._connect(server)
        try:
            process = spell_end(*local_end(writer.transport))
            rows = await _stats(server, reader, writer, b"conns")
            # Clients of a unix socket have no names; each has one row of this kind.
            count = sum(
                name.endswith(b":listen_addr") and value.startswith(b"unix:") for name, value in rows.items()
            )
            return process, count - 1
        finally:
            writer.transport.abort()

    async def _connect(
        self, server: Server, limit: int = ANSWER_MAX
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """`limit`: about so many bytes of the answer are received ahead, twice as many at most."""
        error: OSError | None = None
        for address in await self._resolver.resolve(server):
            try:
                if isinstance(address, str):
                    return await asyncio.open_unix_connection(address, limit=limit)
                return await asyncio.open_connection(*address, limit=limit)
            except OSError as refused:
                error = refused
        raise error or OSError(f"{server.name} has no address")

    async def _ask(self, server: Server, command: bytes, expected: bytes) -> bytes:
        reader, writer = await self._connect(server)
        try:
            writer.write(command)
            line = await _line(reader)
            if not line.startswith(expected):
                raise RemoteProtocolError(f"{server.name} answers {line[:80]!r} to {command!r}")
            return line
        finally:
            # An orderly close could hang on a server that does not read.
            writer.transport.abort()


async def _greet(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"version\r\n")
    line = await _line(reader)
    if not line.startswith(b"VERSION "):
        raise RemoteProtocolError(f"{server.name} answers {line[:80]!r} to version")


async def _look(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ServerStats:
    """The server's `stats` and settings, as far as it has them."""
    try:
        rows = await _stats(server, reader, writer, b"")
    except RemoteProtocolError:
        return ServerStats()
    try:
        return ServerStats.of(rows, await _stats(server, reader, writer, b"settings"))
    except RemoteProtocolError:
        return ServerStats.of(rows)


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionResetError("closed by the server")
    return line


async def _stats(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, arguments: bytes
) -> dict[bytes, bytes]:
    writer.write(b"stats %b\r\n" % arguments if arguments else b"stats\r\n")
    counts: dict[bytes, bytes] = {}
    rest, size = b"", 0
    while chunk := await reader.read(READ_SIZE):
        # Not line by line: there are a hundred lines, and a thousand servers may be asked.
        *lines, rest = (rest + chunk).split(b"\r\n")
        size += len(chunk)
        for line in lines:
            # `stats reset` and the like have one line.
            if line in (b"END", b"RESET", b"OK"):
                return counts
            kind, _, row = line.partition(b" ")
            if kind not in (b"STAT", b"ITEM"):
                raise RemoteProtocolError(
                    f"{server.name} answers {line[:80]!r} to stats {arguments.decode()}"
                )
            name, _, value = row.partition(b" ")
            counts[name] = value.rstrip()
        if size > ANSWER_MAX:
            raise RemoteProtocolError(f"{server.name} answers {size} bytes to stats {arguments.decode()}")
    raise ConnectionResetError("closed by the server")
