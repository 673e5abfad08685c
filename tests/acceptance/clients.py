"""A client on asyncio streams, a server whose answers a test scripts, a separate process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from mcroute.policy import Pool, PoolRoute, Server
from tests.preloading import child_environment

# The loop's turns from a connection's arrival until its handler has begun.
TURNS = 6
# Closing such a socket resets the connection, whatever is in flight.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
SCRIPT = Path(__file__).with_name("outside.py")


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, proxy: object) -> Client:
        """`proxy` is anything with a `port`."""
        return cls(*await asyncio.open_connection("127.0.0.1", getattr(proxy, "port")))  # noqa: B009

    @classmethod
    async def on_path(cls, path: str) -> Client:
        return cls(*await asyncio.open_unix_connection(path))

    async def ask(self, request: bytes, end: bytes = b"\r\n") -> bytes:
        self.writer.write(request)
        return await self.reader.readuntil(end)

    async def get(self, key: str) -> bytes | None:
        self.writer.write(f"get {key}\r\n".encode())
        line = await self.reader.readuntil(b"\r\n")
        if line == b"END\r\n":
            return None
        name, found, _, size = line.split()
        assert (name, found) == (b"VALUE", key.encode()), line
        value = await self.reader.readexactly(int(size) + 7)
        assert value.endswith(b"\r\nEND\r\n")
        return value[:-7]

    async def stats(self, arguments: str = "") -> dict[str, str]:
        reply = await self.ask(f"stats {arguments}".rstrip().encode() + b"\r\n", b"END\r\n")
        rows = (line.decode().split(" ", 2) for line in reply.split(b"\r\n")[:-2])
        return {name: value for _, name, value in rows}

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Scripted:
    """A server that greets, notes what it is asked, and answers when the test does; on a port or a path."""

    def __init__(self) -> None:
        self.address = ""
        self.connections: list[asyncio.StreamWriter] = []
        self._asked: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._came = asyncio.Condition()

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, path: str = "") -> AsyncIterator[Scripted]:
        scripted = cls()
        if path:
            server = await asyncio.start_unix_server(scripted._serve, path)
            scripted.address = f"unix:{path}"
        else:
            server = await asyncio.start_server(scripted._serve, "127.0.0.1", 0)
            scripted.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield scripted
        finally:
            # Accepts the last connections first: once the server is closed, asyncio loses them, open.
            for _ in range(TURNS):
                await asyncio.sleep(0)
            server.close()
            for writer in scripted.connections:
                writer.transport.abort()
            await asyncio.sleep(0)

    def pool(self, name: str = "main", **options: float) -> Pool:
        return Pool(name, (Server.parse(self.address),), **options)

    def route(self, name: str = "main", **options: float) -> PoolRoute:
        return PoolRoute(self.pool(name, **options))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n")
                if request == b"version\r\n":
                    writer.write(b"VERSION 1.6\r\n")
                    continue
                if request in (b"stats\r\n", b"stats settings\r\n"):
                    # The server is empty: one flush is enough.
                    writer.write(b"STAT curr_items 0\r\nEND\r\n")
                    continue
                if request.startswith(b"set "):
                    request += await reader.readexactly(int(request.split()[4]) + 2)
                async with self._came:
                    self._asked.append((writer, request))
                    self._came.notify_all()

    async def asked(self) -> tuple[asyncio.StreamWriter, bytes]:
        """The next request, and whom to answer."""
        async with self._came:
            await self._came.wait_for(lambda: self._asked)
            return self._asked.pop(0)

    @property
    def is_idle(self) -> bool:
        return not self._asked


@dataclass
class Outside:
    """outside.py at work."""

    process: subprocess.Popen[str]
    counts: Path
    port: int

    @classmethod
    @contextlib.contextmanager
    def running(cls, counts: Path, *keys: str) -> Iterator[Outside]:
        counts.write_bytes(bytes(8 * len(keys)))
        command = [sys.executable, str(SCRIPT), str(counts), *keys]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_environment()
        ) as process:
            try:
                assert process.stdout is not None
                yield cls(process, counts, int(process.stdout.readline()))
            finally:
                process.kill()

    def ask(self, port: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{port}\n")
        self.process.stdin.flush()

    def replies(self) -> tuple[int, ...]:
        data = self.counts.read_bytes()
        return struct.unpack(f"={len(data) // 8}Q", data)

    async def goes_on(self) -> None:
        """Returns when every key was answered once more."""
        before = self.replies()
        while any(now <= then for now, then in zip(self.replies(), before, strict=True)):
            await asyncio.sleep(0.005)
