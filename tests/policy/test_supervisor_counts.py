"""The supervisor's running counts equal a count over all servers, and cost less."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcroute.policy import (
    Cause,
    Failover,
    Fence,
    Flush,
    FlushSettings,
    HealthSettings,
    Look,
    PanicChanged,
    Pool,
    PoolRoute,
    Probe,
    Reason,
    ServerStats,
    State,
    Supervisor,
    SupervisorSettings,
    compile_plan,
)
from mcroute.policy.alarms import Alarms
from mcroute.policy.health import OVERDUE
from mcroute.policy.panics import Panics
from mcroute.policy.pasts import Past
from mcroute.policy.places import spelled

SETTINGS = SupervisorSettings(HealthSettings(jitter=0.0), suspect_s=3.0, flush=FlushSettings(timeout_s=5.0))
EXACT = ServerStats(version="1.6.18", has_cas=True)
LAZY = ServerStats(version="1.6.45", pid=1, uptime=1, items=1, passes=1)


class PlainPanics(Panics):
    """Looks at every server each time."""

    def is_protected(self, server):
        pools = [pool for pool in self._census.pools if server in pool.members]
        in_panic = any(pool.name in self._panics for pool in pools)
        return self._is_last(server) or (in_panic and self._records[server].is_only_slow)

    def _is_last(self, server):
        serving = ([s for s in pool.members if self._is_up(s)] for pool in self._census.pools)
        return any(servers == [server] for servers in serving)

    def _is_up(self, server):
        return self._records[server].health.state is State.UP

    def _looks_bad(self, server, now):
        record = self._records[server]
        if record.health.state is not State.UP:
            return record.health.attempt > 0
        return self._looks_bad_record(record, now)

    def _looks_bad_record(self, record, now):
        return record.suspect_at is not None and now < self._census.suspicion_ends_at(record)

    def watch(self, now):
        for record in self._records.values():
            if record.health.state is State.UP and not self._looks_bad_record(record, now):
                record.suspect_at = None
        decisions = []
        for pool in self._census.pools:
            bad = sum(self._looks_bad(server, now) for server in pool.members)
            is_panic = bad > SETTINGS.panic_share * len(pool.members)
            if is_panic is not (pool.name in self._panics):
                self._panics ^= {pool.name}
                decisions.append(PanicChanged(pool.name, is_panic))
                decisions += self._restore_all(pool.members, now) if is_panic else []
        return decisions


class Plain(Supervisor):
    """Looks at every server each time."""

    def __init__(self, plan, rng, settings):
        super().__init__(plan, rng, settings)
        self._panics = PlainPanics(self._stages)
        self._count_anew()

    def next_wakeup(self):
        return min(self._all_wakeups(), default=None)

    def _all_wakeups(self) -> Iterator[float]:
        for record in self._records.values():
            yield from (time for time in (record.health.due_at, record.again_at) if time is not None)
        if self._panics:
            up = (record for record in self._records.values() if record.health.state is State.UP)
            yield from (self._census.suspicion_ends_at(r) for r in up if r.suspect_at is not None)

    def tick(self, now):
        decisions = []
        for server, record in tuple(self._records.items()):
            if record.again_at is not None and now >= record.again_at:
                decisions += self._stages._again(server, now)
            elif record.health.due_at is not None and now >= record.health.due_at:
                decisions += self._stages.move(server, OVERDUE[record.health.state], now)
            if record.suspect_at is not None and now >= self._census.suspicion_ends_at(record):
                record.suspect_at = None
        return (*decisions, *self._panics.watch(now))


def plan_of(*pools: str):
    """Each letter is a server."""
    routes = [PoolRoute(Pool.of(f"p{i}", [f"{name}:1" for name in names])) for i, names in enumerate(pools)]
    return compile_plan(Failover(tuple(routes)) if len(routes) > 1 else routes[0])


PLANS = [plan_of("abcdef"), plan_of("abc", "cde", "ef"), plan_of("ab", "ba", "f"), plan_of("fedc", "abc")]

EVENTS = {
    "tripped": lambda s, i, now: s.tripped(i, now),
    "unreachable": lambda s, i, now: s.connect_failed(i, now),
    "missed": lambda s, i, now: s.tripped(i, now, Reason(Cause.LOST_WRITES)),
    "connected": lambda s, i, now: s.connected(i),
    "lost": lambda s, i, now: s.link_lost(i, f"{now}", 1),
    "stale": lambda s, i, now: s.stale(i),
    "writes": lambda s, i, now: s.missed_writes(i, int(now), now),
    "probed": lambda s, i, now: s.probe_answered(i, now),
    "not probed": lambda s, i, now: s.probe_failed(i, now),
    "fenced": lambda s, i, now: s.fence_answered(i, (), now),
    "listed": lambda s, i, now: s.fence_answered(i, s._records[i].lost, now),
    "not fenced": lambda s, i, now: s.fence_failed(i, now),
    "flushed": lambda s, i, now: s.flush_answered(i, EXACT, now),
    "flushing": lambda s, i, now: s.flush_answered(i, LAZY, now),
    "not flushed": lambda s, i, now: s.flush_failed(i, now),
    "tick": lambda s, i, now: s.tick(now),
    "recall": lambda s, i, now: s.recall([Past(spelled(s.plan.servers[0]), owes=True)], i % 2 == 0, now),
    "plan": lambda s, i, now: s.install(PLANS[i % len(PLANS)], now),
}
STEPS = st.lists(
    st.tuples(st.sampled_from([*EVENTS, *["tripped", "tick", "probed", "fenced"] * 3]), st.integers(0, 5),
              st.sampled_from([0.0, 0.5, 1.0, 3.0, None])),
    max_size=60,
)  # fmt: skip


# A server returns when its last failure has expired.
RETURN = [("recall", 1, 0.0), ("tick", 0, 0.0), ("tripped", 0, None), ("tick", 0, 0.0), ("fenced", 0, 3.0)]


@given(st.sampled_from(PLANS), STEPS)
@example(PLANS[0], [*RETURN, ("tick", 0, 0.0), ("flushed", 0, 0.0)])
@settings(max_examples=300, deadline=None)
def test_decisions_are_those_of_looking_at_all_servers(plan, steps):
    ours, plain = Supervisor(plan, Random(1), SETTINGS), Plain(plan, Random(1), SETTINGS)
    reported, now = set(ours.protected()), 0.0
    ours.take_touched()
    for name, server, pause in steps:
        # None: until the next due time.
        now = max(now, ours.next_wakeup() or 0.0) if pause is None else now + pause
        if server not in ours._records:
            continue
        assert EVENTS[name](ours, server, now) == EVENTS[name](plain, server, now), name
        assert (ours.next_wakeup(), ours._panics.pools) == (plain.next_wakeup(), plain._panics.pools), name
        for touched in ours.take_touched():
            (reported.add if ours.is_protected(touched) else reported.discard)(touched)
        assert reported & ours._records.keys() == ours.protected() == plain.protected(), name
        assert ours.pools(now) == plain.pools(now)
        assert set(ours.serving) == {s for s in ours._records if ours.state(s) is State.UP}
        assert set(ours.unsuspicious) == {s for s, record in ours._records.items() if not record.is_stale}


# ---- costs ----


class Counted(dict):
    """Counts what is looked at."""

    looks = 0

    def __getitem__(self, key):
        self.looks += 1
        return super().__getitem__(key)

    def get(self, key, default=None):
        self.looks += 1
        return super().get(key, default)

    def values(self):
        self.looks += len(self)
        return super().values()

    def items(self):
        self.looks += len(self)
        return super().items()

    def __iter__(self):
        self.looks += len(self)
        return super().__iter__()


def most_looks(size: int) -> int:
    """At records, in one event, while all servers of a pool fail, are probed in vain, and return."""
    plan = compile_plan(PoolRoute(Pool.of("main", [f"s{i}:1" for i in range(size)])))
    s = Supervisor(plan, Random(1), SupervisorSettings(panic_share=1.0))
    s.take_touched()
    s._members.records = records = Counted(s._records)
    for part in (s, s._census, s._stages, s._panics):
        part._records = records
    looks, pending, now = [], [], 0.0

    def did(*decisions):
        pending.extend(decisions)
        s.next_wakeup()
        for server in s.take_touched():
            s.is_protected(server)
        looks.append(records.looks)
        records.looks = 0

    for server in range(size):
        did(*s.connect_failed(server, now))
    for is_alive in (False, True):
        for _ in range(size - 1):
            now = s.next_wakeup()
            did(*s.tick(now))
            while pending:
                decision = pending.pop()
                if isinstance(decision, Probe):
                    answer = s.probe_answered if is_alive else s.probe_failed
                    did(*answer(decision.server, now))
                elif isinstance(decision, Fence):
                    did(*s.fence_answered(decision.server, (), now))
                elif isinstance(decision, Flush | Look):
                    did(*s.flush_answered(decision.server, EXACT, now))
    return max(looks)


def test_an_event_costs_the_same_whatever_the_number_of_servers():
    assert most_looks(500) <= most_looks(10)


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 9)))), st.integers(0, 9))
def test_alarms_are_the_earliest_of_the_times(changes, now):
    alarms, times = Alarms(), {}
    for key, time in changes * 30:
        alarms.set(key, time)
        times[key] = time
        assert alarms.next() == min((t for t in times.values() if t is not None), default=None)
    assert len(alarms._heap) <= 2 * len(times) + 65
    due = {key for key, time in times.items() if time is not None and time <= now}
    assert set(alarms.take_due(now)) == due
    assert alarms.next() == min((t for t in times.values() if t is not None and t > now), default=None)


def test_alarms_without_any():
    alarms = Alarms()
    alarms.set(1, None)
    assert alarms.next() is None
    assert alarms.take_due(10.0) == []


@pytest.mark.parametrize("name", ["connected", "stale"])
def test_events_of_a_server_that_is_not_in_the_plan_change_nothing(name):
    s = Supervisor(plan_of("ab"), Random(1), SETTINGS)
    EVENTS[name](s, 7, 0.0)
    assert s.protected() == frozenset()
