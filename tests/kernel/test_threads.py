"""Objects that threads share stay whole, with the GIL and without: a call waits for the one under way.

Without the GIL these tests are about memory: what is not guarded there crashes within a second.
"""

from __future__ import annotations

import pytest

from mcroute import NEED_DATA, ReplyParser, RequestParser, Ring
from tests.threads import together

THREADS, ROUNDS = 4, 3000


@pytest.mark.parametrize(
    ("parser", "messages"),
    [
        (RequestParser, (b"set k 0 0 5\r\nhello\r\n", b"get aaaa bbbb\r\n")),
        (ReplyParser, (b"VALUE k 0 5\r\nhello\r\n", b"END\r\n")),
    ],
    ids=["requests", "replies"],
)
def test_threads_may_share_a_parser(
    parser: type[RequestParser | ReplyParser], messages: tuple[bytes, bytes]
) -> None:
    shared = parser()

    def work(number: int) -> list[bytes]:
        taken = []
        for _ in range(ROUNDS):
            shared.feed(b"".join(messages))
            for _ in messages:
                if (message := shared.next_message()) is not NEED_DATA:
                    taken.append(message.raw)
        return taken

    taken = [raw for each in together(THREADS, work) for raw in each]
    taken += [message.raw for message in iter(shared.next_message, NEED_DATA)]
    assert [taken.count(message) for message in messages] == [THREADS * ROUNDS] * 2
    assert len(taken) == 2 * THREADS * ROUNDS


def test_threads_may_share_a_ring_that_caches_its_last_lookup() -> None:
    servers = [f"10.0.0.{i}:11211:1" for i in range(4)]
    ring = Ring.like("twemproxy", servers, out="theirs", auto_eject_hosts=True)
    keys = [b"k%d" % i for i in range(50)]
    expected = [[ring.owner(key, skip=[out]) for key in keys] for out in range(4)]

    def work(number: int) -> bool:
        return all([ring.owner(key, skip=[number]) for key in keys] == expected[number] for _ in range(5))

    assert together(4, work) == [True] * 4
