"""Hedged reads: the next copy is asked too, when the first one has not answered for a time."""

from random import Random

import pytest

from mcroute.policy import Replicate, compile_plan

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

KEY = b"k1"
FIRST, SECOND, THIRD = pool(3).ring().owners(KEY, 3)
GET, HIT, MISS = b"get k1\r\n", b"VALUE k1 0 1\r\nx\r\nEND\r\n", b"END\r\n"
OTHER = b"VALUE k1 0 1\r\ny\r\nEND\r\n"
TIMEOUT = b"SERVER_ERROR timeout\r\n"
AFTER = 0.01


def three(copies: int = 2, **options: object) -> Network:
    """The budget is a token for each request, unless `hedge_share` says otherwise."""
    share = options.pop("hedge_share", 1.0)
    options.setdefault("hedge_after_s", AFTER)
    route = Replicate(pool(3, **options), copies=copies)
    net = network(route, 3)
    net.engine.install(compile_plan(route, hedge_share=share))
    for server in range(3):
        net.engine.set_hedge_after(server, AFTER)
    return net


def hedges(net: Network) -> tuple[int, int, int]:
    """Sent, won, refused."""
    counters = net.engine.snapshot().counters
    return counters["hedges"], counters["hedges_won"], counters["hedges_refused"]


def late(net: Network) -> int:
    """A client whose read waits at both copies."""
    client = net.client()
    net.send(client, GET)
    assert (net.asked(FIRST), net.asked(SECOND)) == (GET, b"")
    net.wait(AFTER)
    assert (net.asked(FIRST), net.asked(SECOND), net.asked(THIRD)) == (b"", GET, b"")
    return client


# ---- one key ----


def test_a_read_that_is_answered_in_time_is_not_hedged() -> None:
    net = three()
    client = net.client()
    net.send(client, GET)
    net.wait(AFTER * 0.9)
    net.reply(FIRST, HIT)
    net.wait(AFTER)
    assert (net.got(client), net.asked(SECOND), hedges(net)) == (HIT, b"", (0, 0, 0))


def test_the_first_hit_wins_and_the_other_is_discarded() -> None:
    net = three()
    client = late(net)
    net.reply(SECOND, OTHER)
    assert net.got(client) == OTHER
    net.reply(FIRST, HIT)
    assert (net.got(client), hedges(net)) == (b"", (1, 1, 0))
    # The links are in step.
    net.send(client, GET)
    net.reply(FIRST, HIT)
    assert net.got(client) == HIT


def test_the_first_copy_may_still_win() -> None:
    net = three()
    client = late(net)
    net.reply(FIRST, HIT)
    assert net.got(client) == HIT
    net.reply(SECOND, OTHER)
    assert (net.got(client), hedges(net)) == (b"", (1, 0, 0))


@pytest.mark.parametrize("early", [FIRST, SECOND])
def test_a_miss_waits_for_the_other_copy(early: int) -> None:
    net = three()
    client = late(net)
    net.reply(early, MISS)
    assert net.got(client) == b""
    net.reply(FIRST + SECOND - early, HIT)
    assert net.got(client) == HIT


def test_two_misses_are_a_miss() -> None:
    net = three()
    client = late(net)
    net.reply(SECOND, MISS)
    net.reply(FIRST, MISS)
    assert net.got(client) == MISS


def test_a_miss_of_the_hedge_ends_the_read_when_the_first_copy_times_out() -> None:
    net = three()
    client = late(net)
    net.reply(SECOND, MISS)
    net.wait(0.4)
    assert net.got(client) == b""
    net.wait(0.1)
    assert net.got(client) == MISS


def test_an_error_of_the_hedge_waits_for_the_first_copy() -> None:
    net = three()
    client = late(net)
    net.lose(SECOND)
    assert net.got(client) == b""
    net.reply(FIRST, HIT)
    assert net.got(client) == HIT


def test_the_third_copy_is_asked_when_the_two_that_were_asked_have_missed() -> None:
    net = three(copies=3)
    client = late(net)
    net.reply(SECOND, MISS)
    assert net.asked(THIRD) == b""
    net.reply(FIRST, MISS)
    assert net.asked(THIRD) == GET
    net.reply(THIRD, HIT)
    assert net.got(client) == HIT


def test_a_copy_that_is_out_of_service_is_passed_over() -> None:
    net = three(copies=3)
    net.engine.set_server_state(SECOND, 1)
    client = net.client()
    net.send(client, GET)
    net.wait(AFTER)
    assert (net.asked(SECOND), net.asked(THIRD)) == (b"", GET)
    net.reply(THIRD, HIT)
    assert net.got(client) == HIT


