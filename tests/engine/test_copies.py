"""Two copies of every key: writes go to both, reads move on, and one lost server is no error."""

import pytest

from mcroute.policy import PoolRoute, Replicate

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

KEY = b"k1"
OWNERS = pool(3).ring().owners(KEY, 2)


@pytest.fixture
def net() -> Network:
    return network(Replicate(pool(3), copies=2), 3)


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [
        (b"STORED\r\n", b"STORED\r\n", b"STORED\r\n"),
        (b"SERVER_ERROR a\r\n", b"SERVER_ERROR a\r\n", b"SERVER_ERROR a\r\n"),
        (b"STORED\r\n", None, b"STORED\r\n"),
        (None, b"STORED\r\n", b"STORED\r\n"),
        (None, None, b"SERVER_ERROR connection to the server lost\r\n"),
    ],
)
def test_a_set_reaches_both_copies(
    net: Network, first: bytes | None, second: bytes | None, answer: bytes
) -> None:
    client = net.client()
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    assert [net.asked(server) for server in OWNERS] == [b"set k1 0 0 1\r\nx\r\n"] * 2
    for server, reply in zip(OWNERS, (first, second), strict=True):
        assert net.got(client) == b""
        if reply is None:
            net.lose(server)
        else:
            net.reply(server, reply)
    assert net.got(client) == answer


