"""One pool, one copy: requests reach their server, replies their client, in order."""

import pytest

from mcroute.policy import ByPrefix, Failover, Null, Pool, PoolRoute

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")


@pytest.fixture
def one() -> Network:
    return network(PoolRoute(pool(1)), 1)


@pytest.mark.parametrize(
    ("request_bytes", "reply"),
    [
        (b"get k\r\n", b"VALUE k 5 3\r\nabc\r\nEND\r\n"),
        (b"get k\r\n", b"END\r\n"),
        (b"gets k\r\n", b"VALUE k 0 1 77\r\nx\r\nEND\r\n"),
        (b"set k 0 0 3\r\nabc\r\n", b"STORED\r\n"),
        (b"add k 0 0 0\r\n\r\n", b"NOT_STORED\r\n"),
        (b"cas k 0 0 1 9\r\nx\r\n", b"EXISTS\r\n"),
        (b"delete k\r\n", b"NOT_FOUND\r\n"),
        (b"incr k 5\r\n", b"12\r\n"),
        (b"touch k 60\r\n", b"TOUCHED\r\n"),
        (b"set k 0 0 1\r\nx\r\n", b"SERVER_ERROR out of memory storing object\r\n"),
    ],
)
def test_request_and_reply_pass_verbatim(one: Network, request_bytes: bytes, reply: bytes) -> None:
    client = one.client()
    one.send(client, request_bytes)
    assert one.asked(0) == request_bytes
    one.reply(0, reply)
    assert one.got(client) == reply


