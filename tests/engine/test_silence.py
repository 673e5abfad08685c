"""Silence is failure: a server whose replies keep coming is at most slow."""

import pytest

from mcroute.policy import PoolRoute, Replicate, compile_plan

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

KEY = b"k1"
FIRST, SECOND = pool(2).ring().owners(KEY, 2)
GET, HIT = b"get k1\r\n", b"VALUE k1 0 1\r\nx\r\nEND\r\n"
SET = b"set k1 0 0 1\r\nx\r\n"
TIMEOUT = b"SERVER_ERROR timeout\r\n"


def two(**retry: float) -> Network:
    net = network(Replicate(pool(2), copies=2), 2)
    if retry:
        net.engine.install(compile_plan(Replicate(pool(2), copies=2), **retry))
    return net


def failed(net: Network, server: int) -> int:
    return net.engine.snapshot().servers[f"s{server}"].counters["failed"]


# ---- progress ----


def test_a_server_that_answers_one_request_after_the_other_stays() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, GET * 10)
    for _ in range(9):
        net.wait(0.1)
        net.reply(0, HIT)
    assert net.got(client) == HIT * 9
    assert failed(net, 0) == 0
    # The last request has waited until its deadline: that is no failure of the server either.
    net.wait(0.11)
    assert net.got(client) == TIMEOUT
    assert (failed(net, 0), net.engine.server_state(0)) == (0, 0)


def test_a_reply_that_takes_long_to_send_is_a_sign_of_life() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, GET * 5)
    value = b"VALUE k1 0 20000\r\n" + b"x" * 20000 + b"\r\nEND\r\n"
    for start in range(0, len(value), 5000):
        net.wait(0.19)
        net.reply(0, value[start : start + 5000])
    assert net.got(client) == value
    assert (failed(net, 0), net.engine.server_state(0)) == (0, 0)


def test_a_server_that_drips_its_replies_is_ejected() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, GET * 5)
    for byte in HIT:
        net.reply(0, bytes([byte]))
        net.wait(0.1)
        if net.engine.server_state(0):
            break
    assert net.got(client) == TIMEOUT * 5
    assert failed(net, 0) == 5


def test_one_reply_does_not_make_up_for_silence_that_follows() -> None:
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, GET * 4)
    net.wait(0.4)
    net.reply(0, HIT)
    net.wait(0.45)
    assert (net.got(client), net.engine.server_state(0)) == (HIT, 0)
    net.wait(0.1)
    assert (net.got(client), net.engine.server_state(0)) == (TIMEOUT * 3, 1)


# ---- what waits on a slow server ----


def test_a_read_that_comes_in_time_is_not_asked_of_another_server() -> None:
    net = two()
    client = net.client()
    net.send(client, GET * 10)
    net.asked(SECOND)
    for _ in range(9):
        net.wait(0.06)
        net.reply(FIRST, HIT)
    assert net.got(client) == HIT * 9
    assert net.asked(SECOND) == b""


def test_a_read_that_comes_too_late_is_asked_of_another_server() -> None:
    net = two()
    client = net.client()
    net.send(client, GET * 10)
    for _ in range(2):
        net.wait(0.2)
        net.reply(FIRST, HIT)
    assert net.asked(SECOND) == b""
    net.wait(0.11)
    # Of 8 replies, two more are expected in the remaining half second; one of these is just too late.
    assert net.asked(SECOND) == GET * 7
    net.reply(SECOND, HIT * 7)
    net.reply(FIRST, HIT)
    assert net.got(client) == HIT * 10
    assert (failed(net, FIRST), net.engine.server_state(FIRST)) == (0, 0)


def test_a_write_waits_for_a_slow_copy_and_is_confirmed_by_the_other_at_its_deadline() -> None:
    net = two()
    client = net.client()
    net.send(client, SET * 10)
    net.reply(SECOND, b"STORED\r\n" * 10)
    for _ in range(3):
        net.wait(0.3)
        net.reply(FIRST, b"STORED\r\n")
    assert net.got(client) == b"STORED\r\n" * 3
    net.wait(0.11)
    assert net.got(client) == b"STORED\r\n" * 7
    assert (failed(net, FIRST), net.engine.server_state(FIRST)) == (0, 0)


def test_an_increment_waits_for_a_slow_server() -> None:
    net = two()
    client = net.client()
    net.send(client, GET + b"incr k1 1\r\n")
    net.asked(SECOND)
    net.wait(0.4)
    net.reply(FIRST, HIT)
    net.wait(0.4)
    assert net.asked(SECOND) == b""
    net.reply(FIRST, b"5\r\n")
    assert net.asked(SECOND) == b"delete k1\r\n"
    net.reply(SECOND, b"DELETED\r\n")
    assert net.got(client) == HIT + b"5\r\n"


# ---- the retry budget ----


