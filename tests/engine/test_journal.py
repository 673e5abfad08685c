"""The journal of a server: the keys of writes that it missed, whatever the reason."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcroute import Engine
from mcroute.policy import Limits, Replicate, compile_plan

from .network import Network, network, pool

pytestmark = pytest.mark.usefixtures("driver")

KEY = b"k1"
FIRST, SECOND = pool(3).ring().owners(KEY, 2)


@pytest.fixture
def net() -> Network:
    return network(Replicate(pool(3, reply_timeout_s=0.5, deadline_s=2.0), copies=2), 3)


def requests_of(net: Network, server: int) -> list[bytes]:
    """A replay's requests, from the first key on."""
    journal = net.engine.journal(server)
    journal.begin()
    return journal.take(1000)


def eject(net: Network) -> None:
    net.engine.set_server_state(FIRST, 1)


def skipped(net: Network, request: bytes) -> None:
    eject(net)
    net.send(net.client(), request)


def lost(net: Network, request: bytes) -> None:
    net.send(net.client(), request)
    assert net.asked(FIRST)
    net.lose(FIRST)


def lost_later(net: Network, request: bytes) -> None:
    """The write has timed out, and its client has been answered by the other copy."""
    client = net.client()
    net.send(client, request)
    assert net.asked(SECOND)
    net.reply(SECOND, b"STORED\r\n")
    net.wait(0.6)
    assert net.got(client) == b"STORED\r\n"
    assert net.engine.missed_writes(FIRST) == 0 and requests_of(net, FIRST) == []
    net.lose(FIRST)


def refused_later(net: Network, request: bytes) -> None:
    net.send(net.client(), request)
    assert net.asked(SECOND)
    net.reply(SECOND, b"STORED\r\n")
    net.wait(0.6)
    assert net.asked(FIRST)
    net.reply(FIRST, b"SERVER_ERROR out of memory storing object\r\n")


@pytest.mark.parametrize("miss", [skipped, lost, lost_later, refused_later])
def test_the_key_of_a_missed_write_is_noted(net: Network, miss: Callable[[Network, bytes], None]) -> None:
    miss(net, b"set k1 0 0 1\r\nx\r\n")
    assert net.engine.missed_writes(FIRST) == 1
    assert net.engine.server_state(FIRST) == 1
    assert requests_of(net, FIRST) == [b"delete k1\r\n"]
    assert requests_of(net, SECOND) == []


@pytest.mark.parametrize(
    ("request_bytes", "delete"),
    [
        (b"delete k1\r\n", b"delete k1\r\n"),
        (b"incr k1 1\r\n", b"delete k1\r\n"),
        (b"touch k1 9\r\n", b"delete k1\r\n"),
        (b"append k1 0 0 1\r\nx\r\n", b"delete k1\r\n"),
        (b"ms k1 1\r\nx\r\n", b"delete k1\r\n"),
        (b"md azE= b\r\n", b"md azE= b\r\n"),
    ],
)
def test_every_command_that_writes_is_replayed_as_a_delete(
    net: Network, request_bytes: bytes, delete: bytes
) -> None:
    for server in range(3):
        net.engine.set_server_state(server, 1)
    net.send(net.client(), request_bytes)
    assert [r for server in range(3) for r in set(requests_of(net, server))] == [delete] * 2


def test_a_key_that_is_an_option_is_deleted_all_the_same(net: Network) -> None:
    for server in range(3):
        net.engine.set_server_state(server, 1)
    net.send(net.client(), b"set noreply 0 0 1\r\nx\r\n")
    assert {r for server in range(3) for r in requests_of(net, server)} == {b"delete noreply 0\r\n"}


def test_a_delete_that_is_refused_is_noted(net: Network) -> None:
    net.send(net.client(), b"delete k1\r\n")
    net.reply(SECOND, b"DELETED\r\n")
    net.reply(FIRST, b"SERVER_ERROR out of memory\r\n")
    assert requests_of(net, FIRST) == [b"delete k1\r\n"]


def test_a_missed_flush_all_is_of_all_keys(net: Network) -> None:
    skipped(net, b"flush_all\r\n")
    journal = net.engine.journal(FIRST)
    assert (len(journal), journal.is_overflowed, journal.overflows) == (0, True, 1)
    assert journal.settle(True) is None
    net.send(net.client(), b"set k1 0 0 1\r\nx\r\n")
    assert (len(journal), journal.overflows) == (0, 1)
    journal.clear()
    assert not journal.is_overflowed
    assert journal.settle(False) == net.engine.missed_writes(FIRST)


def test_a_write_that_is_executed_at_last_is_not_noted(net: Network) -> None:
    net.send(net.client(), b"set k1 0 0 1\r\nx\r\n")
    net.reply(SECOND, b"STORED\r\n")
    net.wait(0.6)
    net.reply(FIRST, b"STORED\r\n")
    assert net.engine.missed_writes(FIRST) == 0
    assert requests_of(net, FIRST) == []


def test_the_first_missed_write_makes_the_supervisor_look(net: Network) -> None:
    if not isinstance(net.engine, Engine):
        pytest.skip("threads have alarms of their own")
    eject(net)
    alarms = net.engine.alarms()
    net.send(net.client(), b"set k1 0 0 1\r\nx\r\n")
    assert net.engine.alarms() == alarms + 1
    net.send(net.client(), b"set k1 0 0 1\r\nx\r\n")
    assert net.engine.alarms() == alarms + 1


