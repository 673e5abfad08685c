"""The supervisor's decisions after its events."""

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcroute.policy import (
    Cause,
    Condition,
    Failover,
    Fence,
    Flush,
    HealthSettings,
    PanicChanged,
    Pool,
    PoolReport,
    PoolRoute,
    Probe,
    Reason,
    Server,
    ServerState,
    ServerStats,
    SetState,
    State,
    Supervisor,
    SupervisorSettings,
    compile_plan,
)  # fmt: skip

UP, EJECTED, RETURNING = ServerState.UP, ServerState.EJECTED, ServerState.RETURNING
SETTINGS = SupervisorSettings(HealthSettings(jitter=0.0))
# One flush_all of this version removes all items.
EXACT = ServerStats(version="1.6.18", has_cas=True)


def supervisor(size=4):
    pool = Pool.of("main", [f"s{i}:1" for i in range(size)])
    return Supervisor(compile_plan(PoolRoute(pool)), Random(1), SETTINGS)


def probed(s, server=0, now=0.0):
    """Ejects a server and lets its probe be sent; returns the time."""
    s.tripped(server, now)
    now = s.next_wakeup()
    assert Probe(server) in s.tick(now)
    return now


def test_a_trip_is_confirmed_and_the_server_probed_in_time():
    s = supervisor()
    assert s.next_wakeup() is None
    assert s.tripped(0, 10.0) == (SetState(0, EJECTED),)
    assert s.next_wakeup() == 11.0
    assert s.tick(10.9) == ()
    assert s.tick(11.0) == (Probe(0),)


def test_a_clean_return_needs_a_probe_and_a_fence_but_no_flush():
    s = supervisor()
    probed(s)
    assert s.probe_answered(0, 1.1) == (SetState(0, RETURNING), Fence(0, frozenset()))
    assert s.fence_answered(0, (), 1.2) == (SetState(0, UP, 0),)
    assert s.next_wakeup() is None


def test_a_server_that_missed_writes_is_flushed_before_it_serves():
    s = supervisor()
    now = probed(s)
    s.missed_writes(0, 3, now)
    s.probe_answered(0, 1.1)
    assert s.fence_answered(0, (), 1.2) == (Flush(0),)
    assert s.state(0) is State.FLUSHING
    assert s.flush_answered(0, EXACT, 1.3) == (SetState(0, UP),)


def test_missed_writes_that_a_flush_settled_need_no_other_flush():
    s = supervisor()
    now = probed(s)
    s.missed_writes(0, 3, now)
    s.probe_answered(0, now)
    s.fence_answered(0, (), now)
    s.flush_answered(0, EXACT, now)
    now = probed(s, now=100.0)
    s.missed_writes(0, 3, now)
    s.probe_answered(0, now)
    assert s.fence_answered(0, (), now) == (SetState(0, UP, 3),)


def test_a_lost_link_with_writes_is_awaited_until_it_is_not_listed():
    s = supervisor()
    s.link_lost(0, "127.0.0.1:5001", 2)
    s.link_lost(0, "127.0.0.1:5002", 0)
    probed(s)
    lost = frozenset({"127.0.0.1:5001"})
    assert s.probe_answered(0, 1.0)[1] == Fence(0, lost)
    assert s.fence_answered(0, lost, 1.1) == ()
    assert s.state(0) is State.FENCING
    assert s.next_wakeup() == 1.1 + SETTINGS.refence_first_s
    assert s.tick(1.2) == (Fence(0, lost),)
    assert s.fence_answered(0, (), 1.7) == (SetState(0, UP, 0),)


@pytest.mark.parametrize(
    ("is_blind", "most_s"), [(False, SETTINGS.fence_listed_s), (True, SETTINGS.fence_blind_s)]
)
def test_a_connection_that_stays_listed_is_awaited_for_a_while(is_blind, most_s):
    s = supervisor()
    s.link_lost(0, "a", 1)
    began = now = probed(s)
    s.probe_answered(0, now)
    while not (decisions := s.fence_answered(0, {"a"}, now, is_blind)):
        now = s.next_wakeup()
        s.tick(now)
    assert decisions == (SetState(0, UP, 0),)
    assert most_s <= now - began <= most_s + SETTINGS.refence_s


