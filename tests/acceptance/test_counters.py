"""`cmd_*`, `*_hits` and the like of the proxy's `stats` grow as those of a memcached itself."""

from __future__ import annotations

import asyncio

import pytest

from mcroute.testing import find_memcached

from .drivers import Run
from .pairs import MARK, MARKED, pair, say

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

# Each on its own; h is there and holds 7, m never is. CAS stands for h's number.
COMMANDS = [
    *(b"get h", b"get m", b"get h m h", b"gets h", b"gets m h", b"get " + b"k" * 251),
    *(b"gat 0 h", b"gat 0 m", b"gat 0 h m", b"gats 0 h", b"gats 0 m"),
    *(b"set s 0 0 1\r\nx", b"add h 0 0 1\r\nx", b"add f 0 0 1\r\nx", b"set s 0 0 1 noreply\r\nx"),
    *(b"replace h 0 0 1\r\n7", b"replace m 0 0 1\r\nx", b"append m 0 0 1\r\nx", b"append s 0 0 1\r\nx"),
    *(b"prepend s 0 0 1\r\nx", b"prepend m 0 0 1\r\nx", b"cas h 0 0 1 1\r\nx", b"cas m 0 0 1 1\r\nx"),
    *(b"delete f", b"delete m", b"touch h 0", b"touch m 0", b"flush_all 100"),
    *(b"incr h 1", b"incr m 1", b"incr s 1", b"decr h 1", b"decr m 1"),
    *(b"set s x 0 1\r\nx", b"bogus", b"version", b"verbosity 1", b"incr h x", b"touch h x"),
    *(b"mg h", b"mg m", b"mg h v", b"mg m v", b"mg h v q", b"mg m v q", b"mg h s t f", b"mg h R30"),
    *(b"mg h k O1 c", b"mg h T0 v", b"mg m T0 v", b"mg n N30 v", b"mg n N30 v"),
    *(b"ms s 1\r\nx", b"ms s 1 ME\r\nx", b"ms m 1 MR\r\nx", b"ms m 1 MA\r\nx", b"ms s 1 MA\r\nx"),
    *(b"ms s 1 C1\r\nx", b"ms m 1 C1\r\nx", b"ms v 1 MA N30\r\nx", b"ms s 1 q\r\nx"),
    *(b"cas h 0 0 1 CAS\r\nx", b"ms h 1 CCAS\r\nx", b"ms h 1 CCAS I\r\nx", b"ms h 1 C1 MR\r\nx"),
    *(b"md h", b"md m", b"md h I T30", b"md m I", b"md h C1", b"md h I C1", b"md m C1", b"md h CCAS"),
    *(b"ma h", b"ma m", b"ma h MD", b"ma m MD", b"ma h q", b"ma h C1", b"ma h N0 J5", b"ma s"),
    *(b"md m q", b"mn", b"me h", b"me m"),
]
PREPARED = b"set h 0 0 1 noreply\r\n7\r\nset k 0 0 1 noreply\r\n7\r\n"
COUNTERS = [
    *("cmd_get", "cmd_set", "cmd_flush", "cmd_touch", "cmd_meta", "get_hits", "get_misses"),
    *("delete_hits", "delete_misses", "incr_hits", "incr_misses", "decr_hits", "decr_misses"),
    *("touch_hits", "touch_misses", "cas_hits", "cas_misses", "cas_badval"),
]


async def counters(port: int) -> dict[str, int]:
    answer = await say(port, [b"stats\r\n"], b"END\r\n", b"", timeout_s=20)
    rows = dict(line.split()[1:3] for line in answer.decode().splitlines() if line.startswith("STAT "))
    return {name: int(rows[name]) for name in COUNTERS}


async def growth(port: int, command: bytes) -> dict[str, int]:
    """The counters to which the command adds after the preparation, and how much."""
    await say(port, [PREPARED + MARK], MARKED, b"", timeout_s=20)
    if b"CAS" in command:
        answer = await say(port, [b"gets h\r\n"], b"END\r\n", b"", timeout_s=20)
        command = command.replace(b"CAS", answer.split()[4])
    before = await counters(port)
    await say(port, [command + b"\r\nverbosity 1\r\n"], b"OK\r\n", b"", timeout_s=20)
    after = await counters(port)
    return {name: after[name] - before[name] for name in COUNTERS if after[name] != before[name]}


def test_each_command_counts_as_memcached_counts_it(driver: str, run: Run) -> None:
    async def scenario() -> None:
        async with pair(driver) as peers:
            for command in COMMANDS:
                direct, proxied = await asyncio.gather(
                    growth(peers.direct.port, command), growth(peers.proxy.port, command)
                )
                assert (command, proxied) == (command, direct)

    run(scenario())