@pytest.mark.parametrize("size", [1, 100, 5000, 9000, 70_000, 300_000])
def test_values_of_every_size_arrive_in_any_pieces(one: Network, size: int) -> None:
    client = one.client()
    value = bytes(i % 251 for i in range(size))
    request = b"set k 0 0 %d\r\n%s\r\n" % (size, value)
    for start in range(0, len(request), 1 + size // 7):
        one.send(client, request[start : start + 1 + size // 7])
    assert one.asked(0) == request
    one.send(client, b"get k\r\n")
    reply = b"STORED\r\nVALUE k 0 %d\r\n%s\r\nEND\r\n" % (size, value)
    for start in range(0, len(reply), 1 + size // 5):
        one.reply(0, reply[start : start + 1 + size // 5])
    assert one.got(client) == reply


def test_quit_alone_closes_the_session_and_nobody_elses(one: Network) -> None:
    client, other = one.client(), one.client()
    one.send(client, b"get k\r\n")
    one.reply(0, b"END\r\n")
    assert one.got(client) == b"END\r\n"
    one.send(client, b"quit\r\n")
    one.turn()
    assert one.got(client) == b""
    assert one.closed == [client]
    one.send(other, b"quit\r\n")
    one.turn()
    assert one.closed == [client, other]


def test_replies_are_sent_in_the_order_of_the_requests() -> None:
    net = network(PoolRoute(pool(4)), 4)
    client = net.client()
    ring = pool(4).ring()
    keys = [b"k%d" % i for i in range(40)]
    net.send(client, b"".join(b"get %s\r\n" % key for key in keys))
    for server in (3, 1, 2, 0):
        asked = net.asked(server).split(b"\r\n")[:-1]
        assert asked == [b"get " + key for key in keys if ring.owner(key) == server]
        net.reply(server, b"".join(b"VALUE %s 0 1\r\nx\r\nEND\r\n" % line[4:] for line in asked))
    assert net.got(client) == b"".join(b"VALUE %s 0 1\r\nx\r\nEND\r\n" % key for key in keys)


def test_multiget_is_split_by_server_and_joined_in_the_clients_order() -> None:
    net = network(PoolRoute(pool(3)), 3)
    client = net.client()
    keys = [b"k%d" % i for i in range(30)]
    net.send(client, b"get " + b" ".join(keys) + b"\r\n")
    hits = set(keys[::3]) | set(keys[1::3])
    for server in (2, 0, 1):
        asked = net.asked(server)
        assert asked.count(b"get ") == 1
        wanted = asked[4:-2].split(b" ")
        net.reply(
            server, b"".join(b"VALUE %s 0 1\r\nx\r\n" % key for key in wanted if key in hits) + b"END\r\n"
        )
    expected = b"".join(b"VALUE %s 0 1\r\nx\r\n" % key for key in keys if key in hits) + b"END\r\n"
    assert net.got(client) == expected


def test_keys_of_several_pools_on_one_server_are_asked_for_at_once() -> None:
    servers = pool(2).servers
    routes = {
        "a:": PoolRoute(Pool("a", servers)),
        "b:": Failover((PoolRoute(Pool("b", servers[:1])), PoolRoute(Pool("c", servers[1:])))),
    }
    net = network(ByPrefix(routes, PoolRoute(Pool("main", servers[:1]))), 2)
    client = net.client()
    first = [
        key
        for key in (b"a:%d" % i for i in range(20))
        if servers[Pool("a", servers).ring().owner(key)] is servers[0]
    ]
    keys = [first[0], b"b:1", b"k", b"b:2"]
    net.send(client, b"get %s\r\n" % b" ".join(keys))
    assert (net.asked(0), net.asked(1)) == (b"get %s\r\n" % b" ".join(keys), b"")
    # Keys that fail there go on by their own plans: only two of them have another server.
    net.reply(0, b"SERVER_ERROR busy\r\n")
    assert (net.asked(0), net.asked(1)) == (b"", b"get b:1 b:2\r\n")
    net.reply(1, b"END\r\nEND\r\n")
    assert net.got(client).startswith(b"SERVER_ERROR ")


@pytest.mark.parametrize(
    ("timeouts", "answer"),
    [
        ({"reply_timeout_s": 5.0}, b"SERVER_ERROR timeout\r\n"),
        ({"deadline_s": 5.0}, b"SERVER_ERROR timeout\r\n"),
    ],
)
def test_a_multiget_of_which_a_part_is_missing_is_an_error(timeouts: dict[str, float], answer: bytes) -> None:
    """Not a miss: neither when a server is late nor when the whole request is."""
    net = network(PoolRoute(pool(3, **timeouts)), 3)
    client = net.client()
    ring = pool(3).ring()
    net.send(client, b"get " + b" ".join(b"k%d" % i for i in range(30)) + b"\r\n")
    key = next(b"k%d" % i for i in range(30) if ring.owner(b"k%d" % i) == 0)
    net.reply(0, b"VALUE %s 0 1\r\nx\r\nEND\r\n" % key)
    net.reply(1, b"END\r\n")
    assert net.got(client) == b""
    net.wait(1.1)
    assert net.got(client) == answer


def test_noreply_is_kept_from_the_server_and_answered_to_nobody(one: Network) -> None:
    client = one.client()
    one.send(client, b"set k 1 2 3 noreply\r\nabc\r\nget k\r\n")
    assert one.asked(0) == b"set k 1 2 3\r\nabc\r\nget k\r\n"
    one.reply(0, b"STORED\r\nEND\r\n")
    assert one.got(client) == b"END\r\n"


def test_a_reply_with_another_key_breaks_the_link_and_reaches_nobody(one: Network) -> None:
    client = one.client()
    one.send(client, b"get k\r\n")
    one.reply(0, b"VALUE other 0 1\r\nx\r\nEND\r\n")
    assert one.closed == [one.links[0]]
    assert one.got(client) == b"SERVER_ERROR connection to the server lost\r\n"
    assert one.engine.counters()["desyncs"] == 1


def test_a_reply_that_nobody_waits_for_breaks_the_link(one: Network) -> None:
    one.reply(0, b"STORED\r\n")
    assert one.closed == [one.links[0]]


def test_a_late_reply_is_dropped_and_the_next_one_belongs_to_the_next_request(one: Network) -> None:
    client = one.client()
    one.send(client, b"get a\r\n")
    one.wait(0.6)
    assert one.got(client) == b"SERVER_ERROR timeout\r\n"
    one.send(client, b"get b\r\n")
    one.reply(0, b"VALUE a 0 1\r\nx\r\nEND\r\nVALUE b 0 1\r\ny\r\nEND\r\n")
    assert one.got(client) == b"VALUE b 0 1\r\ny\r\nEND\r\n"


def test_a_client_that_closes_in_the_middle_of_a_set_stores_nowhere(one: Network) -> None:
    client = one.client()
    one.send(client, b"set k 0 0 10\r\nabc")
    one.engine.close(client, one.now)
    one.turn()
    assert one.asked(0) == b""


def test_replies_for_a_closed_client_are_discarded(one: Network) -> None:
    client, other = one.client(), one.client()
    one.send(client, b"get a\r\n")
    one.send(other, b"get b\r\n")
    one.engine.close(client, one.now)
    one.reply(0, b"END\r\nVALUE b 0 1\r\ny\r\nEND\r\n")
    assert one.got(other) == b"VALUE b 0 1\r\ny\r\nEND\r\n"


def test_after_three_failures_in_a_row_the_server_is_asked_no_more(one: Network) -> None:
    client = one.client()
    one.send(client, b"get a\r\nget b\r\nget c\r\nget d\r\n")
    one.asked(0)
    one.wait(0.6)
    assert one.engine.counters()["ejections"] == 1
    assert one.got(client) == b"SERVER_ERROR timeout\r\n" * 4
    one.send(client, b"get a\r\n")
    assert one.asked(0) == b""
    assert one.got(client) == b"SERVER_ERROR server is out of service\r\n"
    one.engine.set_server_state(0, 0)
    one.send(client, b"get a\r\n")
    assert one.asked(0) == b"get a\r\n"


def test_a_protected_server_is_asked_however_often_it_fails(one: Network) -> None:
    client = one.client()
    one.engine.protect(0, True)
    one.send(client, b"get a\r\nget b\r\nget c\r\nget d\r\n")
    one.wait(0.6)
    assert one.got(client) == b"SERVER_ERROR timeout\r\n" * 4
    assert one.engine.counters()["ejections"] == one.engine.server_state(0) == 0
    assert one.engine.is_spared(0)
    one.asked(0)
    one.send(client, b"get e\r\n")
    assert one.asked(0) == b"get e\r\n"
    one.reply(0, b"END\r\n" * 5)
    assert one.got(client) == b"END\r\n"
    # The supervisor has processed the ejection, and the count begins anew.
    one.engine.set_server_state(0, 0)
    assert not one.engine.is_spared(0)
    one.engine.protect(0, False)
    one.send(client, b"get a\r\nget b\r\n")
    one.wait(0.6)
    assert one.engine.server_state(0) == 0
    one.send(client, b"get c\r\n")
    one.wait(0.6)
    assert one.engine.server_state(0) == 1


def test_a_server_that_was_spared_and_is_kept_no_more_trips(one: Network) -> None:
    client = one.client()
    one.engine.protect(0, True)
    one.send(client, b"get a\r\nget b\r\nget c\r\n")
    one.wait(0.6)
    one.engine.protect(0, False)
    one.send(client, b"get d\r\n")
    one.wait(0.6)
    assert one.engine.server_state(0) == 1


def test_a_session_with_too_much_in_flight_waits_without_losing_anything(one: Network) -> None:
    client = one.client()
    one.send(client, b"get k\r\n" * 3000)
    replies = b""
    while True:
        asked = one.asked(0).count(b"get k\r\n")
        if not asked:
            break
        assert asked <= 1024
        one.reply(0, b"END\r\n" * asked)
        replies += one.got(client)
    assert replies == b"END\r\n" * 3000


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        (b"set k 0 0 1048577\r\n", b"md k O1\r\n"),
        (b"ms a2V5 1048577 b\r\n", b"md a2V5 b O1\r\n"),
        (b"add k 0 0 1048577\r\n", b""),
    ],
)
def test_a_refused_value_deletes_the_old_one(one: Network, request_: bytes, sent: bytes) -> None:
    client = one.client()
    one.send(client, request_ + bytes(1048577) + b"\r\nget k\r\n")
    assert one.asked(0) == sent + b"get k\r\n"
    one.reply(0, b"NF O1\r\n" * bool(sent) + b"END\r\n")
    assert one.got(client) == b"SERVER_ERROR object too large for cache\r\nEND\r\n"


def test_a_line_in_pieces(one: Network) -> None:
    client = one.client()
    line = b"get " + b" ".join(b"k%d" % i for i in range(120)) + b"\r\n"
    for byte in line:
        assert one.asked(0) == b""
        one.send(client, bytes([byte]))
    assert one.asked(0) == line


def test_requests_of_a_paused_session_time_out() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"get k\r\n" * 3000)
    replies = b""
    for _ in range(6):
        net.wait(1.0)
        replies += net.got(client)
    assert replies.count(b"SERVER_ERROR ") == 3000


def test_a_flush_of_no_servers_succeeds() -> None:
    net = network(Null(), 0)
    client = net.client()
    net.send(client, b"flush_all\r\n")
    assert net.got(client) == b"OK\r\n"
