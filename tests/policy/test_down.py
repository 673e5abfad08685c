"""Servers that the configuration has as down: out of service until it says otherwise."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from mcroute.errors import ConfigError
from mcroute.policy import (
    Cause,
    Condition,
    Failover,
    HealthSettings,
    Plan,
    Pool,
    PoolRoute,
    Probe,
    Reason,
    Replay,
    Server,
    ServerState,
    SetState,
    State,
    Supervisor,
    SupervisorSettings,
    compile_plan,
)

SETTINGS = SupervisorSettings(HealthSettings(jitter=0.0))
OUT = SetState(0, ServerState.EJECTED, reason=Reason(Cause.DOWN))
LATER = 1e6


def plan(*down: int, size: int = 3) -> Plan:
    servers = tuple(Server(f"s{i}", f"h{i}", 1, down=i in down) for i in range(size))
    return compile_plan(PoolRoute(Pool("main", servers)))


def supervisor(*down: int, size: int = 3) -> Supervisor:
    s = Supervisor(plan(*down, size=size), Random(1), SETTINGS)
    s.recall((), True, 0.0)
    return s


def condition(s: Supervisor, server: int = 0) -> Condition:
    return s.condition(server, 0.0)


def test_a_server_that_is_down_begins_out_of_service_and_is_left_alone() -> None:
    s = Supervisor(plan(0), Random(1), SETTINGS)
    assert s.recall((), True, 0.0) == (OUT,)
    assert condition(s) is Condition.DOWN
    assert s.next_wakeup() is None
    assert s.tick(LATER) == ()
    # The proxy's start does not wait for it.
    assert not s.is_only_fenced(0)


def test_a_server_that_was_not_flushed_is_told_once() -> None:
    s = Supervisor(plan(0), Random(1), SETTINGS)
    assert [d for d in s.recall((), False, 0.0) if d.server == 0] == [OUT]


def test_another_plan_takes_a_server_down_and_releases_it() -> None:
    s = supervisor()
    assert s.install(plan(0), 10.0) == (OUT,)
    assert s.state(0) is State.EJECTED
    s.install(plan(), 20.0)
    assert condition(s) is Condition.EJECTED
    assert s.tick(20.0) == (Probe(0),)
    s.probe_answered(0, 20.1)
    decisions = s.fence_answered(0, (), 20.2)
    assert decisions == (SetState(0, ServerState.UP, 0),)
    assert condition(s) is Condition.UP


def test_a_server_out_of_service_that_is_taken_down_is_probed_no_more() -> None:
    s = supervisor()
    s.tripped(0, 0.0)
    s.install(plan(0), 0.1)
    assert s.tick(LATER) == ()
    assert s.reasons() == {"s0": Reason(Cause.DOWN)}


@pytest.mark.parametrize("stage", [State.PROBING, State.FENCING])
def test_a_server_on_its_way_back_is_taken_down(stage: State) -> None:
    s = supervisor()
    s.tripped(0, 0.0)
    s.tick(1.0)
    if stage is State.FENCING:
        s.probe_answered(0, 1.1)
    assert s.state(0) is stage
    s.install(plan(0), 1.2)
    # The answers that are under way change nothing.
    s.probe_answered(0, 1.3)
    s.fence_answered(0, (), 1.4)
    assert s.state(0) is State.EJECTED
    assert s.tick(LATER) == ()


def test_writes_that_it_missed_do_not_probe_it_and_are_replayed_once_it_is_released() -> None:
    s = supervisor()
    s._records[0].process = object()  # type: ignore[assignment]  # a known one
    s.install(plan(0), 1.0)
    s.missed_writes(0, 3, 2.0)
    assert s.tick(LATER) == ()
    s.install(plan(), LATER, missed={0: 3})
    assert s.tick(LATER) == (Probe(0),)
    s.probe_answered(0, LATER)
    assert s.fence_answered(0, (), LATER)[-1] == Replay(0)


def test_the_last_server_may_be_taken_down_and_no_panic_restores_it() -> None:
    s = supervisor(size=2)
    s.install(plan(0, 1, size=2), 1.0)
    assert {s.state(0), s.state(1)} == {State.EJECTED}
    s.connect_failed(0, 2.0)
    assert s.tick(LATER) == ()
    assert not s.is_panic("main")


def test_servers_that_are_down_say_nothing_about_the_network() -> None:
    s = supervisor(size=4)
    s.install(plan(0, 1, size=4), 1.0)
    decisions = s.tripped(2, 2.0)
    assert [type(d) for d in decisions] == [SetState]
    assert not s.is_panic("main")


def test_a_server_of_two_pools_is_down_in_both_or_none() -> None:
    server = Server("a", "h", 1)
    one = Pool("one", (server,))
    two = Pool("two", (replace(server, down=True),))
    with pytest.raises(ConfigError, match="server a is down in one pool, and not in another one"):
        compile_plan(Failover([PoolRoute(one), PoolRoute(two)]))
