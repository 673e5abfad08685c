"""The model of a memcached answers byte for byte as a real one does, whatever is asked one after the other.

Beside test_embedded_conversations.py, whose requests come in batches, right and wrong ones. The model differs
from memcached in this alone:

* The keys that are evicted: memcached's LRU maintainer is a thread, which moves items at moments of its own.
  The same number of items survive, and the newest are among them.
* Another store in the queue of that thread: for some milliseconds after two reads of a key, an `incr` makes a
  new item there, which was never read. Such a conversation is held again.
* The order of a dump, and the time `la` of items that are moved.
* The CAS number of an `ms` whose value is badly ended, or finds no memory when it is read: memcached gives it
  to the next store of that connection.
* Bad requests on releases before 1.6.45, and the CAS numbers that they use up: the parser is mcroute's.
* Rows of `stats` that are about memcached's inner life, and `stats items`, `slabs` and `sizes`.
* What memcached does on its own: pages that move from one class to another after some 10 seconds, the crawler
  that removes expired items which nobody asks for.

test_model_server.py has little memory, real time and the questions of operators. $MEMCACHED names another
version, MCROUTE_EXAMPLES (600) asks for more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcroute.testing import Limits, find_memcached

from .twins import FAR, Twins, twins

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

TRIES = 3
ALIGNED_S = 5.0
EXAMPLES = int(os.environ.get("MCROUTE_EXAMPLES", "600"))
NAMES = count()
LARGE = [8000, 130_000, 524_100, 524_300, 1_048_400, 1_048_500, 1_048_520, 1_048_577]
SIZES = st.one_of(st.integers(0, 600), st.integers(0, 600), st.sampled_from(LARGE))
LIFETIMES = st.sampled_from([b"0", b"100", b"-1", b"2592000", b"2592001", FAR])
NUMBERS = st.sampled_from([b"0", b"1", b"7", b"99", b"5 x", b"18446744073709551615", b"x", b" 3", b"+4", b""])
VALUES = st.one_of(NUMBERS, NUMBERS, SIZES.map(lambda size: b"v" * size))
CAS = st.sampled_from([b"0", b"1", b"99", b"18446744073709551615"])
KEYS = st.sampled_from([b"a", b"b", b"n"])
META = {b"mg": b"cfhklstuvqNTREC", b"ms": b"bcskqFITMECN", b"md": b"kqITCEx", b"ma": b"kqctvNJDTMEC"}


@st.composite
def flags(draw: st.DrawFn, command: bytes) -> list[bytes]:
    letters = draw(
        st.lists(st.sampled_from([bytes([letter]) for letter in META[command]]), unique=True, max_size=6)
    )
    tokens = {
        b"N": LIFETIMES,
        b"T": LIFETIMES,
        b"R": LIFETIMES,
        b"C": CAS,
        b"E": CAS,
        b"D": CAS,
        b"J": CAS,
        b"F": st.sampled_from([b"0", b"5", b"4294967295"]),
        b"M": st.sampled_from([b"I", b"D"] if command == b"ma" else [b"S", b"E", b"A", b"P", b"R"]),
    }
    return [letter + draw(tokens.get(letter, st.just(b""))) for letter in letters if letter != b"b"]


@st.composite
def meta_requests(draw: st.DrawFn, key: bytes) -> bytes:
    command = draw(st.sampled_from(sorted(META)))
    value = draw(VALUES)
    size = [b"%d" % len(value)] if command == b"ms" else []
    line = b" ".join([command, key, *size, *draw(flags(command))])
    return line + b"\r\n" + (value + b"\r\n" if command == b"ms" else b"")


@st.composite
def stores(draw: st.DrawFn, key: bytes) -> bytes:
    value = draw(VALUES)
    command = draw(st.sampled_from([b"set", b"add", b"replace", b"append", b"prepend", b"cas"]))
    words = [command, key, draw(st.sampled_from([b"0", b"5"])), draw(LIFETIMES), b"%d" % len(value)]
    words += [draw(CAS)] if command == b"cas" else []
    words += draw(st.sampled_from([[], [], [b"noreply"]]))
    return b" ".join(words) + b"\r\n" + value + b"\r\n"


class Request(bytes):
    """A request that hypothesis can print, however large its value is."""

    def __repr__(self) -> str:
        return repr(bytes(self)) if len(self) < 200 else f"{bytes(self[:100])!r}, {len(self)} bytes"


@st.composite
def steps(draw: st.DrawFn) -> Request:
    """A request, in which the key has an @ where its name goes, or a word for one."""
    return Request(draw(st.one_of(requests(), st.just(b"fetch"), st.just(b"compare"))))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    key = b"@" + draw(KEYS)
    kind = draw(st.integers(0, 30))
    if kind == 0:
        return draw(st.sampled_from([b"flush_all\r\n", b"flush_all 0\r\n", b"flush_all 1\r\n"]))
    if kind < 12:
        return draw(meta_requests(key))
    if kind < 20:
        return draw(stores(key))
    if kind < 22:
        return b"gats %b %b\r\n" % (draw(LIFETIMES), key)
    if kind < 25:
        return b"%b %b %b\r\n" % (draw(st.sampled_from([b"incr", b"decr"])), key, draw(CAS))
    if kind < 27:
        return b"touch %b %b\r\n" % (key, draw(LIFETIMES))
    if kind < 28:
        return b"delete %b\r\n" % key
    return draw(st.sampled_from([b"get ", b"gets "])) + b" ".join([key, b"@a", b"@n"]) + b"\r\n"


# The number that `gets` has shown is what a `cas` needs.
CHANGES = st.lists(steps(), min_size=1, max_size=12)


def difference(pair: Twins, conversation: list[bytes], name: bytes) -> str:
    """The first one, in words; empty without any."""
    pair.level()
    cas = b"1"
    for request in conversation:
        sent = request.replace(b"@", name)
        if request == b"fetch":
            sent = b"gets %ba\r\n" % name
        elif request == b"compare":
            sent = b"cas %ba 0 0 1 %b\r\ny\r\n" % (name, cas)
        theirs, ours = pair.say(sent)
        if request == b"fetch" and theirs != b"END\r\n":
            cas = theirs.split()[4]
        if theirs != ours:
            return f"{sent[:200]!r}: memcached answers {theirs[:200]!r}, the model {ours[:200]!r}"
    return ""


def differs(pair: Twins, conversation: list[bytes]) -> str:
    """What is different each time that the conversation is held."""
    found = difference(pair, conversation, b"%d-" % next(NAMES))
    for _ in range(TRIES - 1):
        if found:
            if time.monotonic() - pair.aligned_at > ALIGNED_S:
                pair.align()
            found = difference(pair, conversation, b"%d-" % next(NAMES))
    return found


@pytest.fixture(scope="module")
def pair() -> Iterator[Twins]:
    with twins(Limits()) as found:
        yield found


@pytest.mark.timeout(120)
def test_conversations(pair: Twins) -> None:
    @settings(max_examples=EXAMPLES)
    @given(CHANGES)
    def hold(conversation: list[bytes]) -> None:
        assert not differs(pair, conversation)

    hold()
