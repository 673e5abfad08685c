"""Requests in flight come to an end: by replies, routes, deadlines, links that answer nothing."""

import pytest

from mcroute._engine.engine import Engine
from mcroute.policy import (
    AllAsync,
    AllFastest,
    Failover,
    Limits,
    Pool,
    PoolRoute,
    Server,
    compile_plan,
)
from mcroute.policy.steps import Ask, Wait

from .network import network, pool

pytestmark = pytest.mark.usefixtures("driver")


class Slow:
    """A route in Python: waits, then asks its child."""

    def __init__(self, child, *, wait=0.0):
        self.children = (child,)
        self.wait = wait

    def steps(self, request):
        if self.wait:
            yield Wait(self.wait)
        return (yield Ask(0))


def test_a_reply_is_not_dropped_when_the_memory_is_used_up():
    net = network(PoolRoute(pool(1)), 1)
    engine, link = net.engine, net.links[0]
    client = net.client()
    net.send(client, b"set k1 0 0 1\r\nx\r\nadd k1 0 0 1\r\ny\r\n")
    idle = [net.client() for _ in range(1100)]
    engine.set_limits(Limits(0, 4 << 20, 4 << 20, 4 << 20))
    for session in idle:  # 4 MiB are soon used up by what has come of their values
        engine.receive(session, b"set k 0 0 1000000\r\n" + b"x" * 9000, net.now)
    get = b"get " + b"k" * 200 + b"\r\n"
    is_broken = False
    while not is_broken:  # until what is read into cannot be renewed either
        session = net.client()
        is_broken = any(not engine.receive(session, get, net.now) for _ in range(900))

    def arrives(data):  # as drivers.asyncio.link does it
        room = engine.get_buffer(link) or bytearray(4096)
        room[: len(data)] = data
        engine.received(link, len(data), net.now)

    arrives(b"STORED\r\n")
    for session in idle[:20]:
        engine.close(session, net.now)
    arrives(b"NOT_STORED\r\n")
    net.turn()
    # Without the first reply, the add's reply would match the set.
    assert net.got(client) == b"STORED\r\nNOT_STORED\r\n"
    assert link not in net.closed


def test_a_link_that_answers_nothing_is_given_up_under_load():
    net = network(PoolRoute(pool(1, trip_after=3, reply_timeout_s=1.0, deadline_s=2.0)), 1)
    other = net.engine.open_link(0, 1)
    net.engine.link_connected(other)
    client = net.client()
    for _ in range(100):  # 25 s; the other link answers: the server is not out of service
        net.send(client, b"get k0\r\nget k1\r\n")
        net.got(net.links[0])
        for _ in net.got(other).splitlines():
            net.send(other, b"END\r\n")
        net.wait(0.25)
        net.got(client)
        if net.links[0] in net.closed:
            break
        # A point in the past would let the driver's timer spin.
        assert net.engine.next_wakeup() > net.now
    assert net.links[0] in net.closed
    assert net.engine.server_state(0) == 0


def test_a_call_behind_a_held_key_begins_in_the_turn_in_which_the_key_is_free():
    net = network(Slow(PoolRoute(pool(1))), 1)
    for value in (b"x", b"y"):
        net.engine.submit(b"set k1 0 0 1\r\n" + value + b"\r\n", net.now)
    net.turn()
    assert net.asked(0) == b"set k1 0 0 1\r\nx\r\n"
    net.reply(0, b"STORED\r\n")  # a whole turn, as the drivers do it
    assert net.asked(0) == b"set k1 0 0 1\r\ny\r\n"


@pytest.mark.parametrize("fastest", [True, False])
def test_a_route_in_python_runs_on_when_another_has_answered(fastest):
    direct = PoolRoute(pool(1))
    slow = Slow(direct, wait=0.01)
    net = network(AllFastest((direct, slow)) if fastest else AllAsync((slow,)), 1)
    client = net.client()
    net.send(client, b"set k1 0 0 1\r\nx\r\n")
    if fastest:
        assert net.asked(0) == b"set k1 0 0 1\r\nx\r\n"
        net.reply(0, b"STORED\r\n")
    assert net.got(client)
    net.wait(0.02)
    net.wait(0.02)
    assert net.asked(0) == b"set k1 0 0 1\r\nx\r\n"


def test_a_detached_write_fails_over():
    a = Pool("a", (Server("s0", "127.0.0.1", 1),))
    b = Pool("b", (Server("s1", "127.0.0.1", 2),))
    net = network(AllAsync((Failover((PoolRoute(a), PoolRoute(b))),)), 2)
    net.send(net.client(), b"set k1 0 0 1\r\nx\r\n")
    assert net.asked(0) == b"set k1 0 0 1\r\nx\r\n"
    net.lose(0)
    assert net.asked(1) == b"set k1 0 0 1\r\nx\r\n"


def test_a_deadline_does_not_wait_for_an_older_one():
    def plan(deadline):
        one = Pool("main", (Server("a", "127.0.0.1", 1),), reply_timeout_s=deadline, deadline_s=deadline)
        return compile_plan(Slow(PoolRoute(one), wait=100.0))

    engine = Engine(plan(60.0))
    first, second = engine.open_session(), engine.open_session()
    engine.receive(first, b"get k1\r\n", 1.0)
    engine.take_dirty()
    engine.install(plan(1.0))
    engine.receive(second, b"get k2\r\n", 2.0)
    engine.take_dirty()
    engine.check(5.0)
    engine.take_dirty()
    assert engine.take_output(second) == b"SERVER_ERROR timeout\r\n"
