"""Lists of keys that memcached sends: read piece by piece, refused, and busy."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest

from mcroute.drivers.asyncio.addresses import Resolver
from mcroute.drivers.asyncio.control import AsyncioControl
from mcroute.drivers.asyncio.lookups import Lookups
from mcroute.policy import Server
from mcroute.policy.dumps import DumpedKey, meta_key, mg_key
from mcroute.runtime.dumps import DumpBusy, DumpRefused
from mcroute.testing import MemcachedServer, find_memcached

from .pairs import memcached_version

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

# Longer than what is received ahead, so that the server waits for the reader.
KEYS = 40_000


def control() -> AsyncioControl:
    return AsyncioControl(Resolver(Lookups()), Random(1))


def server_of(memcached: MemcachedServer) -> Server:
    return Server(memcached.address, memcached.host, memcached.port)


def store(memcached: MemcachedServer, requests: list[bytes]) -> None:
    with socket.create_connection((memcached.host, memcached.port)) as client:
        for first in range(0, len(requests), 1000):
            client.sendall(b"".join(requests[first : first + 1000]) + b"mn\r\n")
            received = b""
            while not received.endswith(b"MN\r\n"):
                received += client.recv(1 << 16)


async def read(server: Server, name: bytes, pause_s: float = 0.0) -> list[bytes]:
    dump = await control().dump(server, name)
    lines: list[bytes] = []
    try:
        while some := await dump.lines():
            lines += some
            await asyncio.sleep(pause_s)
    finally:
        dump.close()
    return lines


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 40))


def test_a_slow_reader_gets_every_key_in_one_spelling() -> None:
    with MemcachedServer() as memcached:
        plain = {b"user:%d/%b" % (i, b"x" * (i % 100)) for i in range(KEYS)}
        unfit = {b"two words %d" % i for i in range(10)}
        spelled = {base64.b64encode(key) for key in unfit}
        store(memcached, [b"set %b 0 0 1\r\nx\r\n" % key for key in plain])
        store(memcached, [b"ms %b 1 b\r\nx\r\n" % key for key in spelled])
        lines = run(read(server_of(memcached), b"metadump hash", 0.002))
        found = [key for line in lines if (key := meta_key(line)) is not None]
    assert len(found) == len(lines) == KEYS + 10
    assert {key.key for key in found if not key.is_base64} == plain
    assert {key.key for key in found if key.is_base64} == spelled


def test_keys_that_clients_spell_in_base64_without_need_are_told() -> None:
    if memcached_version() == "1.6.18":
        pytest.skip("1.6.18 has no mgdump")
    with MemcachedServer() as memcached:
        store(memcached, [b"set ab 0 0 1\r\nx\r\n", b"ms YWJj 1 b\r\nx\r\n", b"ms YSBi 1 b\r\nx\r\n"])
        lines = run(read(server_of(memcached), b"mgdump hash"))
    assert len(lines) == 3
    assert [key for line in lines if (key := mg_key(line))] == [DumpedKey(b"YWJj", True, 0)]


def test_an_empty_server_sends_no_lines() -> None:
    with MemcachedServer() as memcached:
        assert run(read(server_of(memcached), b"metadump hash")) == []


def test_a_server_without_dumps_says_so() -> None:
    with MemcachedServer("-X") as memcached, pytest.raises(DumpRefused, match="not allowed"):
        run(read(server_of(memcached), b"metadump hash"))


def test_a_server_sends_one_dump_at_a_time() -> None:
    async def two(server: Server) -> None:
        first = await control().dump(server, b"metadump hash")
        try:
            assert await first.lines()
            with pytest.raises(DumpBusy, match="BUSY"):
                await read(server, b"metadump hash")
        finally:
            first.close()
        # The crawler notices that its client has left.
        while True:
            try:
                return await read(server, b"metadump hash") and None
            except DumpBusy:
                await asyncio.sleep(0.1)

    with MemcachedServer() as memcached:
        # More than the sockets take, so that the first dump does not end.
        key = b"k" * 230
        store(memcached, [b"set %b%d 0 0 1\r\nx\r\n" % (key, i) for i in range(KEYS)])
        run(two(server_of(memcached)))


def test_a_dump_that_is_broken_off_is_no_end() -> None:
    async def killed(memcached: MemcachedServer) -> None:
        dump = await control().dump(server_of(memcached), b"metadump hash")
        try:
            assert await dump.lines()
            memcached.kill()
            with pytest.raises(ConnectionError):
                while await dump.lines():
                    """More of it."""
        finally:
            dump.close()

    with MemcachedServer() as memcached:
        store(memcached, [b"set %b%d 0 0 1\r\nx\r\n" % (b"k" * 230, i) for i in range(KEYS)])
        run(killed(memcached))
