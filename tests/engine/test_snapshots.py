"""The counters of an engine, and the sum of several engines' counters."""

from __future__ import annotations

import itertools
import threading
from types import ModuleType

import pytest

from mcroute._engine.snapshots import Latencies, ServerSnapshot, Snapshot
from mcroute.policy import Failover, Outcome, Pool, PoolRoute, Replicate, Server, compile_plan

from .network import network, pool

pytestmark = pytest.mark.usefixtures("driver")


def failover(**options: object) -> Failover:
    """s0, and s1 where that fails."""
    pools = [Pool(f"p{i}", (Server(f"s{i}", "127.0.0.1", 1000 + i),), **options) for i in range(2)]
    return Failover(tuple(PoolRoute(each) for each in pools))


def test_a_request_lasts_until_its_reply_is_known():
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"get a\r\nset b 0 0 1\r\nx\r\n")
    net.now += 0.25
    net.reply(0, b"END\r\n")
    net.now += 0.125
    net.reply(0, b"STORED\r\n")
    durations = net.engine.snapshot().durations
    assert {command: each.sum_s for command, each in durations.items()} == {"get": 0.25, "set": 0.375}
    assert durations["get"].quantile(0.5) == pytest.approx(0.25, rel=0.0625)
    replies = net.engine.snapshot().servers["s0"].latencies
    assert (replies.count, replies.sum_s) == (2, 0.625)


def test_a_request_that_is_none_is_only_counted_as_refused():
    net = network(PoolRoute(pool(1)), 1)
    net.send(net.client(), b"nonsense\r\n")
    snapshot = net.engine.snapshot()
    assert {name: snapshot.counters[name] for name in ("requests", "replies", "refused")} == {
        "requests": 1,
        "replies": 1,
        "refused": 1,
    }
    assert (snapshot.results, snapshot.durations) == ({}, {})


def test_a_late_reply_is_timed_too():
    net = network(PoolRoute(pool(1, reply_timeout_s=0.5, deadline_s=2.0)), 1)
    net.send(net.client(), b"get a\r\n")
    net.wait(0.5)
    net.wait(0.25)
    net.reply(0, b"END\r\n")
    server = net.engine.snapshot().servers["s0"]
    assert server.outcomes == {Outcome.TIMEOUT: 1}
    assert (server.latencies.count, server.latencies.sum_s) == (1, 0.75)


def test_keys_of_a_multiget_are_results_of_one_request():
    net = network(PoolRoute(pool(1)), 1)
    net.send(net.client(), b"get a b c\r\n")
    net.reply(0, b"VALUE b 0 1\r\nx\r\nEND\r\n")
    snapshot = net.engine.snapshot()
    assert snapshot.results == {("get", Outcome.HIT): 1, ("get", Outcome.MISS): 2}
    assert snapshot.durations["get"].count == snapshot.counters["requests"] == 1


def test_a_snapshot_counts_outcomes_by_server():
    net = network(failover(trip_after=2), 2)
    client = net.client()
    net.send(client, b"get a\r\n")
    net.reply(0, b"SERVER_ERROR busy\r\n")
    net.reply(1, b"END\r\n")
    net.send(client, b"get a\r\n")
    net.lose(0)
    net.reply(1, b"END\r\n")
    snapshot = net.engine.snapshot()
    assert snapshot.servers["s0"].outcomes == {Outcome.REFUSED_BY_SERVER: 1, Outcome.LOST: 1}
    assert snapshot.servers["s1"].outcomes == {Outcome.MISS: 2}
    assert snapshot.failovers == {Outcome.REFUSED_BY_SERVER: 1, Outcome.LOST: 1}
    assert snapshot.counters["failovers"] == 2


def test_a_multigets_part_that_fails_over_is_one_failover():
    net = network(failover(), 2)
    net.send(net.client(), b"get a b\r\n")
    net.lose(0)
    assert net.engine.snapshot().failovers == {Outcome.LOST: 1}


def test_unanswered_requests_follow_from_a_snapshot():
    net = network(PoolRoute(pool(1)), 1)

    def unanswered() -> int:
        server = net.engine.snapshot().servers["s0"]
        return server.counters["requests"] - server.latencies.count - server.counters["dropped"]

    net.send(net.client(), b"get a\r\nget b\r\nget c\r\n")
    assert unanswered() == 3
    net.reply(0, b"END\r\n")
    assert unanswered() == 2
    net.lose(0)
    assert unanswered() == 0


def test_a_snapshot_has_the_memory_of_requests_in_flight():
    net = network(PoolRoute(pool(1)), 1)
    client = net.client()
    net.send(client, b"set a 0 0 100000\r\n" + b"x" * 60000)
    held = net.engine.snapshot().counters["buffer_bytes"]
    net.send(client, b"x" * 40000 + b"\r\n")
    net.asked(0)
    net.reply(0, b"STORED\r\n")
    net.got(client)
    assert held > 100_000
    assert net.engine.snapshot().counters["buffer_bytes"] < 100_000


