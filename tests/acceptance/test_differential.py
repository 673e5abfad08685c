"""Through mcroute over one memcached, every command gets byte for byte the reply of that memcached itself.

Two servers of the same version hear the same conversations, one directly and one through a proxy. What is
meant to be different is in docs/differences.md: its rows are checked one by one, and left out of the
conversations.

MCROUTE_CONVERSATIONS (2000) and MCROUTE_SEED (1) ask for more, or others; $MEMCACHED names another version.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

import pytest

from mcroute.asyncio import Proxy, start_proxy
from mcroute.policy import Pool, PoolRoute
from mcroute.testing import MemcachedServer, find_memcached

from .conversations import Conversation, Speaker
from .differences import Differences, lines

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

COUNT = int(os.environ.get("MCROUTE_CONVERSATIONS", "2000"))
SEED = int(os.environ.get("MCROUTE_SEED", "1"))
DIFFERENCES = Differences.read()
MARK = b"mn\r\n"
MARKED = b"MN\r\n"
# A value that is announced longer than it is takes what follows; behind this, every line is heard again.
LULL = MARK * 300
PATIENCE_LOST = b"<nothing more>"


def memcached_version() -> str:
    said = subprocess.run([find_memcached() or "", "-V"], capture_output=True, text=True, check=True).stdout
    return said.split()[1]


@dataclass
class Pair:
    """A server of its own, and the same behind a proxy."""

    direct: MemcachedServer
    behind: MemcachedServer
    proxy: Proxy

    async def say(self, data: bytes, end: bytes, tail: bytes, cuts: list[int]) -> list[bytes]:
        """What each answers."""
        pieces = cut(data, cuts)
        return list(
            await asyncio.gather(
                say(self.direct.port, pieces, end, tail), say(self.proxy.port, pieces, end, tail)
            )
        )

    async def level(self) -> None:
        """Brings both servers to the same CAS counter, from which a difference may have led one away."""
        ports = (self.direct.port, self.behind.port)
        ask = b"ms level 0 c\r\n\r\n"
        counters = [int((await say(port, [ask], b"\r\n", b"")).split(b"c")[1]) for port in ports]
        for port, counter in zip(ports, counters, strict=True):
            step = b"set noreply 0 0 0 noreply\r\n\r\n"
            await say(port, [step * (max(counters) - counter) + b"md noreply q\r\n" + MARK], MARKED, b"")


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, *(place % (len(data) + 1) for place in cuts), len(data)})
    return [data[start:end] for start, end in pairwise(places)]


async def say(port: int, pieces: list[bytes], end: bytes, tail: bytes, patience: float = 5) -> bytes:
    """Sends the pieces, waits for `end` in the replies, sends the tail, hangs up; returns all that came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = bytearray()

    async def listen(until: bytes) -> None:
        while not heard.endswith(until) if until else True:
            data = await reader.read(1 << 16)
            heard.extend(data)
            if not data:
                break

    async def talk() -> None:
        listening = asyncio.create_task(listen(end))
        # A server that hangs up in the middle ends the sending, not the hearing.
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        await listening
        writer.write(tail)
        if not reader.at_eof():
            writer.write_eof()
        await listen(b"")

    try:
        await asyncio.wait_for(talk(), patience)
    except asyncio.TimeoutError:
        heard += PATIENCE_LOST
    except OSError:
        # What was sent to a server that had hung up already.
        pass
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return bytes(heard)


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    with MemcachedServer() as direct, MemcachedServer() as behind:
        proxy = await start_proxy(PoolRoute(Pool.of("main", [behind.address])))
        try:
            yield Pair(direct, behind, proxy)
        finally:
            await proxy.close(0.1)


async def hear(pair: Pair, conversation: Conversation, number: int) -> tuple[list[bytes], list[bytes]]:
    """Both streams, reply by reply if the conversation has marks."""
    mark = MARK if conversation.marks else b""
    end = b"mg end%d k\r\n" % number
    data = b"".join(message.data + mark for message in conversation.messages) + LULL + end
    cuts = Random(number)
    places = [cuts.randrange(len(data)) for _ in range(cuts.randrange(4))]
    direct, proxied = await pair.say(data, b"EN kend%d\r\n" % number, conversation.tail, places)
    return direct.split(MARKED), proxied.split(MARKED)


def made(seed: int, number: int, version: str) -> Conversation:
    speaker = Speaker(Random(f"{seed}/{number}"), f"{number:06d}-")
    conversation = speaker.conversation()
    kept = tuple(m for m in conversation.messages if not DIFFERENCES.meant(m.rows, version))
    return replace(conversation, messages=kept)


