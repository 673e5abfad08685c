"""CAS tokens where a key has copies: good on the server that gave them, and on no other."""

import pytest

from mcroute._hashing import murmur3_32
from mcroute.policy import Limits, PoolRoute, Replicate

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

KEY = b"k1"
FIRST, SECOND = pool(3).ring().owners(KEY, 2)


@pytest.fixture
def net() -> Network:
    return network(Replicate(pool(3), copies=2), 3)


def tagged(number: int, server: int) -> int:
    return number << 16 | murmur3_32(b"s%d" % server, 0) & 0xFFFF


def cas(token: int) -> bytes:
    return b"cas k1 0 0 1 %d\r\ny\r\n" % token


def test_the_token_of_the_first_copy(net: Network) -> None:
    client = net.client()
    net.send(client, b"gets k1\r\n")
    net.reply(FIRST, b"VALUE k1 7 3 12\r\n1 2\r\nEND\r\n")
    assert net.got(client) == b"VALUE k1 7 3 %d\r\n1 2\r\nEND\r\n" % tagged(12, FIRST)
    net.asked(FIRST)
    net.send(client, cas(tagged(12, FIRST)))
    assert net.asked(FIRST) == cas(12)
    net.reply(FIRST, b"STORED\r\n")
    assert net.asked(SECOND) == b"delete k1\r\n"
    net.reply(SECOND, b"DELETED\r\n")
    assert net.got(client) == b"STORED\r\n"


@pytest.mark.parametrize("reason", ["miss", "ejected"])
def test_the_token_of_the_other_copy_goes_back_to_it(net: Network, reason: str) -> None:
    client = net.client()
    if reason == "ejected":
        net.engine.set_server_state(FIRST, 1)
    net.send(client, b"gets k1\r\n")
    if reason == "miss":
        net.reply(FIRST, b"END\r\n")
        net.asked(FIRST)
    net.asked(SECOND)
    net.reply(SECOND, b"VALUE k1 0 1 5\r\nx\r\nEND\r\n")
    assert net.got(client) == b"VALUE k1 0 1 %d\r\nx\r\nEND\r\n" % tagged(5, SECOND)
    net.engine.set_server_state(FIRST, 0)
    net.send(client, cas(tagged(5, SECOND)))
    assert (net.asked(FIRST), net.asked(SECOND)) == (b"", cas(5))
    net.reply(SECOND, b"STORED\r\n")
    assert net.asked(FIRST) == b"delete k1\r\n"


@pytest.mark.parametrize("token", [12, tagged(12, 3 - FIRST - SECOND), 2**64 - 1])
def test_a_foreign_token_has_another_value_before_it(net: Network, token: int) -> None:
    client = net.client()
    net.send(client, cas(token) + b"ms k1 1 C%d O7 k\r\ny\r\n" % token)
    assert net.got(client) == b"EXISTS\r\nEX O7 kk1\r\n"
    assert net.asked(FIRST) == net.asked(SECOND) == b""


def test_a_cas_token_of_an_ejected_server_goes_to_no_other(net: Network) -> None:
    client = net.client()
    net.engine.set_server_state(FIRST, 1)
    net.send(client, cas(tagged(12, FIRST)))
    assert net.got(client) == b"SERVER_ERROR server is out of service\r\n"
    assert net.asked(SECOND) == b""


def test_meta_tokens(net: Network) -> None:
    client = net.client()
    net.send(client, b"mg k1 v c Oabc\r\n")
    net.reply(FIRST, b"VA 2 c9 O1\r\n\r\n\r\n")
    assert net.got(client) == b"VA 2 c%d Oabc\r\n\r\n\r\n" % tagged(9, FIRST)
    net.asked(FIRST)
    net.send(client, b"ms k1 1 C%d c\r\ny\r\n" % tagged(9, FIRST))
    assert net.asked(FIRST) == b"ms k1 1 C9 c O2\r\ny\r\n"
    net.reply(FIRST, b"HD c10 O2\r\n")
    net.reply(SECOND, b"NOT_FOUND\r\n")
    assert net.got(client) == b"HD c%d\r\n" % tagged(10, FIRST)


def test_a_multigets_tokens_are_each_its_servers(net: Network) -> None:
    client = net.client()
    keys = [b"k%d" % i for i in range(12)]
    net.send(client, b"gets " + b" ".join(keys) + b"\r\n")
    ring = pool(3).ring()
    for server in range(3):
        asked = net.asked(server)[5:-2].split()
        net.reply(server, b"".join(b"VALUE %s 0 1 3\r\nx\r\n" % key for key in asked) + b"END\r\n")
    assert (
        net.got(client)
        == b"".join(b"VALUE %s 0 1 %d\r\nx\r\n" % (key, tagged(3, ring.owner(key))) for key in keys)
        + b"END\r\n"
    )


def test_one_copy_has_the_servers_own_tokens() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"gets k1\r\ncas k1 0 0 1 5\r\ny\r\n")
    assert net.asked(0) == b"gets k1\r\ncas k1 0 0 1 5\r\ny\r\n"
    net.reply(0, b"VALUE k1 0 1 5\r\nx\r\nEND\r\nSTORED\r\n")
    assert net.got(client) == b"VALUE k1 0 1 5\r\nx\r\nEND\r\nSTORED\r\n"


