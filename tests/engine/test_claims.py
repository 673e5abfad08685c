"""Two threads of a native loop and one key: writes take turns, reads keep away from ghosts."""

from __future__ import annotations

import importlib.util

import pytest

from mcroute.policy import PoolRoute, Replicate, compile_plan

from .network import Network, pool

if importlib.util.find_spec("mcroute._loop.threads") is None:
    pytest.skip("no epoll", allow_module_level=True)

from .loop_network import LoopNetwork, pair

FIRST, SECOND = OWNERS = pool(3).ring().owners(b"k1", 2)
SET, OTHER = b"set k1 0 0 1\r\n1\r\n", b"set k1 0 0 1\r\n2\r\n"
GET = b"get k1\r\n"


@pytest.fixture
def nets() -> tuple[LoopNetwork, LoopNetwork]:
    return pair(Replicate(pool(3), copies=2), 3)


def wait(seconds: float, *nets: LoopNetwork) -> None:
    for net in nets:
        net.wait(seconds)


def asked(net: Network) -> list[bytes]:
    return [net.asked(server) for server in OWNERS]


def test_writes_of_two_threads_take_turns(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    one, other = nets
    first, second = one.client(), other.client()
    one.send(first, SET)
    other.send(second, OTHER)
    assert asked(one) == [SET, SET]
    assert asked(other) == [b"", b""]
    one.reply(FIRST, b"STORED\r\n")
    other.turn()
    assert asked(other) == [b"", b""]
    one.reply(SECOND, b"STORED\r\n")
    assert one.got(first) == b"STORED\r\n"
    # The thread that releases the key wakes the waiting one; no time passes.
    other.turn()
    assert asked(other) == [OTHER, OTHER]


def test_without_copies_writes_do_not_take_turns() -> None:
    one, other = pair(PoolRoute(pool(3)), 3)
    one.send(one.client(), SET)
    other.send(other.client(), OTHER)
    assert (one.asked(FIRST), other.asked(FIRST)) == (SET, OTHER)


def test_writes_of_one_thread_do_not_wait_for_each_other(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    one, _ = nets
    one.send(one.client(), SET)
    one.send(one.client(), OTHER)
    assert asked(one) == [SET + OTHER] * 2


def test_a_read_does_not_pass_a_waiting_write_before_it(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    one, other = nets
    one.send(one.client(), SET)
    client = other.client()
    other.send(client, OTHER + GET)
    assert asked(other) == [b"", b""]
    for server in OWNERS:
        one.reply(server, b"STORED\r\n")
    other.turn()
    assert asked(other) == [OTHER, OTHER]
    for server in OWNERS:
        other.reply(server, b"STORED\r\n")
    assert asked(other) == [GET, b""]


def test_other_keys_do_not_wait(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    one, other = nets
    one.send(one.client(), SET)
    client = other.client()
    other.send(client, b"delete k7\r\n")
    assert b"delete k7\r\n" in [other.asked(server) for server in range(3)]


def test_a_write_that_waits_ends_at_its_deadline_and_was_never_sent(
    nets: tuple[LoopNetwork, LoopNetwork],
) -> None:
    one, other = nets
    one.send(one.client(), b"append k1 0 0 1\r\nx\r\n")
    one.asked(FIRST)
    client = other.client()
    other.send(client, OTHER)
    # The thread that has the key does not check its deadlines yet, as under load.
    other.wait(1.1)
    assert other.got(client) == b"SERVER_ERROR timeout\r\n"
    one.reply(FIRST, b"STORED\r\n")
    one.reply(SECOND, b"DELETED\r\n")
    wait(0.1, *nets)
    assert asked(other) == [b"", b""]
    other.send(client, OTHER)
    assert asked(other) == [OTHER, OTHER]


@pytest.mark.parametrize("write", ["first", "async"])
def test_a_read_waits_for_copies_that_a_write_did_not_wait_for(write: str) -> None:
    one, other = pair(Replicate(pool(3), copies=2, write=write), 3)
    writer, reader = one.client(), other.client()
    one.send(writer, SET)
    one.reply(SECOND, b"STORED\r\n")
    assert one.got(writer) == b"STORED\r\n"
    other.send(reader, GET + b"get k1 k7\r\n")
    assert asked(other) == [b"", b""]
    one.reply(FIRST, b"STORED\r\n")
    other.turn()
    assert b"get k1" in other.asked(FIRST)


def test_a_thread_that_always_has_a_write_under_way_lets_others_have_their_turn(
    nets: tuple[LoopNetwork, LoopNetwork],
) -> None:
    one, other = nets
    first, second = one.client(), other.client()
    one.send(first, SET)
    other.send(second, OTHER)
    one.send(first, SET)
    assert asked(one) == [SET, SET]
    for server in OWNERS:
        one.reply(server, b"STORED\r\n")
    # The same in the moment in which no thread has the key.
    one.send(first, SET)
    assert asked(one) == [b"", b""]
    other.turn()
    assert asked(other) == [OTHER, OTHER]
    wait(0.01, *nets)
    assert asked(one) == [b"", b""]
    for server in OWNERS:
        other.reply(server, b"STORED\r\n")
    one.turn()
    assert asked(one) == [SET, SET]
    for server in OWNERS:
        one.reply(server, b"STORED\r\n")
    assert asked(one) == [SET, SET]
    for server in OWNERS:
        one.reply(server, b"STORED\r\n")
    assert one.got(first) == b"STORED\r\n" * 3


@pytest.mark.parametrize(("write", "read"), [("first", GET), ("all", b"gat 60 k1\r\n")])
def test_a_write_does_not_pass_a_read_of_its_session_that_waits(write: str, read: bytes) -> None:
    one, other = pair(Replicate(pool(3), copies=2, write=write), 3)
    client = other.client()
    one.send(one.client(), SET)
    other.send(client, read)
    assert asked(other) == [b"", b""]
    for server in OWNERS:
        one.reply(server, b"STORED\r\n")
    # The request comes in the turn in which the other thread releases the key.
    other.send(client, OTHER)
    assert asked(other) == [read + OTHER, OTHER]


# ---- ghosts ----


def with_ghost(nets: tuple[LoopNetwork, LoopNetwork], request: bytes = SET) -> None:
    """The first thread's write has timed out on the first server, and is stored on the second."""
    one, _ = nets
    client = one.client()
    one.send(client, request)
    one.reply(SECOND, b"STORED\r\n")
    wait(0.6, *nets)
    assert one.got(client) == b"STORED\r\n"
    asked(one)


def test_a_ghost_keeps_other_threads_from_its_key_on_its_server(
    nets: tuple[LoopNetwork, LoopNetwork],
) -> None:
    with_ghost(nets)
    _, other = nets
    other.send(other.client(), GET)
    assert asked(other) == [b"", GET]
    other.send(other.client(), b"get k1 k7\r\n")
    assert b"k1" not in other.asked(FIRST)


def test_a_ghost_keeps_nobody_from_other_keys(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    with_ghost(nets)
    one, other = nets
    key = next(k for i in range(99) if pool(3).ring().owners(k := b"j%d" % i, 2) == [FIRST, SECOND])
    other.send(other.client(), b"get %s\r\n" % key)
    assert asked(other) == [b"get %s\r\n" % key, b""]
    other.send(other.client(), b"set %s 0 0 1\r\nx\r\n" % key)
    assert asked(other) == [b"set %s 0 0 1\r\nx\r\n" % key] * 2
    assert one.engine.server_state(FIRST) == 0


def test_a_write_of_another_thread_waits_for_the_ghost(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    with_ghost(nets)
    one, other = nets
    client = other.client()
    other.send(client, OTHER)
    wait(0.2, *nets)
    assert asked(other) == [b"", b""]
    # A slow server answers: no copy has missed a write.
    one.reply(FIRST, b"STORED\r\n")
    other.turn()
    assert asked(other) == [OTHER, OTHER]
    for server in OWNERS:
        other.reply(server, b"STORED\r\n")
    assert other.got(client) == b"STORED\r\n"
    assert not one.engine.is_stale(FIRST)
    assert one.engine.server_state(FIRST) == 0


def test_a_server_that_stays_silent_has_missed_the_write_that_waited(
    nets: tuple[LoopNetwork, LoopNetwork],
) -> None:
    with_ghost(nets)
    one, other = nets
    client = other.client()
    other.send(client, OTHER)
    wait(0.55, *nets)
    assert asked(other) == [b"", OTHER]
    other.reply(SECOND, b"STORED\r\n")
    assert other.got(client) == b"STORED\r\n"
    assert one.engine.is_stale(FIRST)
    assert one.engine.server_state(FIRST) == 1


def test_a_server_that_is_out_is_not_waited_for(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    with_ghost(nets)
    one, other = nets
    one.engine.set_server_state(FIRST, 1)
    other.send(other.client(), OTHER)
    assert asked(other) == [b"", OTHER]


def test_a_server_that_is_ejected_meanwhile_is_not_waited_for(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    with_ghost(nets)
    one, other = nets
    other.send(other.client(), OTHER)
    one.engine.set_server_state(FIRST, 1)
    other.wait(0.01)
    assert asked(other) == [b"", OTHER]


def test_a_write_that_has_waited_times_out_like_any_other(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    with_ghost(nets)
    one, other = nets
    client = other.client()
    other.send(client, OTHER)
    one.engine.set_server_state(FIRST, 1)
    # Only the passing of time ends its wait.
    other.wait(0.01)
    assert asked(other) == [b"", OTHER]
    other.wait(0.55)
    assert other.got(client) == b"SERVER_ERROR timeout\r\n"


def test_the_thread_of_the_ghost_goes_on_behind_it(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    with_ghost(nets)
    one, _ = nets
    one.send(one.client(), GET)
    assert asked(one) == [GET, b""]


def test_with_one_copy_a_write_waits_for_the_ghost_and_a_read_does_not() -> None:
    one, other = nets = pair(PoolRoute(pool(3)), 3)
    client = one.client()
    one.send(client, SET)
    wait(0.6, *nets)
    wait(0.5, *nets)
    assert one.got(client).startswith(b"SERVER_ERROR")
    other.send(other.client(), GET)
    other.send(other.client(), OTHER)
    assert other.asked(FIRST) == GET
    one.reply(FIRST, b"STORED\r\n")
    other.turn()
    assert other.asked(FIRST) == OTHER


def test_a_late_gat_of_several_keys_keeps_others_from_these_keys_only() -> None:
    one, other = nets = pair(Replicate(pool(3), copies=2), 3)
    one.send(one.client(), b"gat 60 k1 k1\r\n")
    wait(0.6, *nets)
    key = next(k for i in range(99) if pool(3).ring().owners(k := b"j%d" % i, 2) == [FIRST, SECOND])
    other.send(other.client(), b"delete %s\r\n" % key)
    assert asked(other) == [b"delete %s\r\n" % key] * 2
    other.send(other.client(), b"delete k1\r\n")
    assert asked(other) == [b"", b""]


def test_a_ghost_about_several_keys_keeps_others_from_all(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    one, other = nets
    one.send(one.client(), b"flush_all\r\n")
    wait(0.6, *nets)
    other.send(other.client(), b"get k7\r\n")
    wait(1.0, *nets)
    assert one.engine.server_state(FIRST) == 0
    for server in range(3):
        assert other.asked(server) == b""


# ---- what else leaves a server ----


def test_a_read_of_another_thread_fails_over_from_a_server_that_missed_a_write(
    nets: tuple[LoopNetwork, LoopNetwork],
) -> None:
    one, other = nets
    client = other.client()
    other.send(client, GET)
    assert asked(other) == [GET, b""]
    one.lose(FIRST)
    one.send(one.client(), SET)
    assert one.engine.server_state(FIRST) == 1
    # As the supervisor does at the event.
    one.engine.set_server_state(FIRST, 1)
    other.turn()
    assert asked(other) == [b"", GET]


def test_a_thread_that_ends_holds_nobody_up(nets: tuple[LoopNetwork, LoopNetwork]) -> None:
    one, other = nets
    one.send(one.client(), SET)
    other.send(other.client(), OTHER)
    del one, other, nets


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_plan_with_copies_waits_for_writes_by_one_without(is_answered: bool) -> None:
    one, other = pair(PoolRoute(pool(3)), 3)
    first, second = one.client(), other.client()
    one.send(first, SET)
    assert asked(one) == [SET, b""]
    one.engine.install(compile_plan(Replicate(pool(3), copies=2)))
    other.send(second, OTHER)
    third = one.client()
    one.send(third, GET)
    # The write by the earlier plan has no claim, and may be executed after this one on its only server.
    assert asked(other) == [b"", b""]
    assert asked(one) == [GET, b""]
    if is_answered:
        one.reply(FIRST, b"STORED\r\n")
        other.turn()
        assert asked(other) == [OTHER, OTHER]
        return
    # At its deadline the write becomes a ghost: no client waits longer.
    wait(0.6, one, other)
    assert one.got(first) == b"SERVER_ERROR timeout\r\n"
    wait(0.6, one, other)
    assert other.got(second) != b""


def test_without_a_write_under_way_a_plan_with_copies_waits_for_nothing() -> None:
    one, other = pair(PoolRoute(pool(3)), 3)
    one.send(one.client(), GET)
    one.engine.install(compile_plan(Replicate(pool(3), copies=2)))
    other.send(other.client(), OTHER)
    assert asked(other) == [OTHER, OTHER]
