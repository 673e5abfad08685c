"""A get of any number of keys is answered as by a memcached itself, with bytes as sockets carry them."""

from __future__ import annotations

import asyncio

import pytest

from mcroute.testing import find_memcached

from .drivers import Run
from .pairs import Pair, pair, say

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

END = b"END\r\n"
KEYS = [b"%0240d" % i for i in range(10_000)]
SHORT = [b"y%06d" % i for i in range(150_000)]
TIMEOUT_S = 40.0


async def both(peers: Pair, data: bytes) -> list[bytes]:
    """The answers of memcached and mcroute, up to the first END."""
    ports = (peers.direct.port, peers.proxy.port)
    return list(await asyncio.gather(*(say(port, [data], END, b"", timeout_s=TIMEOUT_S) for port in ports)))


def test_ten_thousand_long_keys_and_many_short_ones(driver: str, run: Run) -> None:
    async def scenario() -> None:
        async with pair(driver, TIMEOUT_S) as peers:
            stored = b"".join(b"set %b 7 0 3 noreply\r\nabc\r\n" % key for key in (KEYS[::99] + SHORT[::999]))
            await both(peers, stored + b"get nothing\r\n")
            for command in (b"get", b"get nothing", b"gets"):
                for keys in (KEYS, SHORT) if command == b"get" else (KEYS,):
                    direct, proxied = await both(peers, b"%b %b\r\n" % (command, b" ".join(keys)))
                    assert direct.count(b"VALUE ") == len(keys[:: 99 if keys is KEYS else 999])
                    assert proxied == direct

    run(scenario())


def test_a_client_that_reads_slowly_is_awaited(driver: str, run: Run) -> None:
    async def scenario() -> None:
        async with pair(driver, TIMEOUT_S) as peers:
            value = b"x" * 100_000
            stored = b"".join(b"set %b 0 0 100000 noreply\r\n%b\r\n" % (key, value) for key in KEYS[::50])
            await both(peers, stored + b"get nothing\r\n")
            reader, writer = await asyncio.open_connection("127.0.0.1", peers.proxy.port)
            writer.write(b"get %b\r\n" % b" ".join(KEYS))
            await asyncio.sleep(0.3)
            assert peers.proxy.engine.snapshot().counters["reply_bytes"] < 20 << 20
            items = 0
            while (line := await reader.readline()) != END:
                assert line.startswith(b"VALUE ")
                await reader.readexactly(100_002)
                items += 1
            assert items == len(KEYS[::50])
            writer.close()

    run(scenario())