async def differs(pair: Pair, conversation: Conversation, number: int, version: str) -> str:
    """What is not the same, in words; empty if nothing."""
    direct, proxied = await hear(pair, conversation, number)
    if DIFFERENCES.same(direct, proxied, version):
        return ""
    for theirs, ours in zip(direct, proxied, strict=False):
        if not DIFFERENCES.same([theirs], [ours], version):
            return f"memcached: {theirs[:300]!r}\n  mcroute: {ours[:300]!r}"
    return f"{len(direct)} replies of memcached, {len(proxied)} of mcroute"


def renamed(conversation: Conversation, old: bytes, new: bytes) -> Conversation:
    """The same over other keys, which nobody has used yet."""
    messages = (replace(m, data=m.data.replace(old, new)) for m in conversation.messages)
    return replace(conversation, messages=tuple(messages), tail=conversation.tail.replace(old, new))


class Shrinker:
    """Looks for the shortest part of a conversation that is still answered differently."""

    def __init__(self, pair: Pair, number: int, version: str) -> None:
        self.pair = pair
        self.number = number
        self.version = version
        self.tries = 0

    async def differs(self, conversation: Conversation) -> str:
        self.tries += 1
        name = b"%06d-" % (999_999 - self.tries)
        await self.pair.level()
        fresh = renamed(conversation, b"%06d-" % self.number, name)
        return await differs(self.pair, fresh, self.number, self.version)

    async def shrunk(self, conversation: Conversation) -> str:
        """In words; empty if there is none after all: a second may have begun between the two servers."""
        found = await self.differs(conversation)
        if not found:
            return ""
        shorter = replace(conversation, tail=b"")
        if without := await self.differs(shorter):
            conversation, found = shorter, without
        index = 0
        while index < len(conversation.messages):
            messages = conversation.messages
            shorter = replace(conversation, messages=messages[:index] + messages[index + 1 :])
            if without := await self.differs(shorter):
                conversation, found = shorter, without
            else:
                index += 1
        said = "\n".join(f"    {m.data[:400]!r}" for m in conversation.messages)
        return f"conversation {self.number}:\n{said}\n    cut off: {conversation.tail[:400]!r}\n{found}"


async def all_differences(seed: int, count: int, version: str, most: int) -> list[str]:
    """At most so many, each in its shortest form."""
    found: list[str] = []
    async with pair() as heard:
        for number in range(count):
            conversation = made(seed, number, version)
            if await differs(heard, conversation, number, version):
                if shortest := await Shrinker(heard, number, version).shrunk(conversation):
                    found.append(shortest)
                    if len(found) == most:
                        break
                await heard.level()
    return found


async def answer(port: int, sent: bytes) -> tuple[bytes, str]:
    """What comes back for it, and whether the server then hangs up, or waits for more."""
    how = ""
    heard = await say(port, [sent + MARK], MARKED, b"", patience=1)
    if heard.endswith(PATIENCE_LOST):
        heard, how = heard.removesuffix(PATIENCE_LOST), "waits"
    elif not heard.endswith(MARKED):
        how = "hangs up"
    return heard.removesuffix(MARKED), how


async def wrong_rows(version: str) -> list[str]:
    wrong: list[str] = []
    prepared = b"flush_all\r\nset k 5 0 1\r\n7\r\n"
    async with pair() as heard:
        for row in DIFFERENCES.rows.values():
            for speaker, port in ((version, heard.direct.port), ("mcroute", heard.proxy.port)):
                # Beforehand and by itself: some requests make memcached forget what it was about to answer.
                await say(port, [prepared + MARK], MARKED, b"")
                got = await answer(port, row.sent)
                cell = row.answers.get(speaker)
                how = next((how for how in ("hangs up", "waits") if cell and how in cell), "")
                if cell is not None and got != (lines(cell), how):
                    wrong.append(f"{row.name}: {speaker} answers {got}, not {cell}")
    return wrong


def test_every_row_of_the_page_is_true() -> None:
    assert asyncio.run(wrong_rows(memcached_version())) == []


def test_the_page_has_a_row_for_whatever_the_generator_leaves_out() -> None:
    talks = [Speaker(Random(seed), "").conversation() for seed in range(3000)]
    named = {row for talk in talks for message in talk.messages for row in message.rows}
    assert named <= DIFFERENCES.rows.keys()


@pytest.mark.timeout(300)
def test_generated_conversations() -> None:
    assert asyncio.run(all_differences(SEED, COUNT, memcached_version(), most=1)) == []