def test_without_another_copy_in_service_nothing_is_hedged() -> None:
    net = three()
    net.engine.set_server_state(SECOND, 1)
    client = net.client()
    net.send(client, GET)
    net.wait(AFTER)
    assert hedges(net) == (0, 0, 0)
    net.reply(FIRST, HIT)
    assert net.got(client) == HIT


def test_a_late_reply_is_awaited_as_evidence_for_its_server() -> None:
    """Reads that were answered by hedges still eject a server that says nothing."""
    net = three()
    client = net.client()
    net.send(client, GET * 3)
    net.wait(AFTER)
    net.reply(SECOND, HIT * 3)
    assert net.got(client) == HIT * 3
    net.wait(0.5)
    assert net.engine.server_state(FIRST) == 1


def test_a_client_that_leaves_takes_its_hedges_along() -> None:
    net = three()
    client = late(net)
    net.engine.close(client, net.now)
    net.turn()
    net.reply(SECOND, HIT)
    net.reply(FIRST, HIT)
    client = late(net)
    net.reply(SECOND, HIT)
    assert net.got(client) == HIT


def test_both_links_are_lost() -> None:
    net = three()
    client = late(net)
    net.lose(FIRST)
    net.lose(SECOND)
    assert net.got(client).startswith(b"SERVER_ERROR")


# ---- which requests ----


@pytest.mark.parametrize(
    "request_line",
    [
        b"gets k1\r\n",
        b"gat 10 k1\r\n",
        b"mg k1 v T10\r\n",
        b"mg k1 c\r\n",
        b"set k1 0 0 1\r\nx\r\n",
        b"incr k1 1\r\n",
        b"delete k1\r\n",
        b"touch k1 9\r\n",
    ],
)
def test_only_reads_are_hedged(request_line: bytes) -> None:
    net = three()
    net.send(net.client(), request_line)
    net.wait(AFTER)
    net.wait(AFTER)
    assert hedges(net) == (0, 0, 0)


def test_meta_gets_are_hedged() -> None:
    net = three()
    client = net.client()
    net.send(client, b"mg k1 v Oabc\r\n")
    net.wait(AFTER)
    assert net.asked(SECOND).startswith(b"mg k1 v O")
    assert net.asked(FIRST).startswith(b"mg k1 v O")


def test_without_the_option_nothing_is_hedged() -> None:
    net = three(hedge_after_s=0.0)
    net.send(net.client(), GET)
    net.wait(AFTER)
    net.wait(AFTER)
    assert hedges(net) == (0, 0, 0)


# ---- the budget, and a server that has stopped ----


def test_hedges_are_a_share_of_the_requests() -> None:
    net = three(hedge_share=0.1)
    client = net.client()
    for _ in range(200):
        net.send(client, GET)
        net.wait(AFTER)
        net.reply(FIRST, HIT)
        if net.asked(SECOND):
            net.reply(SECOND, HIT)
    assert net.got(client) == HIT * 200
    sent, won, refused = hedges(net)
    assert 19 <= sent <= 20
    assert (won, sent + refused) == (0, 200)


def test_a_server_that_has_stopped_is_hedged_at_once_and_free() -> None:
    net = three(hedge_share=0.0)
    client, other = net.client(), net.client()
    ring = pool(3).ring()
    lone = next(key for key in map("n{}".format, range(99)) if ring.owners(key.encode(), 1)[0] == THIRD)
    net.send(client, GET)
    net.wait(AFTER)
    assert (net.asked(SECOND), hedges(net)) == (b"", (0, 0, 1))
    net.wait(3 * AFTER)
    assert net.asked(SECOND) == b"", "no other server has answered: it may be the network"
    net.send(other, f"get {lone}\r\n".encode())
    net.reply(THIRD, f"VALUE {lone} 0 1\r\nx\r\nEND\r\n".encode())
    net.wait(AFTER)
    # Also the read that the budget had refused.
    assert (net.asked(SECOND), hedges(net)) == (GET, (1, 0, 1))
    net.reply(SECOND, HIT)
    assert net.got(client) == HIT
    net.send(client, GET)
    net.wait(AFTER)
    assert (net.asked(SECOND), hedges(net)) == (GET, (2, 1, 1))
    # Its first reply ends the stall.
    net.reply(FIRST, HIT * 2)
    net.send(client, GET)
    net.wait(AFTER)
    assert hedges(net) == (2, 1, 2)


# ---- several keys ----

KEYS = [f"m{i}" for i in range(30)]
OWNERS = {key: pool(3).ring().owners(key.encode(), 2) for key in KEYS}


def line(keys: list[str]) -> bytes:
    return f"get {' '.join(keys)}\r\n".encode()


