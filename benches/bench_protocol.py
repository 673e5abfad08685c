"""Nanoseconds per parsed message, in C and as Python objects: best of five."""

import time
from collections.abc import Callable

from mcroute._protocol import NEED_DATA, ReplyParser, RequestParser, count_replies, count_requests

COUNT = 20_000
REQUESTS = b"get k\r\n" * COUNT
REPLIES = (b"VALUE k 0 100\r\n" + b"v" * 100 + b"\r\n") * COUNT


def drain(parser: RequestParser | ReplyParser, data: bytes) -> None:
    parser.feed(data)
    while parser.next_message() is not NEED_DATA:
        pass


def measure(name: str, work: Callable[[], object]) -> None:
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    print(f"{name:24} {best / COUNT * 1e9:7.1f} ns")


if __name__ == "__main__":
    assert count_requests(REQUESTS) == count_replies(REPLIES) == COUNT
    measure("get, C", lambda: count_requests(REQUESTS))
    measure("VALUE of 100, C", lambda: count_replies(REPLIES))
    measure("get, object", lambda: drain(RequestParser(), REQUESTS))
    measure("VALUE of 100, object", lambda: drain(ReplyParser(), REPLIES))
