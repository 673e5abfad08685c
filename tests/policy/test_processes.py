"""The process at a server's address: the same one, a restart of it, or a foreign one."""

from random import Random

import pytest

from mcroute.policy import (
    Cause,
    Condition,
    Failover,
    Flush,
    HealthSettings,
    Kinship,
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
from mcroute.policy.processes import DRIFT, SLACK_S, kinship

DAY = 86400
KNOWN = Process(pid=10, uptime=1000, alive_at=500.0)


def test_a_restart_with_its_items_continues_the_uptime() -> None:
    """The option -e; without it the process is another one that began at the same time."""
    for uptime, keeps_items, kin in (
        (1060, True, Kinship.RESTARTED),
        (1060 + SLACK_S, True, Kinship.RESTARTED),
        (1060 + 2 * SLACK_S, True, Kinship.FOREIGN),
        (900, True, Kinship.FOREIGN),
        (1060, False, Kinship.FOREIGN),
    ):
        stats = ServerStats(pid=11, uptime=int(uptime), keeps_items=keeps_items)
        assert kinship(KNOWN, Seen(stats, 560.0, 560.0)) is kin


def seen(pid, uptime, at):
    return Seen(ServerStats(pid=pid, uptime=uptime), at, at)


@pytest.mark.parametrize(
    ("pid", "uptime", "after", "kin"),
    [
        (10, 1000, 0, Kinship.SAME),
        (10, 1060, 60, Kinship.SAME),
        (10, 1000 + 60 + SLACK_S, 60, Kinship.SAME),
        # A migrated machine: its clock stood still for a while.
        (10, 1001, 60, Kinship.SAME),
        (10, 1000 + DAY + DAY * DRIFT, DAY, Kinship.SAME),
        # A repeated pid, as in containers.
        (10, 3, 60, Kinship.RESTARTED),
        (10, 1000 + 60 + 2 * SLACK_S, 60, Kinship.FOREIGN),
        (10, 900, 60, Kinship.FOREIGN),
        (11, 2, 0, Kinship.RESTARTED),
        (11, 60, 60, Kinship.RESTARTED),
        # memcached's uptime begins at 2 and counts whole seconds.
        (11, 63, 60, Kinship.RESTARTED),
        (11, 60 + 2 * SLACK_S, 60, Kinship.FOREIGN),
        (11, 5000, 60, Kinship.FOREIGN),
        (11, DAY, DAY, Kinship.RESTARTED),
        (11, DAY + DAY * DRIFT, DAY, Kinship.RESTARTED),
        (11, DAY + 1000, DAY, Kinship.FOREIGN),
        (None, 5000, 60, Kinship.UNKNOWN),
        (11, None, 60, Kinship.UNKNOWN),
    ],
)
def test_the_kinship_of_two_processes(pid, uptime, after, kin):
    assert kinship(KNOWN, seen(pid, uptime, KNOWN.alive_at + after)) is kin


def test_nobody_is_known_at_first():
    assert kinship(None, seen(11, 5000, 0.0)) is Kinship.UNKNOWN


def test_a_slow_answer_is_no_sign_of_a_foreign_process():
    """It was restarted at any time since the known one was asked."""
    answer = Seen(ServerStats(pid=11, uptime=5), KNOWN.alive_at, KNOWN.alive_at + 2)
    assert kinship(KNOWN, answer) is Kinship.RESTARTED


# ---- in the supervisor ----


def supervisor(*identities, size=3):
    servers = [f"s{i}:1" for i in range(size)]
    pools = [Pool(f"p{i}", Pool.of("p", servers).servers, identity=x) for i, x in enumerate(identities)]
    route = Failover([PoolRoute(pool) for pool in pools]) if len(pools) > 1 else PoolRoute(pools[0])
    s = Supervisor(compile_plan(route), Random(1), SupervisorSettings(HealthSettings(jitter=0.0)))
    assert s.identified(0, seen(10, 1000, 0.0)) is Kinship.UNKNOWN
    return s


def test_a_foreign_process_takes_the_server_out_until_the_right_one_answers():
    s = supervisor("same")
    assert s.identified(0, seen(11, 5000, 60.0)) is Kinship.FOREIGN
    assert s.found_foreign(0, 60.0) == (SetState(0, ServerState.EJECTED),)
    assert s.condition(0, 60.0) is Condition.FOREIGN
    assert s.servers(60.0)["s0:1"].tally.ejections == {Cause.FOREIGN: 1}
    assert s.process(0) == Process(10, 1000, 0.0)
    assert s.tick(61.0) == (Probe(0),)
    assert s.identified(0, seen(11, 5001, 61.0)) is Kinship.FOREIGN
    s.probe_failed(0, 61.0)
    assert (s.state(0), s.next_wakeup()) == (State.EJECTED, 63.0)
    assert s.tick(63.0) == (Probe(0),)
    assert s.identified(0, seen(12, 2, 63.0)) is Kinship.RESTARTED
    s.probe_answered(0, 63.0)
    assert s.condition(0, 63.0) is Condition.FENCING
    assert s.process(0) == Process(12, 2, 63.0)


def test_the_last_server_of_a_pool_is_ejected_too():
    s = supervisor("same", size=1)
    assert s.is_protected(0)
    s.identified(0, seen(11, 5000, 60.0))
    assert SetState(0, ServerState.EJECTED) in s.found_foreign(0, 60.0)
    assert s.state(0) is State.EJECTED


def test_no_panic_brings_a_foreign_process_back():
    s = supervisor("same")
    s.identified(0, seen(11, 5000, 60.0))
    s.found_foreign(0, 60.0)
    for server in (1, 2):
        s.tripped(server, 60.0)
    assert s.is_panic("p0")
    assert s.state(0) is State.EJECTED


@pytest.mark.parametrize("identities", [("any",), ("same", "any"), ("any", "same")])
def test_any_process_is_taken_where_a_pool_says_so(identities):
    s = supervisor(*identities)
    assert s.identified(0, seen(11, 5000, 60.0)) is Kinship.RESTARTED
    assert s.found_foreign(0, 60.0) == ()
    assert s.process(0) == Process(11, 5000, 60.0)


def test_a_server_that_does_not_identify_itself_is_accepted_and_changes_nothing():
    s = supervisor("same")
    assert s.identified(0, Seen(ServerStats(), 60.0, 60.0)) is Kinship.UNKNOWN
    assert s.process(0) == Process(10, 1000, 0.0)


def test_an_answer_from_before_the_last_one_says_nothing():
    s = supervisor("same")
    s.identified(0, seen(11, 2, 60.0))
    assert s.identified(0, seen(10, 1059, 59.0)) is Kinship.UNKNOWN
    assert s.process(0) == Process(11, 2, 60.0)


def test_at_another_place_nobody_is_known():
    s = supervisor("same")
    s.located(0, frozenset({"10.0.0.9:1"}), 60.0)
    assert s.process(0) is None
    assert s.identified(0, seen(11, 5000, 61.0)) is Kinship.UNKNOWN


def test_reports_on_others_change_nothing():
    s = supervisor("same")
    assert s.identified(9, seen(11, 5000, 60.0)) is Kinship.UNKNOWN
    assert (s.found_foreign(9, 60.0), s.process(9)) == ((), None)


@pytest.mark.parametrize(
    ("pid", "uptime", "items", "is_out"),
    [
        # Set back to a snapshot, after 60 s: younger than the time since then, so it may be a restart.
        (10, 40, 5, True),
        (10, 40, None, True),
        # A restart in a container, without items.
        (10, 3, 0, False),
        (11, 40, 5, False),
        (10, 1060, 5, False),
    ],
)
def test_a_process_that_was_set_back_is_flushed_though_it_missed_nothing(pid, uptime, items, is_out):
    supervisor = Supervisor(compile_plan(PoolRoute(Pool.of("main", ["a:1", "b:1"]))), Random(1))
    supervisor.identified(0, seen(10, 1000, 500.0))
    stats = ServerStats(pid=pid, uptime=uptime, items=items)
    assert supervisor.identified(0, Seen(stats, 560.0, 560.0)) is not Kinship.FOREIGN
    decisions = supervisor.found_set_back(0, 560.0)
    assert (supervisor.state(0) is not State.UP) == is_out == bool(decisions)
    if not is_out:
        return
    assert supervisor.reasons()["a:1"].cause is Cause.SET_BACK
    now = 560.0
    while not supervisor.tick(now):
        now += 0.1
    supervisor.identified(
        0, Seen(ServerStats(pid=pid, uptime=uptime + int(now - 560), items=items), now, now)
    )
    supervisor.probe_answered(0, now)
    [*_, last] = supervisor.fence_answered(0, (), now)
    assert isinstance(last, Flush)
    while not supervisor.may_serve(0, now):
        now += 0.1
    supervisor.flush_answered(0, ServerStats(pid=pid, uptime=uptime, items=0), now)
    assert supervisor.state(0) is State.UP
    assert supervisor.found_set_back(0, now) == ()


def test_a_process_that_was_set_back_while_out_of_service_is_flushed():
    supervisor = Supervisor(compile_plan(PoolRoute(Pool.of("main", ["a:1", "b:1"]))), Random(1))
    supervisor.identified(0, seen(10, 1000, 500.0))
    supervisor.tripped(0, 500.0)
    now = 501.0
    while not supervisor.tick(now):
        now += 0.1
    supervisor.identified(0, Seen(ServerStats(pid=10, uptime=2, items=7), now, now))
    supervisor.probe_answered(0, now)
    [*_, last] = supervisor.fence_answered(0, (), now)
    assert isinstance(last, Flush)


def test_an_old_process_that_was_set_back_is_foreign_and_stays_out():
    supervisor = Supervisor(compile_plan(PoolRoute(Pool.of("main", ["a:1", "b:1"]))), Random(1))
    supervisor.identified(0, seen(10, DAY, 500.0))
    assert supervisor.identified(0, seen(10, DAY // 2, 560.0)) is Kinship.FOREIGN
    supervisor.found_foreign(0, 560.0)
    assert supervisor.state(0) is not State.UP