def items(keys: list[str], value: str = "x") -> bytes:
    return "".join(f"VALUE {key} 0 1\r\n{value}\r\n" for key in keys).encode()


def owned(server: int, second: int | None = None) -> list[str]:
    return [k for k in KEYS if OWNERS[k][0] == server and second in (None, OWNERS[k][1])]


def hedged_get(net: Network) -> int:
    """A client whose get of KEYS waits for server 0, and for the hedges at servers 1 and 2."""
    client = net.client()
    net.send(client, line(KEYS))
    for server in range(3):
        assert net.asked(server) == line(owned(server))
    net.reply(1, items(owned(1)) + b"END\r\n")
    net.reply(2, items(owned(2)) + b"END\r\n")
    net.wait(AFTER)
    assert net.asked(1) == line(owned(0, 1))
    assert net.asked(2) == line(owned(0, 2))
    return client


def test_the_keys_of_the_late_server_are_asked_of_their_next_copies() -> None:
    net = three()
    client = hedged_get(net)
    net.reply(1, items(owned(0, 1)) + b"END\r\n")
    assert net.got(client) == b""
    net.reply(2, items(owned(0, 2)) + b"END\r\n")
    assert net.got(client) == items(KEYS) + b"END\r\n"
    assert hedges(net) == (2, 2, 0)
    # The late reply is discarded.
    net.reply(0, items(owned(0), "y") + b"END\r\n")
    assert net.got(client) == b""
    net.send(client, line(owned(0)[:2]))
    net.reply(0, items(owned(0)[:2], "z") + b"END\r\n")
    assert net.got(client) == items(owned(0)[:2], "z") + b"END\r\n"


def test_the_late_server_completes_what_its_hedges_have_not_answered() -> None:
    net = three()
    client = hedged_get(net)
    net.reply(1, items(owned(0, 1)) + b"END\r\n")
    net.reply(0, items(owned(0), "y") + b"END\r\n")
    net.reply(2, b"END\r\n")
    got = net.got(client)
    expected = "".join(f"VALUE {k} 0 1\r\n{'y' if k in owned(0, 2) else 'x'}\r\n" for k in KEYS)
    assert got == expected.encode() + b"END\r\n"


def test_misses_of_a_multigets_hedges_wait_for_the_late_server() -> None:
    net = three()
    client = hedged_get(net)
    net.reply(1, b"END\r\n")
    net.reply(2, b"END\r\n")
    assert net.got(client) == b""
    net.reply(0, items(owned(0)[:1]) + b"END\r\n")
    found = [key for key in KEYS if key not in owned(0)[1:]]
    assert net.got(client) == items(found) + b"END\r\n"


def test_misses_of_a_multigets_hedges_count_when_the_late_server_is_lost() -> None:
    net = three()
    client = hedged_get(net)
    net.reply(1, b"END\r\n")
    net.reply(2, b"END\r\n")
    net.lose(0)
    assert net.got(client) == items([k for k in KEYS if k not in owned(0)]) + b"END\r\n"


def test_a_multiget_fails_when_all_copies_of_a_key_do() -> None:
    net = three()
    client = hedged_get(net)
    net.lose(0)
    assert net.got(client) == b""
    net.reply(2, items(owned(0, 2)) + b"END\r\n")
    net.lose(1)
    assert net.got(client).startswith(b"SERVER_ERROR")


def test_hedges_of_multigets_against_chance() -> None:
    """Whatever the order of replies, clients get each key's value once, and links stay in step."""
    rng = Random(5)
    for _ in range(60):
        net = three(copies=rng.choice((2, 3)))
        client = net.client()
        keys = rng.sample(KEYS, rng.randrange(2, len(KEYS)))
        net.send(client, line(keys))
        asked: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
        for _ in range(12):
            for server in range(3):
                asked[server] += net.asked(server).splitlines()
            server = rng.randrange(3)
            if asked[server] and rng.random() < 0.6:
                wanted = asked[server].pop(0).decode().split()[1:]
                net.reply(server, items(wanted) + b"END\r\n")
            else:
                net.wait(AFTER)
        for _ in range(3):
            for server in range(3):
                asked[server] += net.asked(server).splitlines()
                while asked[server]:
                    wanted = asked[server].pop(0).decode().split()[1:]
                    net.reply(server, items(wanted) + b"END\r\n")
        assert net.got(client) == items(keys) + b"END\r\n"
        net.send(client, line(keys))
        for server in range(3):
            for request in net.asked(server).splitlines():
                net.reply(server, items(request.decode().split()[1:], "z") + b"END\r\n")
        assert net.got(client) == items(keys, "z") + b"END\r\n"
        assert not net.closed
