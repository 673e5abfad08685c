"""A copy that may have another value than its twin: taken back, or out of service."""

import pytest

from mcroute._hashing import murmur3_32
from mcroute.policy import (
    Pool,
    Replicate,
    Server,
    compile_plan,
)

from .network import network, pool

pytestmark = pytest.mark.usefixtures("driver")

OWNERS = pool(2).ring().owners(b"k1", 2)


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
    if net.asked(OWNERS[1]):
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
    assert net.got(client) == b"END\r\n"


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
    assert net.asked(OWNERS[1]) == b""


def test_a_copy_that_refused_an_undo_is_out_of_service():
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.send(client, b"incr k1 1\r\n")
    net.reply(OWNERS[0], b"6\r\n")
    net.reply(OWNERS[1], b"SERVER_ERROR out of memory\r\n")
    assert net.got(client) == b"6\r\n"
    assert net.engine.server_state(OWNERS[1]) == 1


def test_gat_of_several_keys_touches_each_on_its_other_copy():
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.send(client, b"gat 30 k1 k2\r\n")
    assert [net.asked(0), net.asked(1)] == [b"gat 30 k1\r\n", b"gat 30 k2\r\n"]
    net.reply(0, b"VALUE k1 0 1\r\na\r\nEND\r\n")
    net.reply(1, b"VALUE k2 0 1\r\nb\r\nEND\r\n")
    assert net.asked(1) == b"touch k1 30\r\n"
    assert net.asked(0) == b"touch k2 30\r\n"


def test_a_gat_whose_undo_is_lost_leaves_no_copy_that_lives_on():
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.send(client, b"gat -1 k1\r\n")
    net.reply(OWNERS[0], b"VALUE k1 0 1\r\na\r\nEND\r\n")
    net.lose(OWNERS[1])
    assert net.got(client) == b"VALUE k1 0 1\r\na\r\nEND\r\n"
    assert net.engine.server_state(OWNERS[1]) == 1
    assert net.engine.missed_writes(OWNERS[1]) == 1


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
    assert net.asked(1) == b""
    assert net.got(client) == b"EXISTS\r\n"
