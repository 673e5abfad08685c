"""Two servers of one version: one is spoken to directly, the other through a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from itertools import pairwise

from mcroute.policy import Pool, PoolRoute
from mcroute.testing import MemcachedServer, find_memcached

from .drivers import AnyProxy, start_proxy

MARK = b"mn\r\n"
MARKED = b"MN\r\n"
TIMED_OUT = b"<nothing more>"


def memcached_version() -> str:
    output = subprocess.run([find_memcached() or "", "-V"], capture_output=True, text=True, check=True).stdout
    return output.split()[1]


@dataclass
class Pair:
    """A server of its own, and the same behind a proxy."""

    direct: MemcachedServer
    behind: MemcachedServer
    proxy: AnyProxy

    async def say(self, data: bytes, end: bytes, tail: bytes, cuts: list[int]) -> list[bytes]:
        """The answer of each."""
        pieces = cut(data, cuts)
        return list(
            await asyncio.gather(
                say(self.direct.port, pieces, end, tail), say(self.proxy.port, pieces, end, tail)
            )
        )

    async def level(self) -> None:
        """Brings both servers to the same CAS counter, from which a difference may have led one away."""
        ports = (self.direct.port, self.behind.port)
        ask = b"ms level 0 c\r\n\r\n"
        counters = [int((await say(port, [ask], b"\r\n", b"")).split(b"c")[1]) for port in ports]
        for port, counter in zip(ports, counters, strict=True):
            step = b"set noreply 0 0 0 noreply\r\n\r\n"
            await say(port, [step * (max(counters) - counter) + b"md noreply q\r\n" + MARK], MARKED, b"")


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, *(place % (len(data) + 1) for place in cuts), len(data)})
    return [data[start:end] for start, end in pairwise(places)]


async def say(port: int, pieces: list[bytes], end: bytes, tail: bytes, timeout_s: float = 5) -> bytes:
    """Sends the pieces, waits for `end` in the replies, sends the tail, hangs up; returns all that came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = bytearray()

    async def listen(until: bytes) -> None:
        while not received.endswith(until) if until else True:
            data = await reader.read(1 << 16)
            received.extend(data)
            if not data:
                break

    async def talk() -> None:
        listening = asyncio.create_task(listen(end))
        # A server that closes in the middle ends the sending, not the reading.
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        await listening
        writer.write(tail)
        if not reader.at_eof():
            writer.write_eof()
        await listen(b"")

    try:
        await asyncio.wait_for(talk(), timeout_s)
    except asyncio.TimeoutError:
        received += TIMED_OUT
    except OSError:
        # Sending failed: the server had closed the connection.
        pass
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return bytes(received)


@contextlib.asynccontextmanager
async def pair(driver: str = "asyncio", timeout_s: float | None = None) -> AsyncIterator[Pair]:
    """With this timeout for replies and requests, or the default ones."""
    with MemcachedServer() as direct, MemcachedServer() as behind:
        pool = Pool.of("main", [behind.address])
        if timeout_s is not None:
            pool = replace(pool, reply_timeout_s=timeout_s, deadline_s=timeout_s)
        proxy = await start_proxy(driver, PoolRoute(pool), threads=1)
        try:
            yield Pair(direct, behind, proxy)
        finally:
            await proxy.close(0.1)