def test_a_server_that_did_not_answer_meanwhile_is_awaited_anew():
    s = supervisor()
    s.link_lost(0, "a", 1)
    now = probed(s)
    s.probe_answered(0, now)
    assert s.fence_answered(0, {"a"}, now) == ()
    now += SETTINGS.fence_listed_s - 1
    s.tick(now)
    # As if the server was stopped: its connection is open, and its requests are unread.
    s.fence_failed(0, now)
    now = s.next_wakeup()
    assert s.tick(now) == (Probe(0),)
    s.probe_answered(0, now)
    assert s.fence_answered(0, {"a"}, now + 2) == ()


def test_a_connection_that_is_lost_later_is_awaited_for_itself():
    s = supervisor()
    s.link_lost(0, "a", 1)
    now = probed(s)
    s.probe_answered(0, now)
    s.fence_answered(0, {"a"}, now)
    s.link_lost(0, "b", 1)
    now += SETTINGS.fence_listed_s
    assert s.tick(now) == (Fence(0, frozenset({"a", "b"})),)
    assert s.fence_answered(0, {"a", "b"}, now) == ()
    assert s.tick(now + 1) == (Fence(0, frozenset({"b"})),)


def test_links_that_are_lost_again_and_again_end_the_return():
    s = supervisor()
    now = probed(s)
    s.probe_answered(0, now)
    began = now
    while s.state(0) is State.FENCING:
        s.link_lost(0, f"{now}", 1)
        s.fence_answered(0, s._records[0].lost, now)
        if s.state(0) is State.FENCING:
            now = s.next_wakeup()
            s.tick(now)
    assert s.state(0) is State.EJECTED
    assert now >= began + SETTINGS.fence_timeout_s


def test_a_link_lost_during_the_fence_is_fenced_too():
    s = supervisor()
    now = probed(s)
    s.probe_answered(0, now)
    s.link_lost(0, "late", 1)
    assert s.fence_answered(0, (), now) == ()
    assert s.tick(s.next_wakeup()) == (Fence(0, frozenset({"late"})),)


def test_a_link_lost_during_the_flush_sends_the_server_back():
    s = supervisor()
    now = probed(s)
    s.missed_writes(0, 1, now)
    s.probe_answered(0, now)
    s.fence_answered(0, (), now)
    s.link_lost(0, "late", 1)
    assert s.flush_answered(0, EXACT, now) == (SetState(0, EJECTED),)


def test_each_stage_that_fails_or_is_not_reported_on_waits_for_another_probe():
    def after_probe(s, now):
        s.probe_answered(0, now)

    def after_fence(s, now):
        s.missed_writes(0, 1, now)
        s.probe_answered(0, now)
        s.fence_answered(0, (), now)

    for advance, fail in (
        (lambda s, now: None, Supervisor.probe_failed),
        (after_probe, Supervisor.fence_failed),
        (after_fence, Supervisor.flush_failed),
        (lambda s, now: None, None),
        (after_probe, None),
        (after_fence, None),
    ):
        s = supervisor()
        now = probed(s)
        advance(s, now)
        if fail is None:
            now = s.next_wakeup()
            s.tick(now)
        else:
            fail(s, 0, now)
        assert s.state(0) is State.EJECTED
        assert s.next_wakeup() == now + 2.0


def test_late_reports_change_nothing():
    s = supervisor()
    assert s.probe_answered(0, 0.0) == s.fence_answered(0, (), 0.0) == s.flush_answered(0, EXACT, 0.0) == ()
    assert s.probe_failed(0, 0.0) == s.fence_failed(0, 0.0) == s.flush_failed(0, 0.0) == ()


def test_the_last_server_of_a_pool_stays():
    s = supervisor(size=1)
    assert s.tripped(0, 0.0) == (PanicChanged("main", True), SetState(0, UP))
    assert s.connect_failed(0, 1.0) == (SetState(0, UP),)


def test_of_two_servers_only_one_is_ejected():
    s = supervisor(size=2)
    s.connect_failed(0, 0.0)
    assert SetState(1, UP) in s.connect_failed(1, 0.1)
    assert (s.state(0), s.state(1)) == (State.EJECTED, State.UP)