def test_requests_that_wait_on_a_silent_server_fail_over_together_at_no_cost() -> None:
    net = two()
    client = net.client()
    net.send(client, GET * 400)
    net.wait(0.6)
    assert net.engine.server_state(FIRST) == 1
    assert net.asked(SECOND) == GET * 400
    net.reply(SECOND, HIT * 400)
    assert net.got(client) == HIT * 400
    counted = net.engine.counters()
    assert (counted["retries"], counted["retries_refused"], counted["failovers"]) == (0, 0, 400)


def test_timeouts_one_by_one_count_as_retries() -> None:
    net = two()
    client = net.client()
    for _ in range(3):
        net.send(client, GET)
        net.wait(0.51)
        net.reply(SECOND, HIT)
    assert net.got(client) == HIT * 3
    assert net.engine.server_state(FIRST) == 1
    assert net.engine.counters()["retries"] == 2


def test_a_server_that_is_silent_and_kept_is_spared_a_retry_storm() -> None:
    net = two(retry_share=0.0, retry_floor_per_s=1.0)
    net.engine.protect(FIRST, True)
    client = net.client()
    net.send(client, GET * 400)
    net.wait(0.6)
    assert net.asked(SECOND) == GET * 100
    net.reply(SECOND, HIT * 100)
    assert net.got(client) == HIT * 100 + TIMEOUT * 300
    assert net.engine.snapshot().servers[f"s{FIRST}"].counters["retries_refused"] == 300
    assert net.engine.is_spared(FIRST)


def test_a_slow_server_causes_no_retry_storm() -> None:
    net = two(retry_share=0.0, retry_floor_per_s=1.0)
    client = net.client()
    net.send(client, GET * 400)
    net.wait(0.4)
    net.reply(FIRST, HIT)
    net.wait(0.2)
    assert net.asked(SECOND) == GET * 100
    net.reply(SECOND, HIT * 100)
    # Requests that the budget refuses wait on, and are answered if the server answers in time.
    net.reply(FIRST, HIT * 200)
    assert net.got(client) == HIT * 201
    net.wait(0.3)
    net.reply(FIRST, HIT)
    assert net.got(client) == HIT
    net.wait(0.2)
    assert net.got(client) == TIMEOUT * 198
    counted = net.engine.snapshot().servers[f"s{FIRST}"].counters
    assert (counted["retries_refused"], counted["failed"]) == (299, 0)
    assert net.engine.server_state(FIRST) == 0


def test_a_multiget_on_a_slow_server_is_asked_of_another_one() -> None:
    net = two()
    client = net.client()
    keys = [key for key in (b"k%d" % i for i in range(30)) if pool(2).ring().owner(key) == FIRST][:3]
    net.send(client, GET + b"get %s\r\n" % b" ".join(keys))
    net.wait(0.4)
    net.reply(FIRST, HIT)
    net.asked(SECOND)
    net.wait(0.2)
    assert net.asked(SECOND) == b"get %s\r\n" % b" ".join(keys)


# ---- the network ----


def all_silent(net: Network, seconds: float) -> None:
    """Requests to all servers go on, and nothing comes back."""
    client = net.client()
    for _ in range(round(seconds / 0.05)):
        net.send(client, b"".join(b"get k%d\r\n" % i for i in range(12)))
        net.wait(0.05)


def test_a_moment_in_which_all_servers_are_silent_takes_none_out() -> None:
    net = network(PoolRoute(pool(3)), 3)
    all_silent(net, 1.8)
    assert [net.engine.server_state(server) for server in range(3)] == [0] * 3


def test_silence_of_all_servers_that_lasts_takes_them_out() -> None:
    net = network(PoolRoute(pool(3)), 3)
    all_silent(net, 2.2)
    assert [net.engine.server_state(server) for server in range(3)] == [1] * 3


@pytest.mark.parametrize("others", ["idle", "out of service"])
def test_servers_that_are_not_asked_say_nothing_about_the_network(others: str) -> None:
    net = network(PoolRoute(pool(3)), 3)
    if others != "idle":
        net.send(net.client(), b"".join(b"get k%d\r\n" % i for i in range(12)))
        for server in range(3):
            net.engine.set_server_state(server, int(server > 0))
    net.send(
        net.client(), b"".join(b"get k%d\r\n" % i for i in range(99) if pool(3).ring().owner(b"k%d" % i) == 0)
    )
    net.wait(0.51)
    assert net.engine.server_state(0) == 1


def test_a_server_that_alone_is_silent_is_ejected_at_once() -> None:
    net = network(PoolRoute(pool(3)), 3)
    client = net.client()
    keys = [next(b"k%d" % i for i in range(99) if pool(3).ring().owner(b"k%d" % i) == s) for s in range(3)]
    for _ in range(14):
        net.send(client, b"".join(b"get %s\r\n" % key for key in keys))
        for server in (1, 2):
            net.reply(server, b"END\r\n")
        net.wait(0.05)
    assert [net.engine.server_state(server) for server in range(3)] == [1, 0, 0]
