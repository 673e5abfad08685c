"""The proxy's own stats, as a client sees them."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator

import pytest

from mcroute import __version__
from mcroute.asyncio import start_proxy
from mcroute.policy import Pool, PoolRoute, Server
from mcroute.testing import EmbeddedServer


@pytest.fixture
def servers() -> Iterator[list[EmbeddedServer]]:
    with EmbeddedServer() as one, EmbeddedServer() as other:
        yield [one, other]


def ask(servers: list[EmbeddedServer], conversation: list[bytes]) -> list[bytes]:
    """The replies to one client, each up to its END or the end of its only line."""

    async def scenario() -> list[bytes]:
        members = tuple(Server(f"cache-{i}", s.host, s.port) for i, s in enumerate(servers))
        async with await start_proxy(PoolRoute(Pool("main", members))) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            replies = []
            for request in conversation:
                writer.write(request + b"\r\n")
                reply = await reader.readline()
                while reply.startswith((b"STAT ", b"VALUE ")) and not reply.endswith(b"END\r\n"):
                    reply += await reader.readline()
                replies.append(reply)
            writer.close()
            return replies

    return asyncio.run(scenario())


def rows(reply: bytes) -> dict[str, str]:
    lines = reply.decode().split("\r\n")
    assert lines[-2:] == ["END", ""]
    assert all(line.startswith("STAT ") for line in lines[:-2])
    return dict(line.split(" ", 2)[1:] for line in lines[:-2])


def test_stats_that_memcached_monitors_read_are_there(servers):
    _, reply, version = ask(servers, [b"get a", b"stats", b"version"])
    counted = rows(reply)
    assert counted["pid"] == str(os.getpid())
    # node's memcached reads digits to the end of the line.
    assert re.fullmatch(r"VERSION (\d+\.\d+\.\d+)\r\n", version.decode())[1] == counted["version"]
    assert counted["mcroute"] == __version__
    assert counted["pointer_size"] in ("32", "64")
    assert float(counted["rusage_user"]) > 0
    assert (counted["curr_connections"], counted["total_connections"]) == ("1", "1")
    assert counted["uptime"].isdecimal() and counted["time"].isdecimal()


def test_its_own_counters_are_there(servers):
    counted = rows(ask(servers, [b"get a", b"nonsense", b"stats"])[2])
    assert (counted["requests"], counted["refused"], counted["timeouts"]) == ("3", "1", "0")
    assert (counted["servers"], counted["servers_up"]) == ("2", "2")


def test_commands_are_counted_as_memcached_does(servers):
    talk = [b"set a 0 0 1\r\n1", b"get a b c", b"incr a 1", b"incr b 1", b"touch a 0", b"delete c"]
    *_, results, counted = ask(servers, [*talk, b"stats results", b"stats"])
    assert rows(results)["get:hit"] == "1"
    assert rows(results)["get:miss"] == "2"
    expected = {
        "cmd_get": "3", "get_hits": "1", "get_misses": "2", "cmd_set": "1", "incr_hits": "1",
        "incr_misses": "1", "cmd_touch": "1", "touch_hits": "1", "delete_misses": "1",
    }  # fmt: skip
    assert {name: rows(counted)[name] for name in expected} == expected
    assert int(rows(counted)["bytes_read"]) > 0 < int(rows(counted)["bytes_written"])


def test_every_server_is_listed(servers):
    gets = [b"get k%d" % i for i in range(10)]
    counted = rows(ask(servers, [*gets, b"stats servers"])[-1])
    for i, server in enumerate(servers):
        assert counted[f"cache-{i}:address"] == server.address
        assert counted[f"cache-{i}:version"].startswith("1.6.")
        assert counted[f"cache-{i}:state"] == "up"
        assert counted[f"cache-{i}:last_change_s"] == "0"
        assert counted[f"cache-{i}:connected"] == "1"
        assert counted[f"cache-{i}:failed"] == counted[f"cache-{i}:missed_writes"] == "0"
    assert sum(int(counted[f"cache-{i}:requests"]) for i in (0, 1)) == len(gets)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"stats reset", b"CLIENT_ERROR mcroute never resets its counters\r\n"),
        (b"stats detail on", b"CLIENT_ERROR not offered through mcroute\r\n"),
        (b"stats detail dump", b"END\r\n"),
        (b"stats conns", b"END\r\n"),
        (b"stats cachedump 1 0", b"END\r\n"),
        (b"stats servers 1", b"END\r\n"),
        (b"stats noreply", b"END\r\n"),
        (b"stats \xff", b"END\r\n"),
    ],
)
def test_the_rest_ends_as_memcached_ends_it(servers, line, reply):
    assert ask(servers, [line, b"get a"]) == [reply, b"END\r\n"]