def test_the_server_that_the_cap_protects_is_known_before_it_fails():
    s = supervisor(size=3)
    assert s.protected() == frozenset()
    s.connect_failed(0, 0.0)
    assert s.protected() == frozenset()
    s.connect_failed(1, 0.0)
    assert s.protected() == {2}
    s.connected(1)
    now = s.next_wakeup()
    s.tick(now)
    s.probe_answered(1, now)
    s.fence_answered(1, (), now)
    assert s.is_panic("main")
    assert s.protected() == {1, 2}


def test_the_last_server_of_any_pool_is_kept():
    pools = PoolRoute(Pool.of("one", ["s0:1"])), PoolRoute(Pool.of("other", ["s0:1", "s1:1", "s2:1"]))
    s = Supervisor(compile_plan(Failover(pools)), Random(1), SETTINGS)
    assert s.protected() == {0}
    assert s.tripped(0, 0.0) == (PanicChanged("one", True), SetState(0, UP))


def test_in_a_panic_slow_servers_serve_and_refusing_ones_do_not():
    s = supervisor()
    s.tripped(0, 0.0)
    s.connect_failed(1, 0.0)
    assert not s.is_panic("main")
    decisions = s.tripped(2, 0.1)
    lifted, kept = (SetState(server, UP, unless_stale=True) for server in (0, 2))
    assert decisions == (PanicChanged("main", True), lifted, kept)
    assert s.state(1) is State.EJECTED


def test_a_panic_ends_when_suspicions_grow_old():
    s = supervisor(size=3)
    s.tripped(0, 0.0)
    s.tripped(1, 0.0)
    assert s.is_panic("main")
    assert s.next_wakeup() == 10.0
    assert s.tick(10.0) == (PanicChanged("main", False),)
    assert s.next_wakeup() is None


def test_a_server_that_panic_restores_is_fenced_first():
    s = supervisor(size=3)
    s.link_lost(0, "a", 1)
    s.tripped(0, 0.0)
    decisions = s.tripped(1, 0.1)
    assert SetState(0, RETURNING) in decisions
    assert Fence(0, frozenset({"a"})) in decisions


def test_in_a_panic_a_server_that_missed_a_write_is_put_in_order_first():
    s = supervisor()
    s.tripped(0, 0.0)
    s.stale(0)
    s.tripped(1, 0.0)
    decisions = s.tripped(2, 0.1)
    assert SetState(0, RETURNING) in decisions
    assert SetState(1, UP, unless_stale=True) in decisions
    assert s.protected() == {1, 2, 3}
    s.stale(2)
    assert s.protected() == {1, 3}
    assert s.tripped(2, 0.2) == (SetState(2, EJECTED),)
    # The server is fenced and flushed: it is protected again.
    now = s.next_wakeup()
    s.missed_writes(0, 1, now)
    s.fence_answered(0, (), now)
    s.flush_answered(0, EXACT, now)
    assert 0 in s.protected()


def test_the_last_server_stays_also_if_it_missed_a_write():
    s = supervisor(size=2)
    s.connect_failed(0, 0.0)
    s.stale(1)
    assert SetState(1, UP) in s.tripped(1, 0.1)


def test_a_refusing_server_that_connects_is_only_slow():
    s = supervisor(size=3)
    s.connect_failed(0, 0.0)
    s.connected(0)
    assert SetState(0, UP, unless_stale=True) in s.tripped(1, 0.1)


def test_another_plan_keeps_the_states_of_its_servers():
    s = supervisor()
    s.tripped(1, 0.0)
    pool = Pool.of("main", ["new:1", "s3:1", "s2:1", "s1:1"])
    decisions = s.install(compile_plan(PoolRoute(pool)), 0.5)
    # The third server keeps its place, and serves.
    assert decisions == (SetState(0, UP), SetState(1, UP), SetState(3, EJECTED))
    assert s.tick(1.0) == (Probe(3),)


