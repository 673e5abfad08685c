"""The load generator believes nothing: whatever is wrong with a reply, it says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mcroute.testing import EmbeddedServer

from .lying import Hits, LyingServer, block, truth

Load = Callable[..., dict[str, Any]]
KEYS = ("--keys", "60", "--prefix", "k", "--size", "90:300")
BRIEF = (*KEYS, "--seconds", "5", "--requests", "40", "--timeout", "0.2")
RIGHT, FAILED, WRONG = 0, 2, 3


@pytest.fixture
def server(load: Load) -> Iterator[LyingServer]:
    with LyingServer() as server:
        assert load(server.port, *KEYS, "--fill", "--depth", "8")["status"] == RIGHT
        yield server


def flip(value: bytes) -> bytes:
    middle = len(value) // 2
    return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]


def with_first(change: Callable[[bytes, bytes, bytes], bytes]) -> Callable[[Hits], bytes]:
    """The reply to a get, with a changed first value."""
    return lambda hits: change(*hits[0]) + truth(hits[1:])


LIES: dict[str, Callable[[Hits], bytes | None]] = {
    "another byte": with_first(lambda key, flags, value: block(key, flags, flip(value))),
    "other flags": with_first(lambda key, flags, value: block(key, flags + b"1", value)),
    "a shorter value": with_first(lambda key, flags, value: block(key, flags, value[:-1])),
    "a longer value": with_first(lambda key, flags, value: block(key, flags, value + b"x")),
    "a value cut in transit": with_first(lambda *hit: block(*hit)[:-3] + b"\r\n"),
    "no line end after it": with_first(lambda *hit: block(*hit)[:-2] + b"xx"),
    "a key that was not asked for": with_first(lambda key, *hit: block(key[:-2] + b"zz", *hit)),
    "a value twice": lambda hits: block(*hits[0]) + truth(hits),
    "values crossed": lambda hits: truth(
        [(key, *hit[1:]) for (key, *_), hit in zip(hits, reversed(hits), strict=True)]
    ),
    "the reply to a set": lambda hits: b"STORED\r\n",
    "one reply too many": lambda hits: truth(hits) + b"END\r\n",
    "a line without CR": lambda hits: truth(hits)[:-2] + b"\n",
    "a zero byte": lambda hits: b"END\0\r\n",
    "an endless line": lambda hits: b"VALUE " + b"x" * 2000,
    "a number that is none": with_first(lambda key, flags, value: b"VALUE %s x 1\r\n" % key),
    "no reply": lambda hits: b"",
    "half a reply": lambda hits: truth(hits)[:40],
    "a closed connection": lambda hits: None,
}


@pytest.mark.parametrize("multiget", ["2", "5"])
@pytest.mark.parametrize("lie", LIES)
def test_a_wrong_or_missing_reply_is_noticed(
    lie: str, multiget: str, server: LyingServer, load: Load
) -> None:
    replies = 0

    def reply(hits: Hits) -> bytes | None:
        nonlocal replies
        replies += 1
        return LIES[lie](hits) if replies == 7 else truth(hits)

    server.reply = reply
    report = load(server.port, *BRIEF, "--multiget", multiget, "--seconds", "0.3")
    assert report["status"] == WRONG
    assert report["wrong"] + report["lost"] > 0


def test_replies_that_two_connections_swapped_are_noticed(server: LyingServer, load: Load) -> None:
    replies: list[bytes] = []

    def reply(hits: Hits) -> bytes:
        replies.append(truth(hits))
        return replies[-2] if len(replies) > 20 else replies[-1]

    server.reply = reply
    report = load(server.port, *BRIEF, "--connections", "2", "--seconds", "0.5")
    assert report["status"] == WRONG
    assert "was not asked for" in report["complaints"]


@pytest.mark.parametrize(
    ("reply", "counter"),
    [
        (lambda hits: truth(hits[1:]), "misses"),
        (lambda hits: b"SERVER_ERROR out of memory\r\n", "refused"),
    ],
)
def test_a_miss_or_an_error_fails_without_being_wrong(
    reply: Callable[[Hits], bytes], counter: str, server: LyingServer, load: Load
) -> None:
    server.reply = reply
    report = load(server.port, *BRIEF)
    assert (report["status"], report["wrong"], report["lost"]) == (FAILED, 0, 0)
    assert report[counter] >= 40
    assert report["trouble"]


def test_values_may_come_in_any_order_and_that_is_counted(server: LyingServer, load: Load) -> None:
    server.reply = lambda hits: truth(hits[::-1])
    report = load(server.port, *BRIEF, "--multiget", "5")
    assert (report["status"], report["wrong"], report["hits"]) == (RIGHT, 0, report["keys"])
    assert report["out_of_order"] > 0


@pytest.mark.parametrize(
    "options",
    [
        "--connections 5 --sets 10",
        "--connections 5 --sets 100 --depth 16",
        "--connections 2 --sets 20 --depth 16 --window",
        "--multiget 24",
        "--zipf 0.99 --depth 100",
        "--pools 3",
    ],
)
def test_right_replies_are_right(options: str, embedded_server: EmbeddedServer, load: Load) -> None:
    pools = ("--pools", "3") if "pools" in options else ()
    assert load(embedded_server.port, *KEYS, *pools, "--fill")["status"] == RIGHT
    report = load(embedded_server.port, *BRIEF, *options.split())
    assert report["status"] == RIGHT, report
    assert report["requests"] >= 40
    assert report["requests"] == report["gets"] + report["sets"]
    assert 0 < report["p50_us"] <= report["p99_us"]


def test_reported_cpu_times_are_consistent(embedded_server: EmbeddedServer, load: Load) -> None:
    assert load(embedded_server.port, *KEYS, "--fill")["status"] == RIGHT
    report = load(embedded_server.port, *BRIEF, "--watch", "load=0")
    spent = report["cpu"]["load"]
    assert 0 < spent["us"] < report["seconds"] * 1e6
    assert spent["us_per_request"] == pytest.approx(spent["us"] / report["requests"], rel=0.01)


def test_a_server_that_is_not_there_is_a_line_of_text(load: Load) -> None:
    with EmbeddedServer() as server:
        port = server.port
    report = load(port, *BRIEF)
    assert report["status"] == 1
    assert "Connection refused" in report["complaints"]
