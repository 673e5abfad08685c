"""The model of a memcached with little memory, in real time, and asked by operators: as a real one.

test_model_conversations.py says in what they differ.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from mcroute.testing import Limits, MemcachedServer, find_memcached

from .pairs import memcached_version
from .twins import twins

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(find_memcached() is None, reason="no memcached on the PATH"),
]

MIB = 1 << 20
SMALL = Limits(memory=2 * MIB)
FULL = Limits(memory=2 * MIB, evicts=False)

# ---- memory ----


def commands_for_memory(rng: Random, length: int) -> Iterator[bytes]:
    """Everything that takes memory or gives it back, without lifetimes and reads, for some slab classes."""
    for _ in range(length):
        key = b"k%d" % rng.randrange(800)
        value = b"v" * rng.choice((50, 1900, 1950, 9000, rng.randrange(9000, 9100), 300_000, 700_000))
        sized = b"%d\r\n%b\r\n" % (len(value), value)
        yield rng.choice(
            (
                b"set %b 0 0 " % key + sized,
                b"set %b 0 0 " % key + sized,
                b"set %b 7 0 " % key + sized,
                b"add %b 0 0 " % key + sized,
                b"replace %b 0 0 " % key + sized,
                b"append %b 0 0 " % key + sized,
                b"ms %b 1900 ME\r\n%b\r\n" % (key, b"w" * 1900),
                b"mg n%b N0 s\r\n" % key,
                b"ma c%b N0 J9999999999\r\n" % key,
                b"md %b I x\r\n" % key,
                b"delete %b\r\n" % key,
            )
        )


@pytest.mark.parametrize("seed", range(4))
def test_without_evictions_the_same_requests_find_no_memory(seed: int) -> None:
    with twins(FULL) as pair:
        refused = 0
        for request in commands_for_memory(Random(seed), 3000):
            theirs, ours = pair.say(request)
            assert theirs == ours, request[:100]
            refused += b"emory" in theirs
        assert refused > 100
        for number in range(800):
            theirs, ours = pair.say(b"mg k%d s c f\r\n" % number)
            assert theirs == ours


def test_evictions_leave_as_many_items_and_the_newest() -> None:
    with twins(SMALL) as pair:
        for number in range(6000):
            theirs, ours = pair.say(b"set k%d 0 0 1500\r\n%b\r\n" % (number, b"v" * 1500))
            assert theirs == ours == b"STORED\r\n"
        alive = [[b"VALUE" in reply for reply in pair.say(b"get k%d\r\n" % number)] for number in range(6000)]
        theirs_alive, ours_alive = zip(*alive, strict=True)
        evictions = (pair.link.stat("evictions"), pair.model.store.counters.evictions)
    assert min(evictions) > 1000
    assert sum(theirs_alive) == pytest.approx(sum(ours_alive), rel=0.02)
    assert all(theirs_alive[-100:])
    assert all(ours_alive[-100:])
    assert not any(theirs_alive[:1000])
    assert not any(ours_alive[:1000])


# ---- seconds ----

# The requests in the middle of each second of the server's clock; a bar stands for a line's end.
PLAYS = {
    "lifetimes": {
        0: "set a 0 1 1|x,set b 0 2 1|x,ms c 1 T3|x,set d 0 0 1|x,set n 0 2 1|5,mg v N2 t,ms f 1 T9|x,"
        "set g 0 2 1|x,set h 0 1 1|x",
        1: "mg g l u,get a b c d,mg c t,touch d 2,mg b T3 t,incr n 7,mg n t,mg v t l h,md f I T1,"
        "append g 0 0 1|y,mg g l u,add h 0 2 1|z,mg d h t,ma n T5 t",
        2: "mg h l u,get a b c d n g h,mg b t,mg v t,mg d t,mg f v t,gat 1 c,mg n t v",
        3: "get a b c d n g h,mg v,mg d t",
        4: "get a b c d n g h,mg b t",
    },
    "flush": {
        0: "set a 0 0 1|x",
        1: "set b 0 0 1|x,flush_all,set c 0 0 1|x,get a b c",
        2: "get a b c,set d 0 0 1|x,flush_all 0,get c d,add d 0 0 1|y,get d",
        3: "get a b c d",
    },
    "flush of this second": {
        0: "set a 0 0 1|x",
        1: "set b 0 0 1|x,flush_all 1,get a b,set c 0 0 1|x,get c,add c 0 0 1|y,get c",
        2: "get a b c,set d 0 0 1|x,get d",
        3: "get d",
    },
    "delayed flush": {
        0: "set a 0 0 1|x,flush_all 3,get a",
        1: "set b 0 0 1|x,get a b",
        2: "get a b,set c 0 0 1|x,get c",
        3: "get a b c,set d 0 0 1|x,get d",
        4: "get a b c d",
    },
    "a flush takes the place of a delayed one": {
        0: "set a 0 0 1|x,flush_all 2",
        1: "flush_all,set b 0 0 1|x,get a b",
        3: "get b",
    },
}


def play(scenes: dict[int, str], found: list[str]) -> None:
    with twins() as pair:
        start = time.monotonic()
        for second, script in scenes.items():
            time.sleep(max(0.0, start + second + 0.4 - time.monotonic()))
            for request in script.split(","):
                theirs, ours = pair.say(request.replace("|", "\r\n").encode() + b"\r\n")
                if theirs != ours:
                    found.append(f"second {second}: {request}: memcached {theirs!r}, the model {ours!r}")


def test_lifetimes_and_flushes_in_real_time() -> None:
    found: dict[str, list[str]] = {name: [] for name in PLAYS}
    threads = [Thread(target=play, args=(PLAYS[name], found[name])) for name in PLAYS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(found.values()), found


# ---- what operators ask ----


def test_dumps(tmp_path: Path) -> None:
    with twins() as pair:
        wanted = [b"metadump"] if memcached_version() == "1.6.18" else [b"metadump", b"mgdump"]
        for request in (
            b"set a%\xff 5 0 3\r\nabc\r\n", b"set t 0 5000 1\r\nx\r\n", b"set g 0 -1 1\r\nx\r\n",
            b"ms AAo= 2 b\r\nhi\r\n", b"ms YWI= 2 b\r\nhi\r\n", b"get a%\xff\r\n",
            b"set l 0 0 50000\r\n%b\r\n" % (b"v" * 50_000),
        ):  # fmt: skip
            assert len(set(pair.say(request))) == 1
        for name, items in product(wanted, (b"all", b"hash")):
            line = b"lru_crawler %b %b\r\n" % (name, items)
            end = b"END\r\n" if name == b"metadump" else b"EN\r\n"
            theirs, ours = pair.link.dump(line, end), pair.talk.receive(line)
            # The second in which each was started.
            theirs, ours = (re.sub(rb"(exp|la)=\d{10}", rb"\1=...", reply) for reply in (theirs, ours))
            assert sorted(theirs.splitlines()) == sorted(ours.splitlines())
        assert len(set(pair.say(b"lru_crawler metadump nonsense\r\n"))) == 1
        assert len(set(pair.say(b"lru_crawler\r\n"))) == 1


def rows(reply: bytes) -> dict[bytes, bytes]:
    return dict(line.split(b" ", 2)[1:] for line in reply.split(b"\r\n") if line.startswith(b"STAT "))


def test_every_row_of_the_models_stats_is_memcacheds() -> None:
    with twins(SMALL) as pair:
        for request in (
            b"set a 0 0 1\r\nx\r\n",
            b"get a b\r\n",
            b"incr a 1\r\n",
            b"touch a 1\r\n",
            b"cas a 0 0 1 9\r\ny\r\n",
        ):
            assert len(set(pair.say(request))) == 1
        for question in (b"stats\r\n", b"stats settings\r\n"):
            theirs, ours = map(rows, pair.say(question))
            assert ours.keys() <= theirs.keys()
            own = {b"pid", b"time", b"lru_maintainer_juggles", b"curr_connections", b"total_connections"}
            different = {name for name in ours.keys() - own if ours[name] != theirs[name]}
            assert not different
            assert list(ours) == [name for name in theirs if name in ours]
        theirs, ours = map(rows, pair.say(b"stats conns\r\n"))
        shapes = [{re.sub(rb"^\d+", b"", name) for name in found} for found in (theirs, ours)]
        assert shapes[0] == shapes[1]


def shut_down(server: MemcachedServer) -> None:
    """As an operator does who wants to keep the items."""
    os.kill(server.pid, signal.SIGUSR1)
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
    server.kill()


def test_a_restart_with_old_data(tmp_path: Path) -> None:
    memory = Path("/dev/shm") / f"{tmp_path.parent.name}-{tmp_path.name}"
    if not memory.parent.is_dir():
        pytest.skip("no /dev/shm")
    try:
        with twins(Limits(), "-e", str(memory)) as pair:
            for request in (
                b"set a 7 0 1\r\nx\r\n",
                b"ms b 1 T50\r\nx\r\n",
                b"get a\r\n",
                b"set t 0 1 1\r\nx\r\n",
            ):
                assert len(set(pair.say(request))) == 1
            before = pair.link.stat("uptime"), pair.link.stat("pid")
            pair.restart(shut_down)
            assert pair.link.stat("uptime") > before[0]
            assert pair.link.stat("pid") != before[1]
            assert abs(pair.link.stat("uptime") - pair.model.store.uptime) <= 1
            for request in (b"get a b t\r\n", b"mg a f c h\r\n", b"mg b c h\r\n", b"ms n 1 c\r\nx\r\n"):
                theirs, ours = pair.say(request)
                assert theirs == ours
    finally:
        for path in memory.parent.glob(f"{memory.name}*"):
            path.unlink()
