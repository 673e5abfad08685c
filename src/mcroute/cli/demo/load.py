"""Clients that read and write through a memcached port, and check every value that they are given.

Each key is written by one client only, so that it is known at any time which values a read may see: at least
the last one whose storing was confirmed when the read began, at most the last one that was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from random import Random

from .tally import Tally

__all__ = ("Load",)

READ_SHARE = 0.9
VALUE_SIZE = 100
# The proxy answers within its deadline of a second; a client that waits for so long counts an error.
ANSWER_TIMEOUT_S = 5.0
RECONNECT_S = 0.1
# How long a pause may keep a client from noticing the end.
PAUSE_S = 0.2


class BadReply(Exception):
    """Anything but the reply of a server that works."""


class Client:
    """One connection that speaks the classic protocol."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, key: str) -> bytes | None:
        """The value; None for a miss. Raises BadReply, OSError, EOFError."""
        name = key.encode()
        line = await self._ask(b"get %s\r\n" % name)
        if line == b"END\r\n":
            return None
        words = line.split()
        if len(words) != 4 or words[:3] != [b"VALUE", name, b"0"] or not words[3].isdigit():
            raise BadReply(f"get {key}: {line[:80]!r}")
        value = await self._reader.readexactly(int(words[3]) + 7)
        if not value.endswith(b"\r\nEND\r\n"):
            raise BadReply(f"get {key}: {value[-80:]!r}")
        return value[:-7]

    async def set(self, key: str, value: bytes) -> None:
        """Returns when the value is stored. Raises BadReply, OSError, EOFError."""
        line = await self._ask(b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(value), value))
        if line != b"STORED\r\n":
            raise BadReply(f"set {key}: {line[:80]!r}")

    async def _ask(self, request: bytes) -> bytes:
        self._writer.write(request)
        return await self._reader.readuntil(b"\r\n")

    def abort(self) -> None:
        self._writer.transport.abort()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Load:
    """`clients` connections to one port, with `rate` requests a second between them, on `keys` keys.

    When `over` is set, every client finishes the request that it has begun, and disconnects.
    """

    def __init__(
        self,
        port: int,
        *,
        clients: int,
        keys: int,
        rate: float,
        rng: Random,
        tally: Tally,
        over: asyncio.Event,
    ) -> None:
        self._port = port
        self._client_count = clients
        self._key_count = keys
        self._mean_pause_s = clients / rate
        self._rng = rng
        self._tally = tally
        self._loop = asyncio.get_running_loop()
        self._sent = [0] * keys
        self._stored = [0] * keys
        self._over = over

    async def fill(self) -> None:
        """Stores every key once."""
        await asyncio.gather(*(self._fill(number) for number in range(self._client_count)))

    async def run(self) -> None:
        """Reads and writes until it is over."""
        seeds = [self._rng.getrandbits(63) for _ in range(self._client_count)]
        await asyncio.gather(*(self._run(number, Random(seed)) for number, seed in enumerate(seeds)))

    # ---- clients ----

    def _own_keys(self, number: int) -> range:
        return range(number, self._key_count, self._client_count)

    async def _fill(self, number: int) -> None:
        client: Client | None = None
        for key in self._own_keys(number):
            if not self._over.is_set():
                client = await self._request(client, key, is_read=False)
        if client is not None:
            await client.close()

    async def _run(self, number: int, rng: Random) -> None:
        own = self._own_keys(number)
        client: Client | None = None
        due_at = self._loop.time()
        while not self._over.is_set():
            due_at += rng.expovariate(1.0 / self._mean_pause_s)
            await self._sleep_until(due_at)
            # With more clients than keys some own none, and only read.
            is_read = not own or rng.random() < READ_SHARE
            key = rng.randrange(self._key_count) if is_read else rng.choice(own)
            if not self._over.is_set():
                client = await self._request(client, key, is_read)
        if client is not None:
            await client.close()

    async def _sleep_until(self, due_at: float) -> None:
        while not self._over.is_set() and (left := due_at - self._loop.time()) > 0:
            await asyncio.sleep(min(left, PAUSE_S))

    async def _request(self, client: Client | None, key: int, is_read: bool) -> Client | None:
        """One request, counted. Returns the connection for the next one; None when it is of no more use."""
        # Not the loop's time: uvloop counts that in milliseconds.
        started_at = time.perf_counter()
        is_good = False
        try:
            client = client or await Client.to(self._port)
            is_good = await self._is_answered(client, key, is_read)
        except OSError as error:
            self._tally.error(_describe(error))
        self._tally.answered(time.perf_counter() - started_at)
        if is_good:
            return client
        if client is not None:
            client.abort()
        await asyncio.sleep(RECONNECT_S)
        return None

    async def _is_answered(self, client: Client, key: int, is_read: bool) -> bool:
        timeout = self._loop.call_later(ANSWER_TIMEOUT_S, client.abort)
        try:
            await (self._read(client, key) if is_read else self._write(client, key))
        except (BadReply, OSError, EOFError) as error:
            self._tally.error(_describe(error))
            return False
        finally:
            timeout.cancel()
        return True

    # ---- requests, and the check of what comes back ----

    async def _read(self, client: Client, key: int) -> None:
        least = self._stored[key]
        value = await client.get(_name(key))
        self._tally.read(is_hit=value is not None)
        if value is None:
            return
        owner, _, number = value.rstrip(b".").partition(b"=")
        if owner != _name(key).encode() or not number.isdigit() or int(number) > self._sent[key]:
            self._tally.wrong(f"get {_name(key)}: {value[:80]!r}, which nobody stored there")
        elif int(number) < least:
            self._tally.stale(f"get {_name(key)}: {value[:80]!r}, after number {least} was stored")

    async def _write(self, client: Client, key: int) -> None:
        self._sent[key] += 1
        value = b"%s=%d" % (_name(key).encode(), self._sent[key])
        await client.set(_name(key), value.ljust(VALUE_SIZE, b"."))
        self._stored[key] = self._sent[key]


def _name(key: int) -> str:
    return f"key:{key}"


def _describe(error: BadReply | OSError | EOFError) -> str:
    if isinstance(error, BadReply):
        return str(error)
    return f"the connection to the proxy failed: {error or type(error).__name__}"
