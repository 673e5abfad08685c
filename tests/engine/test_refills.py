"""A key that one copy lost is copied back from another one, unless it was written meanwhile."""

import re

import pytest

from mcroute.policy import Limits, Replicate

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

KEY = b"k1"
OWNER, OTHER = pool(2).ring().owners(KEY, 2)
HOLD_OFF_S = 2.0
READ = rb"mg k1 v f t c O(\d+)\r\n"
LOOK = rb"mg k1 c t u O(\d+)\r\n"
ADD = rb"ms k1 1 ME T%s F%s c O(\d+)\r\nx\r\n"


def made(**limits: float) -> Network:
    net = network(Replicate(pool(2), copies=2), 2)
    net.engine.set_limits(Limits(**{"refill_keys_per_s": 1000.0, "refill_hold_off_s": HOLD_OFF_S, **limits}))
    return net


@pytest.fixture
def net() -> Network:
    return made()


def asked(net: Network, server: int, pattern: bytes) -> bytes:
    """What the server is asked is this and nothing else. Returns the opaque."""
    sent = net.asked(server)
    match = re.fullmatch(pattern, sent)
    assert match, sent
    return match[1]


def miss(net: Network, request: bytes = b"get k1\r\n") -> None:
    """A read that misses at the owner, and hits at the other copy."""
    client = net.client()
    net.send(client, request)
    assert net.asked(OWNER) == request
    net.reply(OWNER, b"END\r\n")
    assert net.asked(OTHER) == request
    net.reply(OTHER, b"VALUE k1 7 1\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE k1 7 1\r\nx\r\nEND\r\n"


def read(net: Network, flags: bytes = b"f7 t-1 c5") -> None:
    """The refill begins, and reads the key."""
    net.wait(HOLD_OFF_S)
    opaque = asked(net, OTHER, READ)
    net.reply(OTHER, b"VA 1 %s O%s\r\nx\r\n" % (flags, opaque))


def add(net: Network, lifetime: bytes = b"0", reply: bytes = b"HD c9") -> None:
    opaque = asked(net, OWNER, ADD % (lifetime, b"7"))
    net.reply(OWNER, reply + b" O%s\r\n" % opaque)


def look(net: Network, reply: bytes = b"HD c5 t-1") -> None:
    opaque = asked(net, OTHER, LOOK)
    net.reply(OTHER, reply + b" O%s\r\n" % opaque)


def counted(net: Network, server: int = OWNER) -> dict[str, int]:
    """The counters of refills to the server that are not 0."""
    counters = net.engine.snapshot().servers[f"s{server}"].counters
    return {name: count for name, count in counters.items() if name.startswith("refill") and count}


def is_idle(net: Network) -> bool:
    for _ in range(5):
        net.wait(HOLD_OFF_S)
        if net.asked(OWNER) or net.asked(OTHER):
            return False
    return net.engine.snapshot().counters["refills_open"] == 0


def test_a_miss_on_one_copy_is_refilled_from_the_other(net: Network) -> None:
    miss(net)
    net.wait(HOLD_OFF_S / 2)
    assert net.asked(OTHER) == b""
    read(net)
    add(net)
    look(net)
    assert net.asked(OTHER) == b""
    net.wait(HOLD_OFF_S)
    look(net)
    assert counted(net) == {"refilled": 1}
    assert is_idle(net)


def test_a_hit_on_the_first_copy_is_followed_by_nothing(net: Network) -> None:
    client = net.client()
    net.send(client, b"get k1\r\n")
    net.asked(OWNER)
    net.reply(OWNER, b"VALUE k1 7 1\r\nx\r\nEND\r\n")
    assert is_idle(net)


def test_a_miss_on_all_copies_is_followed_by_nothing(net: Network) -> None:
    client = net.client()
    net.send(client, b"get k1\r\n")
    for server in (OWNER, OTHER):
        net.asked(server)
        net.reply(server, b"END\r\n")
    assert net.got(client) == b"END\r\n"
    assert is_idle(net)


def test_several_misses_of_a_key_are_one_refill(net: Network) -> None:
    for _ in range(3):
        miss(net)
    read(net)
    add(net)
    look(net)
    net.wait(HOLD_OFF_S)
    look(net)
    assert is_idle(net)


def test_keys_of_a_multiget_are_refilled(net: Network) -> None:
    client = net.client()
    net.send(client, b"get k1 k1\r\n")
    assert net.asked(OWNER) == b"get k1 k1\r\n"
    net.reply(OWNER, b"END\r\n")
    assert net.asked(OTHER) == b"get k1 k1\r\n"
    net.reply(OTHER, b"VALUE k1 7 1\r\nx\r\nVALUE k1 7 1\r\nx\r\nEND\r\n")
    read(net)
    add(net)
    look(net)
    net.wait(HOLD_OFF_S)
    look(net)
    assert is_idle(net)


@pytest.mark.parametrize("limits", [{"refill_keys_per_s": 0}, {"refill_keys_per_s": 0.0}])
def test_without_a_rate_there_is_no_refill(limits: dict[str, float]) -> None:
    net = made(**limits)
    miss(net)
    assert is_idle(net)
    assert counted(net) == {}


def test_beyond_the_rate_keys_are_dropped_and_counted() -> None:
    net = made(refill_keys_per_s=1)
    names = [name for name in (b"k%d" % n for n in range(50)) if pool(2).ring().owners(name, 2)[0] == OWNER][
        :5
    ]
    for name in names:
        client = net.client()
        net.send(client, b"get %s\r\n" % name)
        net.asked(OWNER)
        net.reply(OWNER, b"END\r\n")
        net.asked(OTHER)
        net.reply(OTHER, b"VALUE %s 0 1\r\nx\r\nEND\r\n" % name)
    assert counted(net) == {"refills_dropped": 4}
    net.wait(HOLD_OFF_S)
    assert re.fullmatch(rb"mg %s v f t c O\d+\r\n" % names[0], net.asked(OTHER))


# ---- lifetimes and flags ----


@pytest.mark.parametrize(
    ("left", "sent"), [(b"-1", b"0"), (b"2", b"1"), (b"100", b"99"), (b"2592001", b"2592000")]
)
def test_the_copy_lives_a_second_less_than_its_source_says(net: Network, left: bytes, sent: bytes) -> None:
    miss(net)
    read(net, b"f7 t%s c5" % left)
    add(net, sent)
    look(net, b"HD c5 t" + left)


def test_an_item_that_ends_at_once_is_not_copied(net: Network) -> None:
    miss(net)
    read(net, b"f7 t1 c5")
    assert is_idle(net)
    assert counted(net) == {"refills_skipped": 1}


def test_the_time_that_the_read_took_is_subtracted(net: Network) -> None:
    miss(net)
    net.wait(HOLD_OFF_S)
    opaque = asked(net, OTHER, READ)
    net.now += 0.4
    net.reply(OTHER, b"VA 1 f7 t100 c5 O%s\r\nx\r\n" % opaque)
    add(net, b"99")


def test_without_the_time_of_day_a_long_lifetime_is_cut_to_thirty_days(net: Network) -> None:
    miss(net)
    read(net, b"f7 t9999999 c5")
    add(net, b"2592000")


def test_a_long_lifetime_is_sent_as_a_date_and_looked_at(net: Network) -> None:
    net.engine.set_wall_offset(1_700_000_000.5 - net.now)
    miss(net)
    net.wait(HOLD_OFF_S)
    opaque = asked(net, OTHER, READ)
    net.reply(OTHER, b"VA 1 f7 t9999999 c5 O%s\r\nx\r\n" % opaque)
    add(net, b"%d" % (1_700_000_002 + 9999998))
    opaque = asked(net, OWNER, LOOK)
    net.reply(OWNER, b"HD c9 t9999998 O%s\r\n" % opaque)
    look(net, b"HD c5 t9999999")
    net.wait(HOLD_OFF_S)
    look(net, b"HD c5 t9999997")
    assert is_idle(net)
    assert counted(net) == {"refilled": 1}


def test_a_copy_that_outlives_its_source_by_the_target_s_clock_is_deleted(net: Network) -> None:
    net.engine.set_wall_offset(1_700_000_000.5 - net.now)
    miss(net)
    net.wait(HOLD_OFF_S)
    opaque = asked(net, OTHER, READ)
    net.reply(OTHER, b"VA 1 f7 t9999999 c5 O%s\r\nx\r\n" % opaque)
    add(net, b"%d" % (1_700_000_002 + 9999998))
    opaque = asked(net, OWNER, LOOK)
    net.reply(OWNER, b"HD c9 t10003598 O%s\r\n" % opaque)
    asked(net, OWNER, rb"md k1 C9 O(\d+)\r\n")


def test_a_key_in_base64_stays_one(net: Network) -> None:
    there, here = pool(2).ring().owners(b"azE=", 2)
    assert net.engine.refill([b"azE="], here, there, True) == 1
    net.wait(0)
    opaque = asked(net, here, rb"mg azE= b v f t c O(\d+)\r\n")
    net.reply(here, b"VA 1 f0 t-1 c5 O%s\r\nx\r\n" % opaque)
    opaque = asked(net, there, rb"ms azE= 1 b ME T0 F0 c O(\d+)\r\nx\r\n")
    net.reply(there, b"HD c9 O%s\r\n" % opaque)
    opaque = asked(net, here, rb"mg azE= b c t u O(\d+)\r\n")
    net.reply(here, b"EN\r\n")
    asked(net, there, rb"md azE= b C9 O(\d+)\r\n")


# ---- writes win ----


@pytest.mark.parametrize(
    "write",
    [
        b"delete k1\r\n",
        b"set k1 0 0 1\r\ny\r\n",
        b"touch k1 5\r\n",
        b"flush_all\r\n",
        b"md k1\r\n",
        b"incr k1 1\r\n",
        b"gat 5 k1\r\n",
        b"gat 5 k1 k2\r\n",
    ],
)
def test_a_write_between_read_and_add_spoils_the_refill(net: Network, write: bytes) -> None:
    miss(net)
    net.wait(HOLD_OFF_S)
    opaque = asked(net, OTHER, READ)
    client = net.client()
    net.send(client, write)
    net.asked(OWNER)
    net.asked(OTHER)
    net.reply(OTHER, b"VA 1 f7 t-1 c5 O%s\r\nx\r\n" % opaque)
    assert net.asked(OWNER) == b""
    assert counted(net) == {"refills_skipped": 1}


def test_reads_and_writes_of_other_keys_spoil_nothing(net: Network) -> None:
    miss(net)
    net.wait(HOLD_OFF_S)
    opaque = asked(net, OTHER, READ)
    client = net.client()
    net.send(client, b"get k1\r\nset k2 0 0 1\r\ny\r\nmg k1 v\r\n")
    net.asked(OWNER)
    net.asked(OTHER)
    net.reply(OTHER, b"VA 1 f7 t-1 c5 O%s\r\nx\r\n" % opaque) if pool(2).ring().owners(b"k2", 2) else None
    add_line = net.asked(OWNER)
    assert re.fullmatch(ADD % (b"0", b"7"), add_line)


def test_a_later_write_stands_behind_the_add(net: Network) -> None:
    miss(net)
    read(net)
    client = net.client()
    net.send(client, b"delete k1\r\n")
    assert re.fullmatch(ADD % (b"0", b"7") + rb"delete k1\r\n", net.asked(OWNER))


def test_a_key_that_is_held_by_a_write_is_not_refilled(net: Network) -> None:
    miss(net)
    client = net.client()
    net.send(client, b"add k1 0 0 1\r\ny\r\n")
    net.asked(OWNER)
    net.asked(OTHER)
    net.now += HOLD_OFF_S
    net.engine.refill([KEY], OTHER, OWNER)
    net.wait(0)
    assert b" v f t c" not in net.asked(OTHER)


@pytest.mark.parametrize("flag", [b"W", b"X", b"Z"])
def test_a_stale_item_is_not_copied(net: Network, flag: bytes) -> None:
    miss(net)
    read(net, b"f7 t-1 c5 " + flag)
    assert is_idle(net)
    assert counted(net) == {"refills_skipped": 1}


def test_what_the_target_has_by_now_stays(net: Network) -> None:
    miss(net)
    read(net)
    add(net, reply=b"NS")
    assert is_idle(net)
    assert counted(net) == {"refills_present": 1}


def test_what_the_source_has_no_longer_is_not_copied(net: Network) -> None:
    miss(net)
    net.wait(HOLD_OFF_S)
    asked(net, OTHER, READ)
    net.reply(OTHER, b"EN\r\n")
    assert is_idle(net)
    assert counted(net) == {"refills_gone": 1}


# ---- other routers ----


@pytest.mark.parametrize("found", [b"EN", b"HD c6 t-1", b"HD c5 t-1 X", b"SERVER_ERROR busy", b"HD c5 t30"])
@pytest.mark.parametrize("later", [False, True])
def test_a_copy_whose_source_has_changed_is_deleted(net: Network, found: bytes, later: bool) -> None:
    miss(net)
    read(net)
    add(net)
    if later:
        look(net)
        net.wait(HOLD_OFF_S)
    opaque = asked(net, OTHER, LOOK)
    net.reply(OTHER, found + (b"\r\n" if found[:2] in (b"EN", b"SE") else b" O%s\r\n" % opaque))
    opaque = asked(net, OWNER, rb"md k1 C9 O(\d+)\r\n")
    net.reply(OWNER, b"HD O%s\r\n" % opaque)
    assert counted(net) == {"refilled": 1, "refills_undone": 1}
    assert is_idle(net)


def test_a_copy_whose_source_is_lost_is_deleted(net: Network) -> None:
    miss(net)
    read(net)
    add(net)
    asked(net, OTHER, LOOK)
    net.lose(OTHER)
    asked(net, OWNER, rb"md k1 C9 O(\d+)\r\n")


# ---- faults ----


def test_a_late_add_is_deleted(net: Network) -> None:
    miss(net)
    read(net)
    asked(net, OWNER, ADD % (b"0", b"7"))
    net.wait(0.5)
    asked(net, OWNER, rb"md k1 O(\d+)\r\n")


def test_a_lost_add_is_a_missed_write(net: Network) -> None:
    miss(net)
    read(net)
    asked(net, OWNER, ADD % (b"0", b"7"))
    net.lose(OWNER)
    assert net.engine.missed_writes(OWNER) == 1
    journal = net.engine.journal(OWNER)
    journal.begin()
    assert journal.take(10) == [b"delete k1\r\n"]


def test_an_add_that_took_too_long_is_deleted(net: Network) -> None:
    miss(net)
    read(net)
    opaque = asked(net, OWNER, ADD % (b"0", b"7"))
    net.now += 1.1
    net.reply(OWNER, b"HD c9 O%s\r\n" % opaque)
    asked(net, OWNER, rb"md k1 C9 O(\d+)\r\n")


@pytest.mark.parametrize("server", [OWNER, OTHER])
@pytest.mark.parametrize("state", [1, 2])
def test_servers_out_of_service_take_no_part(net: Network, server: int, state: int) -> None:
    miss(net)
    net.engine.set_server_state(server, state)
    net.wait(HOLD_OFF_S)
    assert net.asked(OTHER) == b""
    assert counted(net) == {"refills_skipped": 1}


@pytest.mark.parametrize("server", [OWNER, OTHER])
def test_a_server_that_was_out_meanwhile_takes_no_part(net: Network, server: int) -> None:
    miss(net)
    net.engine.set_server_state(server, 1)
    net.engine.set_server_state(server, 0)
    net.wait(HOLD_OFF_S)
    assert net.asked(OTHER) == b""


def test_a_value_that_is_too_large_for_the_target_is_not_copied(net: Network) -> None:
    net.engine.set_item_size_max(OWNER, 1)
    net.engine.set_item_size_max(OTHER, 100)
    miss(net)
    net.wait(HOLD_OFF_S)
    opaque = asked(net, OTHER, READ)
    net.reply(OTHER, b"VA 2 f7 t-1 c5 O%s\r\nxx\r\n" % opaque)
    assert net.asked(OWNER) == b""
    assert counted(net) == {"refills_skipped": 1}


def test_a_refusal_ends_it(net: Network) -> None:
    miss(net)
    read(net)
    asked(net, OWNER, ADD % (b"0", b"7"))
    net.reply(OWNER, b"SERVER_ERROR out of memory storing object\r\n")
    assert is_idle(net)
    assert counted(net) == {"refills_skipped": 1}


# ---- keys that the driver feeds ----


def test_fed_keys_begin_at_once_up_to_a_bound(net: Network) -> None:
    keys = [b"key-%d" % n for n in range(5000)]
    assert net.engine.refill(keys, OTHER, OWNER) == 4096
    net.wait(0)
    assert net.asked(OTHER).count(b"mg key-") == 64
    assert net.engine.refill(keys[4096:], OTHER, OWNER) == 64
    assert net.engine.snapshot().counters["refills_open"] == 4160


def test_each_end_begins_the_next(net: Network) -> None:
    net.engine.refill([b"key-%d" % n for n in range(100)], OTHER, OWNER)
    net.wait(0)
    begun = net.asked(OTHER).count(b"mg key-")
    net.reply(OTHER, b"EN\r\n" * begun)
    net.wait(0)
    assert net.asked(OTHER).count(b"mg key-") == 100 - begun
    assert counted(net) == {"refills_gone": begun}


def test_an_unknown_server_is_an_error(net: Network) -> None:
    with pytest.raises(IndexError):
        net.engine.refill([KEY], 0, -1)
