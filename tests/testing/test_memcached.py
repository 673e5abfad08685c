"""The memcached without sockets, where time, memory or the release matter.

tests/acceptance holds it against real ones: test_embedded_conversations.py, test_model_server.py.
"""

from __future__ import annotations

import base64

import pytest

from mcroute.testing.memcached import Memcached
from mcroute.testing.profiles import MIB, Limits, Profile

from .model_clock import ModelClock

CLIENT = ("10.0.0.1", 5000)


class Talk:
    """A conversation with a server of its own, and the server's clock."""

    def __init__(self, version: str = "1.6.45", limits: Limits | None = None) -> None:
        self.clock = ModelClock()
        self.server = Memcached(self.clock, Profile.of(version), limits)
        self.say = self.server.accept(CLIENT).receive

    def later(self, seconds: float) -> None:
        self.clock.now += seconds

    def rows(self, name: bytes = b"") -> dict[bytes, bytes]:
        lines = self.say(b"stats %b\r\n" % name).split(b"\r\n")
        return dict(line.split(b" ", 2)[1:] for line in lines if line.startswith(b"STAT "))


def stored(key: bytes, value: bytes = b"x", lifetime: int = 0) -> bytes:
    return b"set %b 0 %d %d\r\n%b\r\n" % (key, lifetime, len(value), value)


# ---- time ----


def test_a_lifetime_ends_with_a_second_of_the_servers_clock():
    talk = Talk()
    talk.later(0.9)
    talk.say(stored(b"a", lifetime=1) + stored(b"b", lifetime=2))
    talk.later(0.2)
    assert talk.say(b"mg a\r\nmg b t\r\n") == b"EN\r\nHD t1\r\n"
    talk.later(0.85)
    assert talk.say(b"mg b t\r\n") == b"HD t1\r\n"
    talk.later(0.1)
    assert talk.say(b"mg b t\r\n") == b"EN\r\n"


def test_a_lifetime_as_a_date_is_converted_with_the_date_at_the_start():
    talk = Talk()
    date = int(talk.clock.unix()) + 100
    talk.say(b"ms a 1 T%d\r\nx\r\n" % date)
    talk.clock.date_jump_s = 3600
    assert talk.say(b"mg a t\r\n") == b"HD t100\r\n"
    talk.later(40)
    assert talk.say(b"mg a t\r\n") == b"HD t60\r\n"
    # The client's date has jumped as well, and the server does not know.
    talk.say(b"ms b 1 T%d\r\nx\r\n" % (talk.clock.unix() + 100))
    assert talk.say(b"mg b t\r\n") == b"HD t3700\r\n"
    assert talk.rows()[b"time"] == b"%d" % (talk.clock.unix() - 3600)


def test_uptime_begins_at_two():
    talk = Talk()
    assert talk.rows()[b"uptime"] == b"2"
    talk.later(5)
    assert talk.rows()[b"uptime"] == b"7"


# ---- flushes ----


def test_before_1_6_25_a_flush_ends_all_that_was_stored_before_it():
    talk = Talk("1.6.18")
    talk.say(stored(b"a") + b"get a\r\n" * 3 + b"flush_all\r\n" + stored(b"b"))
    assert talk.say(b"get a b\r\n") == b"VALUE b 0 1\r\nx\r\nEND\r\n"
    assert talk.rows()[b"get_flushed"] == b"1"


def test_from_1_6_25_on_a_flush_of_the_next_second_takes_this_one_with_it():
    talk = Talk()
    talk.say(stored(b"a") + b"flush_all\r\n" + stored(b"b"))
    assert talk.say(b"get a b\r\n") == b"VALUE b 0 1\r\nx\r\nEND\r\n"
    talk.say(b"flush_all 1\r\n" + stored(b"c"))
    assert talk.say(b"get b c\r\n") == b"END\r\n"
    talk.later(1)
    assert talk.say(stored(b"d") + b"get d\r\n").endswith(b"VALUE d 0 1\r\nx\r\nEND\r\n")


@pytest.mark.parametrize("version", ["1.6.18", "1.6.45"])
def test_a_delayed_flush_takes_what_was_stored_until_then(version):
    talk = Talk(version)
    talk.say(stored(b"a") + b"flush_all 10\r\n")
    talk.later(8)
    assert talk.say(stored(b"b") + b"get a b\r\n").count(b"VALUE") == 2
    talk.later(2)
    assert talk.say(stored(b"c") + b"get a b c\r\n").count(b"VALUE") == 1