def test_a_pool_left_with_slow_servers_only_gets_them_back():
    s = supervisor()
    s.tripped(1, 0.0)
    decisions = s.install(compile_plan(PoolRoute(Pool.of("main", ["s1:1"]))), 0.5)
    lifted = SetState(0, UP, unless_stale=True)
    assert decisions == (SetState(0, EJECTED), PanicChanged("main", True), lifted)


def test_a_panic_that_goes_on_restores_in_the_new_pool_too():
    s = supervisor()
    s.link_lost(0, "a", 1)
    for server in (0, 1, 2):
        s.tripped(server, 0.0)
    s.fence_failed(0, 0.1)
    assert s.state(0) is State.EJECTED
    decisions = s.install(compile_plan(PoolRoute(Pool.of("main", ["s0:1"]))), 0.5)
    assert decisions == (SetState(0, EJECTED), SetState(0, RETURNING), Fence(0, frozenset({"a"})))


def plan_of(*addresses):
    return compile_plan(PoolRoute(Pool.of("main", addresses)))


def test_servers_go_by_the_ids_that_the_engine_gives():
    s = supervisor(2)
    s.tripped(1, 0.0)
    decisions = s.install(plan_of("s1:1", "s2:1"), 0.5, ids={"s1:1": 1, "s2:1": 7})
    assert decisions == (SetState(1, EJECTED), SetState(7, UP))
    assert s.tick(1.0) == (Probe(1),)
    # The last server stays, by its present id.
    assert SetState(7, UP) in s.tripped(7, 1.5)


def test_reports_on_a_removed_server_change_nothing():
    s = supervisor(3)
    probed(s, 2)
    s.install(plan_of("s0:1", "s1:1"), 2.0)
    for report in REPORTS.values():
        assert report(s, 2, 2.0) == ()
    assert s.state(2) is State.EJECTED
    assert s.next_wakeup() is None


def test_a_server_that_comes_back_by_another_plan_is_to_be_flushed_first():
    s = supervisor(3)
    s.install(plan_of("s0:1", "s1:1"), 1.0)
    back = plan_of("s0:1", "s1:1", "s2:1:3", "s3:1")
    assert [server.name for server in s.outdated(back)] == ["s2:1"]
    assert s.install(back, 2.0) == (SetState(2, UP), SetState(3, UP))
    assert s.outdated(back) == ()


def test_a_plan_decides_nothing_for_servers_that_stay_up():
    s = supervisor(2)
    plan = plan_of("s0:1", "s1:1")
    assert s.install(plan, 1.0, missed={0: 4, 1: 0}) == ()


def test_missed_writes_of_an_id_before_its_server_joined_are_settled():
    s = supervisor(2)
    s.install(plan_of("s0:1", "s9:1"), 1.0, ids={"s0:1": 0, "s9:1": 1}, missed={0: 0, 1: 5})
    now = probed(s, 1)
    s.missed_writes(1, 5, now)
    s.probe_answered(1, now)
    assert s.fence_answered(1, (), now) == (SetState(1, UP, 5),)


def test_a_server_that_comes_back_and_could_not_be_flushed_is_before_it_serves():
    s = supervisor(3)
    s.install(plan_of("s0:1", "s1:1"), 1.0)
    back = plan_of("s0:1", "s1:1", "s2:1")
    assert s.install(back, 2.0, unflushed=s.outdated(back)) == (SetState(2, EJECTED),)
    assert s.tick(2.0) == (Probe(2),)
    s.probe_answered(2, 2.1)
    assert s.fence_answered(2, (), 2.1) == (Flush(2),)
    assert s.flush_answered(2, EXACT, 2.1) == (SetState(2, UP),)
    s.tripped(2, 200.0)
    s.tick(s.next_wakeup())
    s.probe_answered(2, 201.0)
    assert s.fence_answered(2, (), 201.0) == (SetState(2, UP, 0),)


def test_a_server_that_left_with_a_lost_link_is_fenced_when_it_comes_back():
    s = supervisor(3)
    s.link_lost(2, "a", 1)
    s.install(plan_of("s0:1", "s1:1"), 1.0)
    # The last link of the departed server is lost only now.
    s.link_lost(2, "b", 1)
    ids = {"s0:1": 0, "s1:1": 1, "s2:1": 3}
    assert s.install(plan_of("s0:1", "s1:1", "s2:1"), 2.0, ids=ids) == (SetState(3, EJECTED),)
    s.tick(2.0)
    assert s.probe_answered(3, 2.1)[1:] == (Fence(3, frozenset({"a", "b"}), awaits_departed=True),)


