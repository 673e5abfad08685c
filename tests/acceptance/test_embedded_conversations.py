"""The embedded server holds the conversations of the differential test as a real memcached does."""

from __future__ import annotations

import asyncio
import re
from random import Random

import pytest

from mcroute.testing import EmbeddedServer, MemcachedServer, find_memcached

from .conversations import Speaker
from .differences import Differences
from .pairs import MARK, MARKED, memcached_version, say

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

COUNT = 1000
DIFFERENCES = Differences.read()
# Releases from 1.6.27 to 1.6.39 use up a CAS number for an `ms` that they refuse, unlike the embedded server.
WASTEFUL = re.compile(r"1\.6\.(2[7-9]|3\d)")
COUNTED = re.compile(rb"(?P<item>VALUE \S+ \d+ \d+) \d+\r\n|(?P<flag> c)\d+")


def split(received: bytes, version: str) -> list[bytes]:
    """Reply by reply; without CAS numbers where they differ."""
    if WASTEFUL.fullmatch(version):
        received = COUNTED.sub(rb"\g<item>\g<flag>\r\n", received)
    return received.split(MARKED)


async def difference(ports: list[int], number: int, name: str, version: str) -> str:
    """The differences between the two answers, in words; empty without any."""
    talk = Speaker(Random(f"embedded/{number}"), name).conversation()
    requests = [m.data for m in talk.messages if not DIFFERENCES.meant(m.rows, version)]
    # `me` shows memory and slabs of a real server.
    requests = [message for message in requests if not message.lstrip().startswith(b"me")]
    data = b"".join(message + MARK for message in requests) + MARK * 300 + b"mg end%d k\r\n" % number
    replies = await asyncio.gather(*(say(port, [data], b"EN kend%d\r\n" % number, b"") for port in ports))
    theirs, ours = (split(received, version) for received in replies)
    if DIFFERENCES.same(theirs, ours, version):
        return ""
    different = [found for found in zip(requests, theirs, ours, strict=False) if found[1] != found[2]]
    return f"conversation {number}: {different[:1]!r:.900}"


async def differing(version: str) -> list[str]:
    found: list[str] = []
    with MemcachedServer() as real, EmbeddedServer(version=version) as embedded:
        ports = [real.port, embedded.port]
        for number in range(COUNT):
            # A second that begins between the two does so once only.
            if await difference(ports, number, f"{number:06d}-", version):
                found.append(await difference(ports, number, f"{number + COUNT:06d}-", version))
    return list(filter(None, found))


@pytest.mark.timeout(120)
def test_the_embedded_server_answers_as_memcached() -> None:
    assert asyncio.run(differing(memcached_version())) == []
