"""One process under two names: which servers are compared, and which of two gives way."""

from random import Random

import pytest

from mcroute.policy import (
    Cause,
    Condition,
    Failover,
    HealthSettings,
    Pool,
    PoolRoute,
    Probe,
    Process,
    Seen,
    ServerState,
    ServerStats,
    SetState,
    State,
    Supervisor,
    SupervisorSettings,
    compile_plan,
)
from mcroute.policy.processes import SLACK_S, may_be_one

OUT = ServerState.EJECTED
SETTINGS = SupervisorSettings(HealthSettings(jitter=0.0))


def supervisor(*pools, **options):
    """A supervisor of pools, whose servers have names of one letter."""
    routes = [
        PoolRoute(Pool(name, Pool.of(name, [f"{server}:1" for server in name]).servers, **options))
        for name in pools
    ]
    return Supervisor(compile_plan(Failover(routes)), Random(1), SETTINGS)


def seen(pid, uptime, at=0.0):
    return Seen(ServerStats(pid=pid, uptime=uptime), at, at)


def alike(s, *servers, pid=1, uptime=100, at=0.0):
    for server in servers:
        s.identified(server, seen(pid, uptime, at))


@pytest.mark.parametrize(
    ("pid", "uptime", "after", "may_be"),
    [
        (7, 100, 0, True),
        (7, 160, 60, True),
        (7, 160 + SLACK_S, 60, True),
        (7, 160 - SLACK_S, 60, True),
        (7, 160 + 2 * SLACK_S, 60, False),
        (7, 100, 60, False),
        (8, 100, 0, False),
    ],
)
def test_two_looks_may_have_been_at_one_process(pid, uptime, after, may_be):
    one, other = Process(7, 100, 1000.0), Process(pid, uptime, 1000.0 + after)
    assert may_be_one(one, other) is may_be
    assert may_be_one(other, one) is may_be


def test_servers_of_one_pid_and_start_are_compared_and_those_that_say_nothing_are_not():
    s = supervisor("abcd")
    alike(s, 0)
    assert s.lookalikes(0) == []
    alike(s, 1)
    s.identified(2, seen(2, 100))
    s.identified(3, seen(None, None))
    assert (s.lookalikes(0), s.lookalikes(1), s.lookalikes(2), s.lookalikes(3)) == ([1], [0], [], [])


def test_two_processes_are_not_compared_again_until_one_of_them_is_another():
    s = supervisor("ab")
    alike(s, 0, 1)
    assert s.compared(1, 0, False, 0.0) == ()
    assert (s.lookalikes(0), s.lookalikes(1)) == ([], [])
    alike(s, 0, 1, uptime=160, at=60.0)
    assert s.lookalikes(1) == []
    alike(s, 0, 1, uptime=2, at=120.0)
    assert s.lookalikes(1) == [0]


@pytest.mark.parametrize(("server", "other"), [(0, 1), (1, 0)])
def test_the_later_one_of_two_is_taken_out_of_service(server, other):
    s = supervisor("abc")
    assert s.compared(server, other, True, 5.0) == (SetState(1, OUT),)
    assert (s.original(0), s.original(1)) == (None, 0)
    assert s.condition(1, 5.0) is Condition.DUPLICATE
    assert s.servers(5.0)["b:1"].tally.ejections == {Cause.DUPLICATE: 1}


def test_the_last_server_of_another_pool_stays_and_the_other_one_is_out():
    s = supervisor("ab", "b")
    assert s.compared(0, 1, True, 0.0) == (SetState(0, OUT),)


@pytest.mark.parametrize("pools", [("a", "b"), ("ab", "a", "b")])
def test_nothing_is_taken_from_where_nothing_would_serve_in_its_place(pools):
    s = supervisor(*pools)
    alike(s, 0, 1)
    assert s.compared(0, 1, True, 0.0) == ()
    assert s.original(0) is s.original(1) is None
    assert s.lookalikes(0) == []


def test_a_duplicate_is_no_sign_of_a_bad_network_and_no_panic_brings_it_back():
    s = supervisor("abc")
    s.compared(1, 0, True, 0.0)
    assert s.bad("abc") == ([], 3)
    decisions = s.tripped(2, 0.0) + s.tripped(0, 0.0)
    assert s.state(1) is State.EJECTED
    assert SetState(1, ServerState.UP) not in decisions


def test_the_original_stays_as_the_last_one():
    s = supervisor("ab")
    s.compared(1, 0, True, 0.0)
    assert s.protected() == {0}


def test_a_duplicate_returns_when_it_is_compared_and_is_none():
    s = supervisor("ab")
    s.compared(1, 0, True, 0.0)
    assert s.tick(1.0) == (Probe(1),)
    # Its `stats` do not matter.
    assert s.lookalikes(1) == [0]
    s.compared(1, 0, True, 1.1)
    assert s.state(1) is State.EJECTED
    assert s.tick(3.1) == (Probe(1),)
    s.compared(1, 0, False, 3.2)
    assert s.original(1) is None
    s.probe_answered(1, 3.3)
    s.fence_answered(1, (), 3.4)
    assert s.state(1) is State.UP


def test_the_one_that_serves_stays_when_the_other_returns():
    """Although that is the first in order."""
    s = supervisor("abc")
    s.tripped(0, 0.0)
    assert s.tick(1.0) == (Probe(0),)
    assert s.compared(0, 1, True, 1.1) == (SetState(0, OUT),)
    assert s.original(0) == 1


def test_a_duplicate_is_tried_at_once_when_its_original_fails_or_is_removed():
    s = supervisor("abc")
    s.compared(1, 0, True, 0.0)
    s.tripped(0, 0.5)
    assert Probe(1) in s.tick(0.5)

    s = supervisor("abc")
    s.compared(1, 0, True, 0.0)
    s.install(supervisor("bc").plan, 0.5, ids={"b:1": 1, "c:1": 2})
    assert s.original(1) is None
    assert s.tick(0.5) == (Probe(1),)


def test_any_process_is_any_servers_where_that_is_configured():
    s = supervisor("ab", identity="any")
    alike(s, 0, 1)
    assert s.lookalikes(1) == []


def test_a_process_that_serves_is_known_also_before_a_server_joins():
    s = supervisor("ab")
    alike(s, 0)
    assert s.resembling(seen(1, 100)) == [0]
    assert s.resembling(seen(1, 200)) == s.resembling(seen(None, None)) == []
