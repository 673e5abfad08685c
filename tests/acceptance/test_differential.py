"""Through mcroute over one memcached, every command gets byte for byte the reply of that memcached itself.

Two servers of the same version get the same conversations, one directly and one through a proxy.
Intended differences are in docs/differences.md: its rows are checked one by one, and left out of the
conversations.

MCROUTE_CONVERSATIONS (2000) and MCROUTE_SEED (1) ask for more, or others; $MEMCACHED names another version.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from itertools import count
from random import Random

import pytest

from mcroute.testing import find_memcached

from .conversations import Conversation, Speaker
from .differences import Differences, lines
from .drivers import NATIVE
from .pairs import MARK, MARKED, TIMED_OUT, Pair, memcached_version, pair, say

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

COUNT = int(os.environ.get("MCROUTE_CONVERSATIONS", "2000"))
SEED = int(os.environ.get("MCROUTE_SEED", "1"))
DIFFERENCES = Differences.read()
# A value that is shorter than announced takes the next lines; behind this, every line is a command again.
LULL = MARK * 300
# For the rest of the second in which it was flushed, 1.6.45 forgets what is stored, and each server's seconds
# are its own: few of the conversations may flush, and the next one waits.
FLUSHING = 250
# Names for keys that no conversation has used.
UNUSED = count(500_000)
FORGETTING_S = 1.1


async def hear(pair: Pair, conversation: Conversation, number: int) -> tuple[list[bytes], list[bytes]]:
    """Both streams, reply by reply if the conversation has marks."""
    mark = MARK if conversation.marks else b""
    end = b"mg end%d k\r\n" % number
    data = b"".join(message.data + mark for message in conversation.messages) + LULL + end
    cuts = Random(number)
    places = [cuts.randrange(len(data)) for _ in range(cuts.randrange(4))]
    direct, proxied = await pair.say(data, b"EN kend%d\r\n" % number, conversation.tail, places)
    if is_flushing(number):
        await asyncio.sleep(FORGETTING_S)
    return direct.split(MARKED), proxied.split(MARKED)


def is_flushing(number: int) -> bool:
    return number % FLUSHING == FLUSHING - 1


def made(seed: int, number: int, version: str) -> Conversation:
    speaker = Speaker(Random(f"{seed}/{number}"), f"{number:06d}-", is_flushing(number))
    conversation = speaker.conversation()
    kept = tuple(m for m in conversation.messages if not DIFFERENCES.meant(m.rows, version))
    return replace(conversation, messages=kept)


async def differs(pair: Pair, conversation: Conversation, number: int, version: str) -> str:
    """The differences, in words; empty without any."""
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

    async def differs(self, conversation: Conversation) -> str:
        await self.pair.level()
        fresh = renamed(conversation, b"%06d-" % self.number, b"%06d-" % next(UNUSED))
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
        messages = "\n".join(f"    {m.data[:400]!r}" for m in conversation.messages)
        return f"conversation {self.number}:\n{messages}\n    cut off: {conversation.tail[:400]!r}\n{found}"


async def all_differences(
    seed: int, talks: int, version: str, most: int, driver: str = "asyncio"
) -> list[str]:
    """At most so many, each in its shortest form."""
    found: list[str] = []
    async with pair(driver) as peers:
        for number in range(talks):
            conversation = made(seed, number, version)
            if await differs(peers, conversation, number, version):
                if shortest := await Shrinker(peers, number, version).shrunk(conversation):
                    found.append(shortest)
                    if len(found) == most:
                        break
                await peers.level()
    return found


async def answer(port: int, sent: bytes, expected: str) -> tuple[bytes, str]:
    """The reply, and whether the server then closes the connection, or waits for more.

    A silence is short only where one is expected: a busy machine has some of its own.
    """
    how = ""
    received = await say(port, [sent + MARK], MARKED, b"", timeout_s=1 if expected == "waits" else 20)
    if received.endswith(TIMED_OUT):
        received, how = received.removesuffix(TIMED_OUT), "waits"
    elif not received.endswith(MARKED):
        how = "hangs up"
    return received.removesuffix(MARKED), how


async def wrong_rows(version: str, driver: str) -> list[str]:
    wrong: list[str] = []
    prepared = b"flush_all\r\nset k 5 0 1\r\n7\r\n"
    async with pair(driver) as peers:
        for row in DIFFERENCES.rows.values():
            for speaker, port in ((version, peers.direct.port), ("mcroute", peers.proxy.port)):
                # Read before, and alone: some requests make memcached discard its pending replies.
                await say(port, [prepared + MARK], MARKED, b"")
                cell = row.answers.get(speaker)
                how = next((how for how in ("hangs up", "waits") if cell and how in cell), "")
                got = await answer(port, row.sent, how if cell else "waits")
                if cell is not None and got != (lines(cell), how):
                    wrong.append(f"{row.name}: {speaker} answers {got}, not {cell}")
    return wrong


def test_every_row_of_the_page_is_true(driver: str) -> None:
    assert asyncio.run(wrong_rows(memcached_version(), driver)) == []


def test_the_page_has_a_row_for_everything_the_generator_omits() -> None:
    talks = [Speaker(Random(seed), "").conversation() for seed in range(3000)]
    named = {row for talk in talks for message in talk.messages for row in message.rows}
    assert named <= DIFFERENCES.rows.keys()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("driver", ["asyncio", NATIVE])
def test_generated_conversations(driver: str) -> None:
    found = all_differences(SEED, COUNT, memcached_version(), most=1, driver=driver)
    assert asyncio.run(found) == []