def test_a_server_at_another_address_is_another_one():
    s = supervisor(2)
    s.tripped(0, 0.0)
    moved = Pool("main", (Server("s0:1", "elsewhere"), Server("s1:1", "s1", 1)))
    assert s.install(compile_plan(PoolRoute(moved)), 1.0) == (SetState(0, UP),)


REPORTS = {
    "tripped": lambda s, i, now: s.tripped(i, now),
    "connect_failed": lambda s, i, now: s.connect_failed(i, now),
    "connected": lambda s, i, now: s.connected(i) or (),
    "link_lost": lambda s, i, now: s.link_lost(i, f"{now}", 1) or (),
    "missed": lambda s, i, now: s.missed_writes(i, int(now), now) or (),
    "probe_answered": lambda s, i, now: s.probe_answered(i, now),
    "probe_failed": lambda s, i, now: s.probe_failed(i, now),
    "fence_answered": lambda s, i, now: s.fence_answered(i, (), now),
    "fence_failed": lambda s, i, now: s.fence_failed(i, now),
    "flush_answered": lambda s, i, now: s.flush_answered(i, EXACT, now),
    "flush_failed": lambda s, i, now: s.flush_failed(i, now),
    "tick": lambda s, i, now: s.tick(now),
}

script = st.lists(
    st.tuples(st.sampled_from(sorted(REPORTS)), st.integers(0, 3), st.floats(0, 4)), max_size=80
)


@given(st.integers(1, 4), script)
def test_after_any_reports_a_server_serves_and_the_engine_knows_the_states(size, reports):
    s = supervisor(size)
    words = [UP] * size
    now = 0.0
    for report, server, passed in reports:
        now += passed
        server %= size
        if report == "tripped":
            words[server] = EJECTED  # the engine does so by itself
        for decision in REPORTS[report](s, server, now):
            if isinstance(decision, SetState):
                words[decision.server] = decision.state
            if isinstance(decision, Flush | Fence | Probe):
                assert words[decision.server] is not UP
        states = [s.state(i) for i in range(size)]
        assert State.UP in states
        assert [word is UP for word in words] == [state is State.UP for state in states]
        assert s.next_wakeup() is not None or set(states) == {State.UP}


def test_a_suspicion_that_has_grown_old_is_not_due_again_while_a_panic_goes_on():
    s = supervisor()
    for server in range(3):
        s.connect_failed(server, 0.0)
    s.tripped(3, 0.0)
    assert s.is_panic("main")
    for _ in range(100):
        now = s.next_wakeup()
        s.tick(now)
        if now > s.settings.suspect_s:
            break
        for server in range(3):
            s.probe_failed(server, now)
    assert s.is_panic("main")
    assert s.next_wakeup() > now


@given(script)
# A suspicion expired in a tick whose time, rounded in another way, was too early.
@example(
    [
        ("connect_failed", 0, 18.155995234220814),
        ("connect_failed", 1, 0.0),
        ("tripped", 2, 4.0),
        ("tick", 0, 4.0),
    ]
)
# A suspected server served on in a panic that others caused.
@example([*(("connect_failed", server, 0.0) for server in range(4)), ("tick", 0, 4.0)])
def test_left_alone_with_servers_that_answer_everything_comes_back(reports):
    s = supervisor()
    now = 0.0
    for report, server, passed in reports:
        now += passed
        REPORTS[report](s, server, now)
    for _ in range(200):
        due = s.next_wakeup()
        if due is None:
            break
        now = max(now, due)
        pending = list(s.tick(now))
        for server in range(4):
            if not pending and s.state(server) is State.FENCING:
                pending += s.fence_answered(server, (), now)
        while pending:
            decision = pending.pop()
            if isinstance(decision, Probe):
                pending += s.probe_answered(decision.server, now)
            elif isinstance(decision, Fence):
                pending += s.fence_answered(decision.server, (), now)
            elif isinstance(decision, Flush):
                pending += s.flush_answered(decision.server, EXACT, now)
    assert [s.state(i) for i in range(4)] == [State.UP] * 4