@pytest.mark.parametrize("refusal", [b"SERVER_ERROR out of memory\r\n", b"ERROR\r\n", b"CLIENT_ERROR no\r\n"])
@pytest.mark.parametrize("refuses_first", [False, True])
def test_a_copy_that_refuses_a_write_loses_its_old_value_before_the_answer(
    net: Network, refusal: bytes, refuses_first: bool
) -> None:
    client = net.client()
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    for server in OWNERS:
        net.asked(server)
    refusing, storing = OWNERS
    if refuses_first:
        net.reply(refusing, refusal)
        assert net.asked(refusing) == b""
    net.reply(storing, b"STORED\r\n")
    if not refuses_first:
        net.reply(refusing, refusal)
    assert net.got(client) == b""
    assert net.asked(refusing) == b"delete k1\r\n"
    net.reply(refusing, b"DELETED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert net.engine.server_state(refusing) == 0


def test_a_copy_that_refuses_the_delete_too_is_out_of_service(net: Network) -> None:
    client = net.client()
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    net.reply(OWNERS[0], b"SERVER_ERROR busy\r\n")
    net.reply(OWNERS[1], b"STORED\r\n")
    net.reply(OWNERS[0], b"SERVER_ERROR busy\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert net.engine.is_stale(OWNERS[0])
    assert net.engine.server_state(OWNERS[0]) == 1


def test_a_write_that_all_copies_refuse_is_not_undone(net: Network) -> None:
    client = net.client()
    net.send(client, b"touch k1 5\r\n")
    for server in OWNERS:
        net.reply(server, b"CLIENT_ERROR no\r\n")
    assert net.got(client) == b"CLIENT_ERROR no\r\n"
    assert [net.asked(server) for server in OWNERS] == [b"touch k1 5\r\n"] * 2


def test_a_copy_that_refuses_after_the_answer_is_deleted_then() -> None:
    net = network(Replicate(pool(3), copies=2, write="first"), 3)
    client = net.client()
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    net.reply(OWNERS[1], b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    net.asked(OWNERS[0])
    net.reply(OWNERS[0], b"SERVER_ERROR no\r\n")
    assert net.asked(OWNERS[0]) == b"delete k1\r\n"
    net.reply(OWNERS[0], b"DELETED\r\n")
    assert net.got(client) == b""


def test_the_first_answer_waits_for_the_delete_of_a_refused_write_before_it() -> None:
    net = network(Replicate(pool(3), copies=2, write="first"), 3)
    client = net.client()
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    net.reply(OWNERS[0], b"SERVER_ERROR no\r\n")
    net.asked(OWNERS[0])
    net.reply(OWNERS[1], b"STORED\r\n")
    assert net.asked(OWNERS[0]) == b"delete k1\r\n"
    assert net.got(client) == b""
    net.reply(OWNERS[0], b"NOT_FOUND\r\n")
    assert net.got(client) == b"STORED\r\n"


def test_a_delete_that_misses_on_one_copy_is_a_delete(net: Network) -> None:
    client = net.client()
    net.send(client, b"delete k1\r\n")
    net.reply(OWNERS[0], b"NOT_FOUND\r\n")
    net.reply(OWNERS[1], b"DELETED\r\n")
    assert net.got(client) == b"DELETED\r\n"


@pytest.mark.parametrize("reply", [b"END\r\n", b"SERVER_ERROR out of memory\r\n", None])
def test_a_read_moves_on_to_the_other_copy(net: Network, reply: bytes | None) -> None:
    client = net.client()
    net.send(client, b"get k1\r\n")
    assert net.asked(OWNERS[1]) == b""
    if reply is None:
        net.lose(OWNERS[0])
    else:
        net.reply(OWNERS[0], reply)
    assert net.asked(OWNERS[1]) == b"get k1\r\n"
    net.reply(OWNERS[1], b"VALUE k1 0 1\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE k1 0 1\r\nx\r\nEND\r\n"


def test_a_multiget_asks_the_other_copies_for_missing_keys(net: Network) -> None:
    client = net.client()
    keys = [b"k%d" % i for i in range(12)]
    values = {key: b"VALUE %s 0 1\r\nx\r\n" % key for key in keys}
    net.send(client, b"get " + b" ".join(keys) + b"\r\n")
    net.lose(0)
    first_round = [net.asked(server) for server in (0, 1, 2)]
    for server in (1, 2):
        for line in first_round[server].split(b"\r\n")[:-1]:
            asked = line[4:].split(b" ")
            net.reply(server, b"".join(values[key] for key in asked) + b"END\r\n")
    assert net.got(client) == b"".join(values[key] for key in keys) + b"END\r\n"


def test_writes_that_an_ejected_server_did_not_receive_are_counted(net: Network) -> None:
    client = net.client()
    net.engine.set_server_state(OWNERS[0], 1)
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    assert net.asked(OWNERS[0]) == b""
    net.reply(OWNERS[1], b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert net.engine.missed_writes(OWNERS[0]) == 1


def test_incr_runs_on_one_copy_and_takes_the_other_back(net: Network) -> None:
    client = net.client()
    net.send(client, b"incr k1 1\r\n")
    assert [net.asked(server) for server in OWNERS] == [b"incr k1 1\r\n", b""]
    net.reply(OWNERS[0], b"5\r\n")
    assert net.asked(OWNERS[1]) == b"delete k1\r\n"
    assert net.got(client) == b""
    net.reply(OWNERS[1], b"DELETED\r\n")
    assert net.got(client) == b"5\r\n"


def test_an_append_moves_on_when_its_server_is_out_of_service(net: Network) -> None:
    client = net.client()
    net.engine.set_server_state(OWNERS[0], 1)
    net.send(client, b"append k1 0 0 1\r\nx\r\n")
    assert net.asked(OWNERS[1]) == b"append k1 0 0 1\r\nx\r\n"
    net.reply(OWNERS[1], b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert net.engine.missed_writes(OWNERS[0]) == 2


@pytest.mark.parametrize("request_bytes", [b"flush_all\r\n", b"flush_all 10\r\n", b"flush_all  0 \r\n"])
def test_flush_all_reaches_every_server(net: Network, request_bytes: bytes) -> None:
    client = net.client()
    net.send(client, request_bytes)
    assert [net.asked(server).split()[:1] for server in range(3)] == [[b"flush_all"]] * 3
    for server in (2, 0, 1):
        assert net.got(client) == b""
        net.reply(server, b"OK\r\n")
    assert net.got(client) == b"OK\r\n"


def test_quit_closes_after_the_replies_before_it(net: Network) -> None:
    client = net.client()
    net.send(client, b"get k1\r\nquit\r\nget k1\r\n")
    assert client not in net.closed
    net.reply(OWNERS[0], b"VALUE k1 0 1\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE k1 0 1\r\nx\r\nEND\r\n"
    assert client in net.closed


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_copy_that_missed_a_write_does_not_serve_its_old_value(net: Network, is_lost: bool) -> None:
    """Before anybody supervises it: between the acknowledgement and the next read there is no time."""
    client = net.client()
    net.engine.close(net.links[OWNERS[0]], net.now)
    if not is_lost:
        net.engine.open_link(OWNERS[0])
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    net.reply(OWNERS[1], b"STORED\r\n")
    if not is_lost:
        # The write waited for a connection, which was refused.
        assert net.got(client) == b""
        net.engine.close(net.links[OWNERS[0]], net.now)
        net.turn()
    assert net.got(client) == b"STORED\r\n"
    net.engine.open_link(OWNERS[0])
    net.engine.link_connected(net.links[OWNERS[0]])
    assert net.engine.server_state(OWNERS[0]) == 1
    assert net.engine.ejections() == 1
    net.asked(OWNERS[0])
    net.send(client, b"get k1\r\n")
    assert net.asked(OWNERS[0]) == b""
    assert net.asked(OWNERS[1]).endswith(b"get k1\r\n")


def test_a_protected_copy_that_missed_a_write_does_not_serve(net: Network) -> None:
    client = net.client()
    net.engine.protect(OWNERS[0], True)
    net.lose(OWNERS[0])
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    net.reply(OWNERS[1], b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n"
    assert net.engine.server_state(OWNERS[0]) == 1
    assert not net.engine.is_spared(OWNERS[0])


def test_a_copy_that_missed_a_write_is_not_restored(net: Network) -> None:
    client = net.client()
    net.engine.set_server_state(OWNERS[0], 1)
    assert not net.engine.is_stale(OWNERS[0])
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    net.reply(OWNERS[1], b"STORED\r\n")
    assert net.engine.is_stale(OWNERS[0])
    net.engine.set_server_state(OWNERS[0], 0, unless_stale=True)
    assert net.engine.server_state(OWNERS[0]) == 1
    # An unconditional restore says that the server has no stale values.
    net.engine.set_server_state(OWNERS[0], 0)
    assert not net.engine.is_stale(OWNERS[0])


def test_a_copy_whose_write_timed_out_may_be_restored(net: Network) -> None:
    client = net.client()
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    net.reply(OWNERS[1], b"STORED\r\n")
    net.wait(1.0)
    assert net.engine.missed_writes(OWNERS[0]) == 0
    assert not net.engine.is_stale(OWNERS[0])
    net.engine.set_server_state(OWNERS[0], 1)
    net.engine.set_server_state(OWNERS[0], 0, unless_stale=True)
    assert net.engine.server_state(OWNERS[0]) == 0


def late_write(net: Network, request: bytes = b"set k1 0 0 1\r\nx\r\n", reply: bytes = b"STORED\r\n") -> None:
    """One copy has confirmed it, the other is late with it, and may do it yet."""
    client = net.client()
    net.send(client, request)
    net.reply(OWNERS[1], reply)
    net.wait(1.0)
    assert net.got(client) == reply
    assert net.engine.missed_writes(OWNERS[0]) == net.engine.server_state(OWNERS[0]) == 0


@pytest.mark.parametrize("reply", [b"STORED\r\n", b"CLIENT_ERROR bad data chunk\r\n"])
def test_a_late_write_that_is_answered_at_last_was_not_missed(net: Network, reply: bytes) -> None:
    late_write(net)
    net.reply(OWNERS[0], reply)
    assert net.engine.missed_writes(OWNERS[0]) == net.engine.server_state(OWNERS[0]) == 0


def test_late_writes_leave_nothing_to_flush_when_their_server_tripped_by_them(net: Network) -> None:
    client = net.client()
    net.send(client, b"set k1 0 0 1\r\nx\r\n" * 3)
    net.reply(OWNERS[1], b"STORED\r\n" * 3)
    net.wait(0.6)
    assert net.got(client) == b"STORED\r\n" * 3
    assert net.engine.server_state(OWNERS[0]) == 1
    net.reply(OWNERS[0], b"STORED\r\n" * 3)
    net.engine.set_server_state(OWNERS[0], 0, 0)
    assert net.engine.server_state(OWNERS[0]) == 0


def test_a_late_write_is_missed_when_its_link_is_lost(net: Network) -> None:
    late_write(net)
    net.lose(OWNERS[0])
    assert net.engine.missed_writes(OWNERS[0]) == 1
    assert net.engine.is_stale(OWNERS[0])
    assert net.engine.server_state(OWNERS[0]) == 1


@pytest.mark.parametrize(
    "request_", [(b"set k1 0 0 1\r\nx\r\n", b"STORED\r\n"), (b"delete k1\r\n", b"DELETED\r\n")]
)
def test_a_late_write_is_missed_when_it_is_refused_at_last(
    net: Network, request_: tuple[bytes, bytes]
) -> None:
    late_write(net, *request_)
    net.reply(OWNERS[0], b"SERVER_ERROR out of memory storing object\r\n")
    assert net.engine.missed_writes(OWNERS[0]) == 1
    assert net.engine.server_state(OWNERS[0]) == 1


@pytest.mark.python_face("how many links there are is the loop's own; see test_claims for two threads")
def test_requests_on_another_link_fail_over_from_a_server_that_missed_a_write(net: Network) -> None:
    second = net.engine.open_link(OWNERS[0], 1)
    net.engine.link_connected(second)
    keys = [k for i in range(99) if pool(3).ring().owners(k := b"j%d" % i, 1) == [OWNERS[0]]]
    for key in keys:
        net.send(net.client(), b"get %s\r\n" % key)
    waiting = net.got(second)
    assert waiting
    # The other link is lost: later writes cannot be sent.
    net.lose(OWNERS[0])
    for key in keys:
        net.send(net.client(), b"delete %s\r\n" % key)
    assert net.engine.is_stale(OWNERS[0])
    for server in range(3):
        net.asked(server)
    # As the supervisor does at the event.
    net.engine.set_server_state(OWNERS[0], 1)
    net.turn()
    asked = b"".join(net.asked(server) for server in range(3))
    assert sorted(asked.splitlines()) == sorted(waiting.splitlines())


def test_a_read_that_is_lost_changes_nothing(net: Network) -> None:
    client = net.client()
    net.send(client, b"get k1\r\n")
    net.lose(OWNERS[0])
    assert net.engine.server_state(OWNERS[0]) == 0


def test_a_flush_that_one_server_refuses_is_answered_as_refused() -> None:
    net = network(PoolRoute(pool(3)), 3)
    client = net.client()
    net.send(client, b"flush_all\r\n")
    for server, reply in enumerate((b"OK\r\n", b"SERVER_ERROR no\r\n", b"OK\r\n")):
        net.reply(server, reply)
    assert net.got(client) == b"SERVER_ERROR a server refused\r\n"


def test_an_engine_is_freed_with_requests_that_would_fail_over() -> None:
    net = network(Replicate(pool(3), copies=3), 3)
    for _ in range(10):
        net.send(net.client(), b"get a b c d e\r\nset k 0 0 1\r\nx\r\n")
    del net


@pytest.mark.parametrize(
    "request_line",
    [
        b"get k1\r\n",
        b"get k1 k1\r\n",
        b"gat 5 k1\r\n",
        b"mg k1 v\r\n",
        b"set k1 0 0 1\r\nx\r\n",
        b"add k1 0 0 1\r\nx\r\n",
        b"incr k1 1\r\n",
        b"delete k1\r\n",
        b"touch k1 5\r\n",
    ],
)
def test_without_a_copy_in_service_the_error_comes_at_once(net: Network, request_line: bytes) -> None:
    for server in OWNERS:
        net.engine.set_server_state(server, 1)
    client = net.client()
    net.send(client, request_line)
    assert net.got(client).startswith(b"SERVER_ERROR")
    assert [net.asked(server) for server in range(3)] == [b"", b"", b""]
