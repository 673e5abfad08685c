"""The cost of parsing, next to emcache's parser if emcache is installed.

    PYTHONPATH=src pytest benches/bench_protocol.py --benchmark-only --benchmark-columns=min,median

1000 messages per round: microseconds of a round are nanoseconds of a message. "In C" parses without making
Python objects; emcache's parser takes one reply of many values, as its get_many does.
"""

import asyncio

import pytest

from mcroute._protocol import NEED_DATA, ReplyParser, RequestParser, count_replies, count_requests

try:
    from emcache._cython import cyemcache
except ImportError:
    cyemcache = None

COUNT = 1000
VALUE = b"VALUE k 0 100\r\n" + b"v" * 100 + b"\r\n"
REQUESTS = b"get k\r\n" * COUNT
REPLIES = VALUE * COUNT
REPLY = REPLIES + b"END\r\n"


def drain(parser: RequestParser | ReplyParser, data: bytes) -> int:
    parser.feed(data)
    count = 0
    while parser.next_message() is not NEED_DATA:
        count += 1
    return count


@pytest.mark.benchmark(group="1000 pipelined gets")
def test_gets_in_c(benchmark) -> None:
    assert benchmark(count_requests, REQUESTS) == COUNT


@pytest.mark.benchmark(group="1000 pipelined gets")
def test_gets_as_objects(benchmark) -> None:
    assert benchmark(lambda: drain(RequestParser(), REQUESTS)) == COUNT


@pytest.mark.benchmark(group="1000 values of 100 bytes")
def test_values_in_c(benchmark) -> None:
    assert benchmark(count_replies, REPLIES) == COUNT


@pytest.mark.benchmark(group="1000 values of 100 bytes")
def test_values_as_objects(benchmark) -> None:
    assert benchmark(lambda: drain(ReplyParser(), REPLY)) == COUNT + 1


@pytest.mark.skipif(cyemcache is None, reason="emcache is not installed")
@pytest.mark.benchmark(group="1000 values of 100 bytes")
def test_emcache_values(benchmark) -> None:
    loop = asyncio.new_event_loop()

    def parse() -> int:
        parser = cyemcache.AsciiMultiLineParser(loop.create_future())
        parser.feed_data(REPLY)
        return len(parser.values())

    assert benchmark(parse) == COUNT
    loop.close()
