"""What a review of the engine found: each test is named for what must hold, and did not."""

import pytest

from mcroute._engine.engine import Engine
from mcroute._hashing import murmur3_32
from mcroute.policy import (
    AllAsync,
    AllFastest,
    Failover,
    Limits,
    Pool,
    PoolRoute,
    Replicate,
    Server,
    compile_plan,
)
from mcroute.policy.steps import Ask, Wait

from .network import network, pool

pytestmark = pytest.mark.usefixtures("driver")

OWNERS = pool(2).ring().owners(b"k1", 2)


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

    def arrives(data):  # as adapters.asyncio_link does it
        room = engine.get_buffer(link) or bytearray(4096)
        room[: len(data)] = data
        engine.received(link, len(data), net.now)

    arrives(b"STORED\r\n")
    for session in idle[:20]:
        engine.close(session, net.now)
    arrives(b"NOT_STORED\r\n")
    net.turn()
    # It was b"NOT_STORED\r\n", the add's reply, for the set.
    assert net.got(client) == b"STORED\r\nNOT_STORED\r\n"
    assert link not in net.closed


@pytest.mark.parametrize("request_line", [b"set k1 0 0 3000000 noreply\r\n"])
def test_a_value_refused_without_a_reply_deletes_the_old_one_too(request_line):
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.send(client, request_line + b"x" * 3000000 + b"\r\n")
    assert net.got(client) == b""
    assert [net.asked(server)[:5] for server in OWNERS] == [b"md k1"] * 2


@pytest.mark.parametrize("request_bytes", [b"cas k1 0 0 1 %d\r\n6\r\n", b"incr k1 1\r\n"])
def test_a_write_to_one_copy_that_timed_out_takes_the_others_back(request_bytes):
    plan = compile_plan(
        Replicate(pool(2, reply_timeout_s=0.5, deadline_s=9.0), copies=2), retry_share=0, retry_floor_per_s=0
    )
    net = network(Replicate(pool(2), copies=2), 2)
    net.engine.install(plan)
    client = net.client()
    if b"%d" in request_bytes:
        net.send(client, b"gets k1\r\n")
        net.reply(OWNERS[0], b"VALUE k1 0 1 1\r\n5\r\nEND\r\n")
        request_bytes %= int(net.got(client).split()[4])
        net.asked(OWNERS[0])
    net.send(client, request_bytes)
    net.wait(0.6)
    if net.asked(OWNERS[1]):  # with the fix: the undo
        net.reply(OWNERS[1], b"DELETED\r\n")
    assert net.got(client) == b"SERVER_ERROR timeout\r\n"
    # The server executes it all the same, and answers the next get with the new value.
    net.reply(OWNERS[0], b"STORED\r\n" if b"cas" in request_bytes else b"6\r\n")
    net.send(client, b"get k1\r\n")
    net.reply(OWNERS[0], b"VALUE k1 0 1\r\n6\r\nEND\r\n")
    assert net.got(client) == b"VALUE k1 0 1\r\n6\r\nEND\r\n"
    net.lose(OWNERS[0])
    old = {True: b"VALUE k1 0 1\r\n5\r\nEND\r\n", False: b"END\r\n"}
    net.asked(OWNERS[1])
    undone = net.engine.snapshot().servers[f"s{OWNERS[1]}"].counters["requests"] > 0
    net.send(client, b"get k1\r\n")
    net.reply(OWNERS[1], old[not undone])
    assert net.got(client) == b"END\r\n"  # now: the value from before the cas, read after the new one


def test_a_copy_that_refused_a_delete_is_out_of_service():
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.send(client, b"delete k1\r\n")
    net.reply(OWNERS[0], b"DELETED\r\n")
    net.reply(OWNERS[1], b"SERVER_ERROR out of memory\r\n")
    assert net.got(client) == b"DELETED\r\n"
    net.asked(OWNERS[1])
    net.send(client, b"get k1\r\n")
    net.reply(OWNERS[0], b"END\r\n")
    assert net.asked(OWNERS[1]) == b""  # now: a get, which finds the deleted value