def test_a_server_is_restored_when_all_keys_are_taken(net: Network) -> None:
    journal = net.engine.journal(FIRST)
    skipped(net, b"set k1 0 0 1\r\nx\r\n")
    journal.begin()
    assert journal.settle(True) is None
    assert net.engine.server_state(FIRST) == 1
    assert journal.take(1) == [b"delete k1\r\n"]
    # It was not sent, and the key is taken already: the delete is enough for both.
    net.send(net.client(), b"set k1 0 0 1\r\ny\r\n")
    assert journal.take(1) == []
    assert journal.settle(True) == 2
    assert net.engine.server_state(FIRST) == 0 and not net.engine.is_stale(FIRST)
    assert len(journal) == 0


def test_a_replay_that_did_not_end_begins_with_the_first_key_again(net: Network) -> None:
    journal = net.engine.journal(FIRST)
    skipped(net, b"set k1 0 0 1\r\nx\r\n")
    journal.begin()
    journal.take(1)
    journal.begin()
    assert journal.settle(True) is None
    assert journal.take(1) == [b"delete k1\r\n"]


@pytest.mark.parametrize(
    ("limits", "keys"),
    [
        (Limits(journal_keys_max=3), 3),
        (Limits(journal_keys_max=0), 0),
        (Limits(journal_memory_max=0), 0),
        (Limits(journal_memory_max=1000), None),
    ],
)
def test_a_journal_without_room_overflows(net: Network, limits: Limits, keys: int | None) -> None:
    net.engine.set_limits(limits)
    journal = net.engine.journal(FIRST)
    eject(net)
    held = 0
    for i in range(1000):
        net.send(net.client(), b"set k%d 0 0 1\r\nx\r\n" % i)
        if journal.is_overflowed:
            break
        held = len(journal)
    assert journal.is_overflowed and len(journal) == 0
    assert held == keys if keys is not None else 1 <= held <= 20
    # Another journal may use the memory again.
    journal.clear()
    if keys != 0:
        net.send(net.client(), b"set k1 0 0 1\r\nx\r\n")
        assert len(journal) == 1


@pytest.mark.python_face("threads get their bounds from NativeEngine")
def test_all_journals_share_the_memory() -> None:
    net = network(Replicate(pool(3), copies=2), 3)
    net.engine.set_limits(Limits(journal_memory_max=20_000))
    for server in range(3):
        net.engine.set_server_state(server, 1)
    client, journals = net.client(), [net.engine.journal(server) for server in range(3)]
    for i in range(1000):
        net.send(client, b"set key%d 0 0 1\r\nx\r\n" % i)
    assert any(journal.overflows for journal in journals)
    assert sum(map(len, journals)) * 50 < 20_000


class Model:
    """Keys in the order of their misses, each with the number of the replay that took it."""

    def __init__(self) -> None:
        self.keys: dict[bytes, int] = {}
        self.replay = 0

    def miss(self, key: bytes) -> None:
        if self.keys.get(key) != self.replay:
            self.keys.pop(key, None)
            self.keys[key] = 0

    def take(self, count: int) -> list[bytes]:
        left = [key for key, replay in self.keys.items() if replay != self.replay or replay == 0][:count]
        self.keys |= dict.fromkeys(left, self.replay)
        return [b"delete %b\r\n" % key for key in left]

    def is_taken(self) -> bool:
        return all(replay == self.replay > 0 for replay in self.keys.values())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("miss"), st.integers(0, 200)),
        st.tuples(st.just("miss"), st.integers(0, 5)),
        st.tuples(st.just("take"), st.integers(1, 40)),
        st.tuples(st.sampled_from(["begin", "settle", "clear"]), st.just(0)),
    ),
    max_size=300,
)


@pytest.mark.python_face("the journal is the same")
@settings(max_examples=200)
@given(STEPS)
def test_a_journal_is_a_set_in_the_order_of_misses(steps: list[tuple[str, int]]) -> None:
    plan = compile_plan(Replicate(pool(2), copies=2))
    engine, model = Engine(plan), Model()
    engine.set_server_state(0, 1)
    client, journal = engine.open_session(), engine.journal(0)
    # Before the first replay a key that is missed again keeps its place; only the set counts then.
    journal.begin()
    model.replay = 1
    for step, argument in steps:
        if step == "miss":
            engine.receive(client, b"delete k%d\r\n" % argument, 0.0)
            model.miss(b"k%d" % argument)
        elif step == "take":
            assert journal.take(argument) == model.take(argument)
        elif step == "begin":
            journal.begin()
            model.replay += 1
        elif step == "settle":
            settled = journal.settle(False)
            assert (settled is not None) is model.is_taken()
            if settled is not None:
                assert settled == engine.missed_writes(0)
                model.keys.clear()
        else:
            journal.clear()
            model.keys.clear()
        assert len(journal) == len(model.keys)


@pytest.mark.python_face("threads of the test miss the writes")
def test_threads_that_miss_writes_during_replays_lose_no_key(missing: ModuleType) -> None:
    """When the server is restored with a count of N, the keys of N missed writes at least are deleted."""
    engine = Engine(compile_plan(Replicate(pool(2), copies=2)))
    journal, deleted, restored = engine.journal(0), set[bytes](), 0
    count, keys, threads = 20_000, 997, 3
    engine.set_server_state(0, 1)
    with ThreadPoolExecutor(threads) as pool_of_threads:
        works = [
            pool_of_threads.submit(missing.miss, engine, 0, i * 331, count, keys) for i in range(threads)
        ]
        while not all(work.done() for work in works) or len(journal):
            journal.begin()
            while requests := journal.take(100):
                deleted.update(requests)
            settled = journal.settle(True)
            restored += settled is not None
            assert settled is None or settled <= engine.missed_writes(0)
            engine.set_server_state(0, 1)
    assert deleted == {b"delete k%d\r\n" % i for i in range(keys)}
    journal.begin()
    assert journal.settle(False) == engine.missed_writes(0) == threads * count
    assert restored > 0