def test_a_token_too_long_to_carry_a_server_never_fits(net: Network) -> None:
    client = net.client()
    net.send(client, b"gets k1\r\n")
    net.reply(FIRST, b"VALUE k1 0 1 %d\r\nx\r\nEND\r\n" % (2**64 - 1))
    token = int(net.got(client).split()[4])
    net.asked(FIRST)
    net.send(client, cas(token))
    assert net.asked(FIRST) == cas(2**48 - 1)


# ---- two at a time ----


def look(net: Network, server: int, answer: bytes) -> None:
    asked = net.asked(server)
    assert asked.startswith(b"mg k1 u O")
    net.reply(server, answer + asked[len(b"mg k1 u") :])


def racing(net: Network) -> tuple[int, int]:
    """A cas is at the first copy; another client's, with a token of the second copy, looks."""
    one, other = net.client(), net.client()
    net.send(one, cas(tagged(12, FIRST)))
    assert net.asked(FIRST) == cas(12)
    net.send(other, cas(tagged(5, SECOND)))
    return one, other


def test_of_two_cas_at_two_copies_one_succeeds(net: Network) -> None:
    one, other = racing(net)
    net.reply(FIRST, b"STORED\r\n")
    asked = net.asked(SECOND)
    assert asked.startswith(b"mg k1 u O")
    assert asked.endswith(b"\r\ndelete k1\r\n")
    look(net, FIRST, b"HD")
    net.reply(SECOND, b"HD" + asked[len(b"mg k1 u") : asked.index(b"\r\n") + 2] + b"DELETED\r\n")
    assert net.got(one) == b"STORED\r\n"
    assert net.asked(SECOND) == cas(5)
    net.reply(SECOND, b"NOT_FOUND\r\n")
    assert net.got(other) == b"NOT_FOUND\r\n"


def test_a_cas_at_another_copy_succeeds_behind_one_that_fails(net: Network) -> None:
    one, other = racing(net)
    net.reply(FIRST, b"EXISTS\r\n")
    assert net.got(one) == b"EXISTS\r\n"
    for server in (FIRST, SECOND):
        look(net, server, b"HD")
    assert net.asked(SECOND) == cas(5)
    net.reply(SECOND, b"STORED\r\n")
    assert net.asked(FIRST) == b"delete k1\r\n"
    net.reply(FIRST, b"DELETED\r\n")
    assert net.got(other) == b"STORED\r\n"


def test_requests_for_the_key_wait_while_a_cas_looks(net: Network) -> None:
    racing(net)
    net.asked(FIRST)
    net.asked(SECOND)
    client = net.client()
    net.send(client, b"get k1\r\n")
    assert net.asked(FIRST) == b""


def test_the_next_cas_at_the_same_copy_does_not_wait(net: Network) -> None:
    one, other = net.client(), net.client()
    net.send(one, cas(tagged(12, FIRST)))
    net.send(other, cas(tagged(12, FIRST)))
    assert net.asked(FIRST) == cas(12) * 2


def test_what_waits_at_a_copy_out_of_service_ends_before_a_cas_at_the_other(net: Network) -> None:
    deleting, one, other = (net.client() for _ in range(3))
    net.send(deleting, b"delete k1\r\n")
    net.send(one, cas(tagged(12, FIRST)))
    assert net.asked(FIRST) == b"delete k1\r\n" + cas(12)
    assert net.asked(SECOND) == b"delete k1\r\n"
    # The first copy has missed a delete, and is out of service at once, though it answers.
    net.reply(FIRST, b"SERVER_ERROR out of memory\r\n")
    assert net.engine.is_stale(FIRST)
    net.send(other, cas(tagged(5, SECOND)))
    asked = net.asked(SECOND)
    assert asked.startswith(b"delete k1\r\nmg k1 u O")
    net.reply(SECOND, b"DELETED\r\n" * 2 + b"EN\r\n")
    assert net.got(one).startswith(b"SERVER_ERROR timeout")
    net.reply(FIRST, b"STORED\r\n")
    assert net.asked(SECOND) == cas(5)


def test_a_cas_whose_look_cannot_be_sent_is_refused_while_another_runs(net: Network) -> None:
    net.engine.set_limits(Limits(link_requests_max=1))
    one, other = net.client(), net.client()
    net.send(one, cas(tagged(12, FIRST)))
    assert net.asked(FIRST) == cas(12)
    net.send(other, cas(tagged(5, SECOND)))
    assert net.asked(FIRST) == b""
    look(net, SECOND, b"HD")
    assert net.asked(SECOND) == b""
    assert net.got(other) == b"SERVER_ERROR too many requests wait for the server\r\n"
    # With the first one done, the client's next attempt is sent.
    net.reply(FIRST, b"EXISTS\r\n")
    net.send(other, cas(tagged(5, SECOND)))
    assert net.asked(SECOND) == cas(5)