def test_a_copy_that_refused_an_undo_is_out_of_service():
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.send(client, b"incr k1 1\r\n")
    net.reply(OWNERS[0], b"6\r\n")
    net.reply(OWNERS[1], b"SERVER_ERROR out of memory\r\n")
    assert net.got(client) == b"6\r\n"
    assert net.engine.server_state(OWNERS[1]) == 1


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
        # Now: in the past from the 10th second on, so that the driver's timer spins.
        assert net.engine.next_wakeup() > net.now
    assert net.links[0] in net.closed
    assert net.engine.server_state(0) == 0


def test_gat_of_several_keys_touches_each_on_its_other_copy():
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.send(client, b"gat 30 k1 k2\r\n")
    assert [net.asked(0), net.asked(1)] == [b"gat 30 k1\r\n", b"gat 30 k2\r\n"]
    net.reply(0, b"VALUE k1 0 1\r\na\r\nEND\r\n")
    net.reply(1, b"VALUE k2 0 1\r\nb\r\nEND\r\n")
    assert net.asked(1) == b"touch k1 30\r\n"
    assert net.asked(0) == b"touch k2 30\r\n"  # now: touch k1 30


def test_a_call_behind_a_held_key_begins_in_the_turn_in_which_the_key_is_free():
    net = network(Slow(PoolRoute(pool(1))), 1)
    for value in (b"x", b"y"):
        net.engine.submit(b"set k1 0 0 1\r\n" + value + b"\r\n", net.now)
    net.turn()
    assert net.asked(0) == b"set k1 0 0 1\r\nx\r\n"
    net.reply(0, b"STORED\r\n")  # a whole turn, as the drivers do it
    assert net.asked(0) == b"set k1 0 0 1\r\ny\r\n"  # now: nothing, until other traffic or the deadline


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
    assert net.asked(0) == b"set k1 0 0 1\r\nx\r\n"  # now: the generator was closed


def test_a_detached_write_fails_over():
    a = Pool("a", (Server("s0", "127.0.0.1", 1),))
    b = Pool("b", (Server("s1", "127.0.0.1", 2),))
    net = network(AllAsync((Failover((PoolRoute(a), PoolRoute(b))),)), 2)
    net.send(net.client(), b"set k1 0 0 1\r\nx\r\n")
    assert net.asked(0) == b"set k1 0 0 1\r\nx\r\n"
    net.lose(0)
    assert net.asked(1) == b"set k1 0 0 1\r\nx\r\n"  # now: nothing


def test_a_gat_whose_undo_is_lost_leaves_no_copy_that_lives_on():
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.send(client, b"gat -1 k1\r\n")
    net.reply(OWNERS[0], b"VALUE k1 0 1\r\na\r\nEND\r\n")
    net.lose(OWNERS[1])
    assert net.got(client) == b"VALUE k1 0 1\r\na\r\nEND\r\n"
    assert net.engine.server_state(OWNERS[1]) == 1
    assert net.engine.missed_writes(OWNERS[1]) == 1


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
    assert engine.take_output(second) == b"SERVER_ERROR timeout\r\n"  # now: nothing until 61


def test_a_cas_token_does_not_change_its_server_with_the_plan():
    seen = {}
    for i in range(2000):
        tag = murmur3_32(b"s%d" % i) & 0xFFFF
        if tag in seen:
            break
        seen[tag] = i
    a, b = sorted((f"s{seen[tag]}", f"s{i}"))
    servers = [Server(a, "127.0.0.1", 1), Server(b, "127.0.0.1", 2), Server("zz", "127.0.0.1", 3)]

    def plan(members):
        return compile_plan(Replicate(Pool("main", tuple(members)), copies=2))

    net = network(Replicate(Pool("main", tuple(servers)), copies=2), 3)
    ring = Pool("main", tuple(servers)).ring()
    key = next(b"k%d" % i for i in range(999) if ring.owners(b"k%d" % i, 2)[0] == 0)
    client = net.client()
    net.send(client, b"gets %s\r\n" % key)
    net.reply(0, b"VALUE %s 0 1 7\r\nx\r\nEND\r\n" % key)
    token = net.got(client).split()[4]
    net.engine.install(plan(servers[1:]))
    net.send(client, b"cas %s 0 0 1 %s\r\nz\r\n" % (key, token))
    assert net.asked(1) == b""  # now: "cas k0 0 0 1 7" goes to a server that has never given this token
    assert net.got(client) == b"EXISTS\r\n"
