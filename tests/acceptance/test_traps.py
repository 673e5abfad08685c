"""Traps of memcached itself, found live: through mcroute they are what they are without it.

The numbers are those of the table in tests/kernel/test_protocol_abuse.py, which names a test for every trap.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from mcroute.policy import Pool, PoolRoute
from mcroute.testing import find_memcached

from .differences import Differences
from .drivers import start_proxy
from .pairs import MARK, MARKED, memcached_version, pair

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

TOO_LARGE = b"1048570\r\n" + b"v" * 1048570

TRAPS = {
    "a cas is compared for equality only, and I lets an older one win": [
        b"ms k 1 E100\r\na",
        b"ms k 1 C90 E90 I\r\nb",
        b"mg k v c t s",
        b"ms k 1 C110 E110 I\r\nc",
        b"mg k v c",
    ],
    "stubs and stale items are ordinary hits to classic commands": [
        b"mg n N30 v",
        b"get n",
        b"gats 30 n",
        b"ms k 1\r\na",
        b"md k I T30",
        b"get k",
        b"mg k v",
        b"mg k v",
        b"gat 30 k",
    ],
    "a stub lets add fail and append build": [
        b"mg n N30",
        b"add n 0 0 1\r\na",
        b"append n 0 0 1\r\nb",
        b"get n",
        b"replace n 0 0 1\r\nc",
        b"mg n v",
    ],
    "append makes a stale item fresh, incr does not": [
        b"ms k 1 T60\r\n5",
        b"md k I T30",
        b"append k 0 0 1\r\n6",
        b"mg k v",
        b"md k I T30",
        b"incr k 1",
        b"touch k 100",
        b"mg k v t",
    ],
    "classic writes put a small cas in the place of a given one": [
        b"ms k 1 E1000000000000\r\n1",
        b"incr k 1",
        b"mg k c v",
        b"ms k 1 E1000000000000\r\n1",
        b"append k 0 0 1\r\n2",
        b"gets k",
    ],
    "md with x leaves an item behind": [
        b"ms k 1 F5 T60\r\na",
        b"md k x",
        b"mg k t f v s",
        b"md k x F7 T30",
        b"mg k f",
    ],
    "md with x of nothing leaves nothing": [b"md k I x", b"mg k v", b"add k 0 0 1\r\na"],
    "too large a value takes the old one with it, but for add": [
        b"set k 0 0 1\r\na",
        b"add k 0 0 " + TOO_LARGE,
        b"get k",
        b"ms k " + TOO_LARGE.replace(b"\r\n", b" ME\r\n", 1),
        b"get k",
        b"set k 0 0 1\r\na",
        b"set k 0 0 " + TOO_LARGE,
        b"get k",
    ],
    "a flag that the server is too old for keeps the stream in step": [
        b"ms k 1 E5 I\r\na",
        b"md k x q",
        b"mg k E1",
    ],
    "a lifetime over 30 days is a point in time": [
        b"set k 0 2678400 1\r\na",
        b"get k",
        b"ms k 1 T2678400\r\na",
        b"mg k v t",
    ],
    "decr leaves a blank, incr wraps": [
        b"set k 0 0 2\r\n10",
        b"decr k 1",
        b"get k",
        b"set k 0 0 20\r\n18446744073709551615",
        b"incr k 2",
        b"get k",
    ],
}


async def both(driver: str, messages: list[bytes]) -> list[list[bytes]]:
    """The answers to each, one at a time: packed together, memcached itself may answer otherwise."""
    async with pair(driver) as peers:
        await peers.level()
        return [await peers.say(message + b"\r\n" + MARK, MARKED, b"", []) for message in messages]


@pytest.mark.parametrize("name", TRAPS)
def test_traps_are_what_they_are_without_a_proxy(driver: str, name: str) -> None:
    async def scenario() -> None:
        direct, proxied = zip(*await both(driver, TRAPS[name]), strict=True)
        assert Differences.read().same(list(direct), list(proxied), memcached_version()), (direct, proxied)

    asyncio.run(scenario())


def test_nobody_listens_on_udp(driver: str) -> None:
    async def scenario() -> None:
        proxy = await start_proxy(driver, PoolRoute(Pool.of("main", ["127.0.0.1:1"])))
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                datagrams.settimeout(5)
                datagrams.connect(("127.0.0.1", proxy.port))
                datagrams.send(b"\x00\x01\x00\x00\x00\x01\x00\x00stats\r\n")
                with pytest.raises(ConnectionRefusedError):
                    datagrams.recv(2048)
        finally:
            await proxy.close(0.1)

    asyncio.run(scenario())