def test_one_flush_leaves_items_that_were_read_before_in_its_second_from_1_6_25_on():
    """docs/decisions/0007: a second read sets an item's time, and leaves its place in the list."""
    talk = Talk()
    talk.say(stored(b"a") + stored(b"b"))
    talk.server.store.now += 2  # the maintainer has not run: both are in HOT
    store = talk.server.store
    for _ in range(2):
        store.use(store.items[b"a"])
    store.flush(0)
    assert store.live_keys() == [b"a"]


def test_a_read_that_waits_for_the_maintainer_revives_a_flushed_item():
    talk = Talk()
    talk.say(stored(b"a") + stored(b"b"))
    talk.later(5)
    assert talk.say(b"get a\r\nget a\r\nflush_all\r\n").endswith(b"OK\r\n")
    assert talk.server.store.live_keys() == []
    talk.later(2)
    assert talk.say(b"get a b\r\n").count(b"VALUE") == 1


def test_the_passes_of_the_maintainer_are_counted():
    talk = Talk()
    talk.later(20)
    before = int(talk.rows()[b"lru_maintainer_juggles"])
    talk.later(10)
    assert 9 <= int(talk.rows()[b"lru_maintainer_juggles"]) - before <= 11


# ---- memory ----

SMALL = Limits(memory=2 * MIB, item_size=MIB // 8, chunk_size=MIB // 64)


def filled(talk: Talk, count: int) -> bytes:
    return b"".join(talk.say(stored(b"k%d" % number, b"v" * 2000)) for number in range(count))


def test_without_memory_the_coldest_items_give_way():
    talk = Talk(limits=SMALL)
    assert filled(talk, 3000) == b"STORED\r\n" * 3000
    evictions = int(talk.rows()[b"evictions"])
    assert evictions + int(talk.rows()[b"curr_items"]) == 3000
    assert talk.say(b"get k2999\r\n") != b"END\r\n"
    assert talk.say(b"get k0\r\n") == b"END\r\n"


def test_an_item_that_is_read_again_and_again_is_not_evicted():
    talk = Talk(limits=SMALL)
    for number in range(3000):
        talk.say(stored(b"k%d" % number, b"v" * 2000) + b"get k0\r\n")
        talk.later(0.01)
    assert int(talk.rows()[b"evictions"]) > 1000
    assert talk.say(b"get k0\r\n") != b"END\r\n"


def full(version: str = "1.6.45") -> Talk:
    """A server that evicts nothing, and has no room for values of 2000 bytes any more."""
    talk = Talk(version, Limits(2 * MIB, MIB // 8, MIB // 64, evicts=False))
    assert b"SERVER_ERROR out of memory storing object\r\n" in filled(talk, 3000)
    return talk


@pytest.mark.parametrize(
    ("request_line", "reply", "survives"),
    [
        (b"set k0 0 0 2000\r\n", b"SERVER_ERROR out of memory storing object\r\n", False),
        (b"ms k0 2000\r\n", b"SERVER_ERROR out of memory storing object\r\n", False),
        (b"ms k0 2000 ME q\r\n", b"SERVER_ERROR out of memory storing object\r\n", False),
        (b"set k0 0 0 2000 noreply\r\n", b"", False),
        (b"replace k0 0 0 2000\r\n", b"SERVER_ERROR out of memory storing object\r\n", True),
        (b"add k0 0 0 2000\r\n", b"SERVER_ERROR out of memory storing object\r\n", True),
        (b"append k0 0 0 2000\r\n", b"SERVER_ERROR out of memory storing object\r\n", True),
    ],
)
def test_out_of_memory(request_line, reply, survives):
    talk = full()
    assert talk.say(request_line + b"w" * 2000 + b"\r\n") == reply
    assert (talk.say(b"mg k0\r\n") == b"HD\r\n") is survives
    assert int(talk.rows()[b"store_no_memory"]) > 0


def test_a_delete_makes_room_under_m():
    talk = full()
    assert talk.say(b"delete k0\r\n" + stored(b"n", b"v" * 2000)) == b"DELETED\r\nSTORED\r\n"


def test_nothing_is_created_without_memory():
    talk = Talk(limits=Limits(2 * MIB, MIB // 8, MIB // 64, evicts=False))
    said = b"".join(talk.say(stored(b"k%05d" % number)) for number in range(30_000))
    assert b"out of memory" in said
    assert talk.say(b"mg new N30\r\n") == b"EN\r\n"
    assert talk.say(b"ma new N30\r\n") == b"SERVER_ERROR Out of memory allocating new item\r\n"
    assert talk.say(b"md k00000 x\r\n") == b"SERVER_ERROR out of memory\r\n"
    assert talk.say(b"append k00000 0 0 1\r\nx\r\n").startswith(b"SERVER_ERROR out of memory storing")


@pytest.mark.parametrize("size", [2 * MIB, MIB - 50])
@pytest.mark.parametrize(
    ("line", "survives"),
    [
        (b"set k 0 0 %d\r\n", False),
        (b"set k 0 0 %d noreply\r\n", False),
        (b"ms k %d\r\n", False),
        (b"ms k %d ME\r\n", False),
        (b"ms aw== %d b\r\n", False),
        (b"add k 0 0 %d\r\n", True),
        (b"cas k 0 0 %d 5\r\n", True),
    ],
)
def test_the_old_value_after_one_that_is_too_large(line, survives, size):
    talk = Talk()
    talk.say(stored(b"k"))
    said = talk.say(line % size + b"v" * size + b"\r\n")
    assert said == (b"" if b"noreply" in line else b"SERVER_ERROR object too large for cache\r\n")
    assert (talk.say(b"mg k\r\n") == b"HD\r\n") is survives
    assert talk.rows()[b"store_too_large"] == b"1" or survives


def test_a_large_value_takes_several_chunks_and_gives_them_back():
    talk = Talk(limits=SMALL)
    free = [slab.free for slab in talk.server.store.slabs.classes]
    value = b"v" * (MIB // 10)
    assert talk.say(stored(b"k", value) + b"get k\r\n").endswith(value + b"\r\nEND\r\n")
    assert [slab.free for slab in talk.server.store.slabs.classes] != free
    talk.say(b"delete k\r\n")
    slabs = talk.server.store.slabs.classes
    assert all(slab.free == slab.pages * slab.per_page for slab in slabs)


@pytest.mark.parametrize("wrong", [{"item_size": 1000}, {"item_size": 40 * MIB}, {"chunk_size": 3000}])
def test_limits_with_which_memcached_does_not_start(wrong):
    with pytest.raises(ValueError, match="item"):
        Limits(**wrong)


# ---- releases ----


@pytest.mark.parametrize("version", ["1.6.17", "1.5.22", "2", "1.6.45-rc1", ""])
def test_no_profile_of_other_versions(version):
    with pytest.raises(ValueError, match=r"no release of memcached from 1\.6\.18 on"):
        Profile.of(version)


@pytest.mark.parametrize(
    ("sent", "before", "after", "since"),
    [
        (b"mg no E1\r\n", b"CLIENT_ERROR invalid flag\r\n", b"EN\r\n", "1.6.27"),
        (b"md no x\r\n", b"CLIENT_ERROR invalid or duplicate flag\r\n", b"NF\r\n", "1.6.27"),
        (b"ms no 1 E7 c\r\nx\r\n", b"CLIENT_ERROR invalid flag\r\n", b"HD c7\r\n", "1.6.27"),
        (b"ms no 1 MA N9\r\nx\r\n", b"NS\r\n", b"HD\r\n", "1.6.20"),
        (b"mg k C1 v\r\n", b"VA 1\r\nx\r\n", b"VA 1\r\nx\r\n", "1.6.40"),
        (b"lru_crawler mgdump all\r\n", b"ERROR\r\n", b"mg k\r\nEN\r\n", "1.6.19"),
        (b"ma no N9 q\r\n", b"HD\r\n", b"", "1.6.40"),
    ],
)
def test_since_when(sent, before, after, since):
    major, minor, patch = map(int, since.split("."))
    for version, reply in ((f"{major}.{minor}.{patch - 1}", before), (since, after)):
        talk = Talk(version)
        talk.say(stored(b"k"))
        assert talk.say(sent) == reply
        assert talk.say(b"version\r\n") == b"VERSION %b\r\n" % version.encode()


def test_a_read_with_the_cas_number_that_it_knows_gets_no_value_from_1_6_40_on():
    for version, reply in (("1.6.39", b"VA 1\r\nx\r\n"), ("1.6.40", b"HD\r\n")):
        talk = Talk(version)
        cas = talk.say(stored(b"k") + b"mg k c\r\n").split(b" c")[1].strip()
        assert talk.say(b"mg k v C%b\r\n" % cas) == reply


# ---- questions about the server ----


def test_a_dump_lists_what_lives():
    talk = Talk("1.6.18")
    talk.say(stored(b"a%\xff") + stored(b"gone", lifetime=-1) + stored(b"t", lifetime=50))
    now = int(talk.clock.unix())
    assert sorted(talk.say(b"lru_crawler metadump all\r\n").splitlines()) == [
        b"END",
        b"key=a%%25%%FF exp=-1 la=%d cas=1 fetch=no cls=1 size=63" % now,
        b"key=t exp=%d la=%d cas=3 fetch=no cls=1 size=61" % (now + 50, now),
    ]
    newer = Talk("1.6.45")
    newer.say(b"ms %b 1 b F5\r\nx\r\n" % base64.b64encode(b"\n"))
    assert newer.say(b"lru_crawler mgdump hash\r\n") == b"OK\r\nmg Cg== b\r\nEN\r\n"
    assert newer.say(b"lru_crawler metadump all\r\n").endswith(b" size=65 flags=5 \nEND\r\n")


def test_a_dump_is_refused_while_another_runs_and_behind_other_requests():
    talk = Talk()
    assert talk.say(b"mn\r\nlru_crawler metadump all\r\n") == (
        b"MN\r\nERROR cannot pipeline other commands before metadump\r\n"
    )
    talk.server.is_crawling = True
    assert talk.say(b"lru_crawler mgdump all\r\n") == b"BUSY currently processing crawler request\r\n"
    assert talk.say(b"lru_crawler metadump bogus\r\n").startswith(b"BUSY")


def test_a_crawl_removes_what_has_expired():
    talk = Talk()
    talk.say(stored(b"a", lifetime=1) + stored(b"b"))
    talk.later(3)
    assert talk.say(b"lru_crawler crawl all\r\n") == b"OK\r\n"
    assert talk.rows()[b"curr_items"] == b"1"


def test_what_is_asked_and_found_is_counted():
    talk = Talk()
    talk.say(b"get a\r\n" + stored(b"a") + b"get a\r\nincr n 1\r\ntouch a 5\r\ngat 0 b\r\ndelete a\r\n")
    rows = talk.rows()
    counted = (b"cmd_get", b"get_hits", b"get_misses", b"cmd_set", b"incr_misses", b"touch_hits")
    assert [rows[name] for name in counted] == [b"2", b"1", b"1", b"1", b"1", b"1"]
    assert rows[b"touch_misses"] == rows[b"delete_hits"] == b"1"
    assert talk.say(b"stats reset\r\n") == b"RESET\r\n"
    assert talk.rows()[b"cmd_get"] == b"0"
    assert talk.say(b"stats bogus\r\n") == b"ERROR\r\n"


def test_settings_show_the_limits():
    rows = Talk(limits=Limits(evicts=False, connections=7)).rows(b"settings")
    assert rows[b"cas_enabled"] == b"yes"
    assert (rows[b"item_size_max"], rows[b"maxbytes"]) == (b"1048576", b"67108864")
    assert (rows[b"evictions"], rows[b"maxconns"]) == (b"off", b"7")


def test_connections_are_listed_with_their_addresses():
    talk = Talk()
    other = talk.server.accept(("::1", 7))
    talk.server.accept("/run/x")
    rows = talk.rows(b"conns")
    addresses = [value for name, value in rows.items() if name.endswith(b":addr")]
    assert addresses == [b"tcp:127.0.0.1:11211", b"tcp:10.0.0.1:5000", b"tcp6:[::1]:7", b"unix:/run/x"]
    other.close()
    assert b"tcp6:[::1]:7" not in talk.rows(b"conns").values()
    assert talk.rows()[b"curr_connections"] == b"2"


def test_a_closed_conversation_executes_nothing():
    talk = Talk()
    assert talk.say(b"quit\r\n" + stored(b"a")) == b""
    assert talk.say(stored(b"a")) == b""
    assert talk.server.store.items == {}