@pytest.mark.python_face("the loop connects by itself, and once more")
def test_connections_are_counted():
    net = network(PoolRoute(pool(1)), 1)
    first, _ = net.client(), net.client()
    net.engine.close(first, net.now)
    counters = net.engine.snapshot().counters
    assert (counters["sessions_opened"], counters["sessions_closed"]) == (2, 1)
    net.lose(0)
    net.engine.open_link(0)
    net.lose(0)
    net.lose(0)
    counters = net.engine.snapshot().servers["s0"].counters
    assert [counters[name] for name in ("connects", "disconnects", "connects_failed")] == [1, 1, 1]


def test_retries_are_counted_and_those_that_had_no_budget():
    net = network(failover(reply_timeout_s=0.1, trip_after=1000), 2)
    net.send(net.client(), b"get a\r\n" * 300)
    net.wait(0.1)
    counters = net.engine.snapshot().counters
    assert counters["retries"] + counters["retries_refused"] == 300
    assert counters["retries"] == counters["failovers"] > 0 < counters["retries_refused"]


def test_ejections_say_why():
    net = network(Replicate(pool(2), copies=2), 2)
    client = net.client()
    net.lose(1)
    net.send(client, b"set a 0 0 1\r\nx\r\n")
    net.reply(0, b"STORED\r\n")
    one, other = (net.engine.snapshot().servers[name].counters for name in ("s0", "s1"))
    assert (other["trips"], other["stale_ejections"], other["missed_writes"]) == (0, 1, 1)
    assert (one["trips"], one["stale_ejections"], one["missed_writes"]) == (0, 0, 0)


def test_an_id_that_is_given_again_begins_anew():
    net = network(PoolRoute(pool(1)), 1)
    net.send(net.client(), b"get a\r\n")
    net.reply(0, b"END\r\n")
    net.lose(0)
    for name in ("other", "third"):
        net.engine.install(compile_plan(PoolRoute(Pool("main", (Server(name, "127.0.0.1", 9),)))))
    assert net.engine.server_ids() == {"third": 0}
    snapshot = net.engine.snapshot()
    assert snapshot.counters["requests"] == 1
    assert set(snapshot.servers["third"].counters.values()) == {0}
    assert (snapshot.servers["third"].outcomes, snapshot.servers["third"].latencies) == ({}, Latencies())


def test_snapshots_add_up():
    def serve(requests: bytes, replies: bytes) -> Snapshot:
        net = network(PoolRoute(pool(1)), 1)
        net.send(net.client(), requests)
        net.now += 0.5
        net.reply(0, replies)
        return net.engine.snapshot()

    one = serve(b"get a\r\n", b"END\r\n")
    other = serve(b"get a\r\ndelete b\r\n", b"END\r\nDELETED\r\n")
    both = sum([one, other], Snapshot())
    assert both.counters["requests"] == 3
    assert both.results == {("get", Outcome.MISS): 2, ("delete", Outcome.DELETED): 1}
    assert both.durations["get"] == one.durations["get"] + other.durations["get"]
    assert both.durations["delete"] == other.durations["delete"]
    assert both.servers["s0"].latencies.count == 3
    assert both.servers["s0"].counters["requests"] == 3


@pytest.mark.python_face("the engine in a thread is this one")
def test_counts_are_read_while_the_engine_counts(apart: ModuleType) -> None:
    net = network(PoolRoute(pool(1, trip_after=2**31 - 1)), 1)
    loop = apart.Loop(net.engine, net.client(), net.links[0], net.now)
    thread = threading.Thread(target=loop.run)
    thread.start()
    seen = [net.engine.snapshot() for _ in range(300)]
    loop.stop()
    thread.join()
    seen.append(net.engine.snapshot())
    for before, after in itertools.pairwise(seen):
        assert all(before.counters[name] <= after.counters[name] for name in ("requests", "replies"))
        assert before.servers["s0"].latencies.count <= after.servers["s0"].latencies.count
        assert all(after.results[name] >= count for name, count in before.results.items())
    last = seen[-1]
    assert last.counters["requests"] == last.counters["replies"] > 0
    assert sum(each.count for each in last.durations.values()) == last.counters["requests"]
    assert last.servers["s0"].latencies.count == last.counters["requests"]


def test_a_sum_knows_servers_of_either():
    one = Snapshot(servers={"a": ServerSnapshot({"requests": 1}, {Outcome.HIT: 1}, Latencies({3: 1}, 1.0))})
    other = Snapshot(servers={"b": ServerSnapshot({"requests": 2})})
    assert (one + other).servers == {**one.servers, **other.servers}