# ---- what is told to whoever watches ----


def test_ejections_are_counted_by_cause():
    s = supervisor()
    s.tripped(0, 0.0)
    s.connect_failed(1, 0.0)
    s.connect_failed(1, 0.1)
    tallies = {name: report.tally for name, report in s.servers(0.0).items()}
    # The first ejection was the engine's own, which the engine has counted.
    assert tallies["s0:1"].ejections == {}
    assert tallies["s1:1"].ejections == {Cause.UNREACHABLE: 1}
    assert {name: report.state for name, report in s.servers(0.0).items()} == {
        "s0:1": State.EJECTED,
        "s1:1": State.EJECTED,
        "s2:1": State.UP,
        "s3:1": State.UP,
    }


def test_an_ejection_for_a_reason_is_no_proof_that_the_server_is_down():
    s = supervisor(3)
    s.tripped(0, 0.0, Reason(Cause.LOST_WRITES))
    assert s.servers(0.0)["s0:1"].tally.ejections == {Cause.LOST_WRITES: 1}
    assert SetState(0, UP, unless_stale=True) in s.tripped(1, 0.1)


def test_servers_that_the_cap_kept_are_counted():
    s = supervisor(size=1)
    s.tripped(0, 0.0)
    s.connect_failed(0, 1.0)
    tally = s.servers(0.0)["s0:1"].tally
    assert (tally.kept, tally.ejections, tally.returns) == (2, {}, 0)


def test_returns_and_flushes_are_counted():
    s = supervisor()
    now = probed(s)
    s.missed_writes(0, 1, now)
    s.probe_answered(0, now)
    s.fence_answered(0, (), now)
    s.flush_answered(0, EXACT, now)
    tally = s.servers(0.0)["s0:1"].tally
    assert (tally.flushes, tally.returns) == (1, 1)


def test_a_report_does_not_change_any_more():
    s = supervisor()
    before = s.servers(0.0)["s0:1"]
    s.connect_failed(0, 0.0)
    assert (before.state, before.tally.ejections) == (State.UP, {})


def test_pools_count_their_servers_that_are_up():
    s = supervisor()
    assert s.pools(0.0) == {"main": PoolReport(4, 4, False)}
    for server in (0, 1, 2):
        s.connect_failed(server, 0.0)
    assert s.pools(0.0) == {"main": PoolReport(4, 1, True)}


def test_a_server_that_could_not_be_flushed_is_away():
    s = supervisor(3)
    s.install(plan_of("s0:1", "s1:1"), 1.0)
    back = plan_of("s0:1", "s1:1", "s2:1")
    s.install(back, 2.0, unflushed=s.outdated(back))
    assert s.servers(0.0)["s2:1"].tally.ejections == {Cause.AWAY: 1}


def test_a_protected_server_that_fails_is_not_shown_as_up():
    s = supervisor(size=2)
    s.connect_failed(0, 0.0)
    assert s.tripped(1, 1.0)[-1] == SetState(1, UP, unless_stale=False)
    assert (s.state(1), s.condition(1, 1.0)) == (State.UP, Condition.FAILING)
    assert s.servers(1.0)["s1:1"].condition is Condition.FAILING
    assert s.pools(1.0)["main"].up == 0
    assert s.condition(1, 1.0 + SETTINGS.suspect_s) is Condition.UP


def test_a_server_whose_replies_are_late_is_slow_for_a_while():
    s = supervisor()
    s.slow(0, 5.0)
    assert s.condition(0, 5.0) is Condition.SLOW
    assert s.pools(5.0)["main"].up == 4
    assert s.condition(0, 5.0 + SETTINGS.suspect_s) is Condition.UP
    s.tripped(0, 6.0)
    assert s.condition(0, 6.0) is Condition.EJECTED
    # A server that is no longer in the plan.
    s.slow(99, 6.0)
    assert s.condition(99, 6.0) is Condition.EJECTED
