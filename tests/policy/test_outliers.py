"""Servers that serve worse than their peers: tables of what is ejected, and laws."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute.policy import (
    Cause,
    Counts,
    Outlier,
    Outliers,
    OutlierSettings,
    Pool,
    Probe,
    Reason,
    Replicate,
    State,
    Supervisor,
    SupervisorSettings,
    compile_plan,
)
from mcroute.policy.windows import Windows

# A bucket for each millisecond.
BOUNDS = (*(n / 1000 for n in range(1, 1000)), float("inf"))
SETTINGS = OutlierSettings(window_s=1.0, window_requests=10, windows=3)


class Pools:
    """Servers of one pool, whose counters grow by what each second brings."""

    def __init__(self, size: int, settings: OutlierSettings = SETTINGS) -> None:
        self.outliers = Outliers(BOUNDS)
        self.settings = settings
        self.serving = set(range(size))
        self.pools = [tuple(range(size))]
        self.now = 0.0
        self.errors = dict.fromkeys(range(size), 0)
        self.lost = dict.fromkeys(range(size), 0)
        self.replies: dict[int, dict[int, int]] = {server: {} for server in range(size)}
        self.look()

    def look(self) -> list[Outlier]:
        counts = {
            server: Counts(self.errors[server], self.lost[server], dict(replies))
            for server, replies in self.replies.items()
        }
        return self.outliers.look(counts, self.pools, self.serving, self.now, self.settings)

    def reply(self, server: int, milliseconds: int, count: int = 20) -> None:
        row = self.replies[server]
        row[milliseconds] = row.get(milliseconds, 0) + count

    def second(self, *milliseconds: int, count: int = 20) -> list[Outlier]:
        """A second in which each server answers in its time."""
        for server, own in enumerate(milliseconds):
            self.reply(server, own, count)
        self.now += 1.0
        return self.look()

    def seconds(self, count: int, *milliseconds: int) -> list[Outlier]:
        return [outlier for _ in range(count) for outlier in self.second(*milliseconds)]


# ---- latency ----


@pytest.mark.parametrize(
    ("before", "then", "outliers"),
    [
        ((0, 0, 0), (20, 0, 0), [0]),
        ((0, 0, 0), (200, 0, 0), [0]),
        ((0, 0), (0, 20), [1]),
        ((0, 0, 0), (8, 0, 0), []),  # below the floor
        ((10, 10, 10), (27, 10, 10), []),  # less than the multiple
        ((10, 10, 10), (40, 10, 10), [0]),
        ((0, 0, 0), (20, 20, 20), []),  # the network, or this machine
        ((0, 0, 0), (20, 20, 0), []),  # most of the peers are as slow
        ((0, 0, 0, 0, 0), (20, 20, 0, 0, 0), [0, 1]),  # the supervisor has the cap
        ((30, 0, 0), (30, 0, 0), []),  # far away, and always was
        ((30, 0, 0), (60, 0, 0), [0]),
        ((0,), (200,), []),  # without peers there is no measure
    ],
)
def test_latency(before: tuple[int, ...], then: tuple[int, ...], outliers: list[int]) -> None:
    pools = Pools(len(before))
    assert pools.seconds(5, *before) == []
    assert pools.seconds(2, *then) == []
    found = pools.second(*then)
    assert [outlier.server for outlier in found] == outliers
    assert all(outlier.reason.cause is Cause.LATENCY for outlier in found)


def test_the_reason_has_the_figures() -> None:
    pools = Pools(3)
    pools.seconds(2, 0, 0, 0)
    [outlier] = pools.seconds(3, 0, 23, 0)
    text = "it is slower than the other servers of its pool: p25 24 ms over 60 replies, the others' 0.5 ms"
    assert str(outlier.reason) == text
    # It returns when its commands are as quick as the bound that it exceeded.
    assert outlier.turn_max_s == pytest.approx(0.0105)


def test_a_good_window_ends_the_row() -> None:
    pools = Pools(3)
    pools.seconds(2, 0, 0, 0)
    assert pools.seconds(2, 50, 0, 0) == []
    assert pools.seconds(1, 0, 0, 0) == []
    assert pools.seconds(2, 50, 0, 0) == []
    assert [outlier.server for outlier in pools.second(50, 0, 0)] == [0]


def test_a_tail_and_stalls_do_not_count() -> None:
    pools = Pools(3)
    for _ in range(20):
        # A stall for two thirds of each window.
        pools.reply(0, 500, count=20)
        assert pools.second(0, 0, 0, count=10) == []


def test_with_few_requests_a_window_is_longer() -> None:
    pools = Pools(3)
    for _ in range(8):
        assert pools.second(0, 0, 0, count=3) == []
    found = [len(pools.second(50, 0, 0, count=3)) for _ in range(12)]
    # Each window needs four seconds for ten requests.
    assert found.index(1) == 11


def test_too_few_requests_prove_nothing() -> None:
    pools = Pools(3)
    pools.seconds(3, 0, 0, 0)
    for _ in range(100):
        pools.now += 4.0
        pools.reply(0, 500, count=2)
        assert pools.look() == []


def test_old_windows_of_peers_are_no_measure() -> None:
    pools = Pools(2)
    pools.seconds(3, 0, 0)
    for _ in range(20):
        pools.now += 10.0
        pools.reply(0, 500)
        assert pools.look() == []


def test_what_a_server_did_while_it_was_out_does_not_count() -> None:
    pools = Pools(3)
    pools.seconds(2, 0, 0, 0)
    pools.seconds(2, 50, 0, 0)
    pools.serving = {1, 2}
    assert pools.seconds(5, 50, 0, 0) == []
    pools.serving = {0, 1, 2}
    assert pools.seconds(2, 50, 0, 0) == []
    assert [outlier.server for outlier in pools.second(50, 0, 0)] == [0]


def test_another_server_under_the_same_id_begins_anew() -> None:
    pools = Pools(3)
    pools.seconds(2, 0, 0, 0)
    pools.outliers.reset(0)
    # It is far away.
    assert pools.seconds(10, 50, 0, 0) == []


# ---- errors, and connections that break ----


@pytest.mark.parametrize(
    ("shares", "outliers"),
    [
        ((0.3, 0.0, 0.0), [0]),
        ((1.0, 0.0, 0.0), [0]),
        ((0.1, 0.0, 0.0), []),
        ((0.3, 0.2, 0.2), []),  # they fail as well
        ((0.9, 0.2, 0.2), [0]),
        ((0.5, 0.5, 0.5), []),
    ],
)
def test_errors(shares: tuple[float, ...], outliers: list[int]) -> None:
    pools = Pools(len(shares))
    found = []
    for _ in range(3):
        for server, share in enumerate(shares):
            pools.errors[server] += round(100 * share)
            pools.reply(server, 0, 100 - round(100 * share))
        pools.now += 1.0
        found += pools.look()
    assert [outlier.server for outlier in found] == outliers
    assert all(outlier.reason.cause is Cause.ERRORS and outlier.turn_max_s is None for outlier in found)
    if outliers and shares[0] == 0.3:
        assert str(found[0].reason).endswith("90 of 300 requests were lost or timed out, of the others' 0%")


@pytest.mark.parametrize(("period_s", "is_flapping"), [(1.0, True), (7.0, True), (8.0, False)])
def test_connections_that_break_again_and_again(period_s: float, is_flapping: bool) -> None:
    pools = Pools(2)
    found = []
    for _ in range(6):
        pools.now += period_s
        pools.lost[1] += 4
        pools.reply(1, 0, 1000)
        found += pools.look()
    assert [outlier.reason.cause for outlier in found] == [Cause.FLAPPING] * is_flapping
    if is_flapping:
        assert str(found[0].reason).endswith(f"requests in flight: 5 times in {4 * period_s:.1f} s")


def test_one_outage_is_one_time_however_many_connections_it_breaks() -> None:
    pools = Pools(2)
    pools.now += 1.0
    pools.lost[1] += 500
    assert pools.look() == []
    assert pools.seconds(10, 0, 0) == []


# ---- laws ----

times = st.lists(st.integers(0, 999), min_size=2, max_size=6)


@given(st.integers(0, 999), st.integers(2, 6), st.integers(1, 12))
def test_equal_servers_are_never_outliers(milliseconds: int, size: int, seconds: int) -> None:
    pools = Pools(size)
    pools.seconds(2, *[0] * size)
    assert pools.seconds(seconds, *[milliseconds] * size) == []


@given(times, st.integers(1, 12))
def test_a_constant_latency_is_never_an_outlier(latencies: list[int], seconds: int) -> None:
    assert Pools(len(latencies)).seconds(seconds, *latencies) == []


@given(times, times)
def test_outliers_are_slower_than_half_of_their_peers(before: list[int], then: list[int]) -> None:
    size = min(len(before), len(then))
    pools = Pools(size)
    pools.seconds(2, *before[:size])
    for outlier in pools.seconds(3, *then[:size]):
        peers = [own for server, own in enumerate(then[:size]) if server != outlier.server]
        quicker = sum(then[outlier.server] > own + 9 for own in peers)
        assert quicker > len(peers) / 2 or quicker == len(peers)


@given(st.lists(st.lists(st.tuples(st.integers(0, 998), st.integers(0, 50)), max_size=4), max_size=8))
def test_windows_share_the_replies_out(seconds: list[list[tuple[int, int]]]) -> None:
    """Each reply is in one window at most, and a quartile is one of the replies' times."""
    windows = Windows(BOUNDS, 0.0, Counts())
    replies: dict[int, int] = {}
    seen = 0
    for second, row in enumerate(seconds, 1):
        for bucket, count in row:
            replies[bucket] = replies.get(bucket, 0) + count
        window = windows.look(Counts(0, 0, dict(replies)), float(second), SETTINGS)
        if window is not None:
            assert window.replies >= SETTINGS.window_requests
            assert replies.get(int(window.quartile_s * 1000), 0) > 0
            seen += window.replies
    assert seen <= sum(replies.values())


# ---- the supervisor ----


def supervised(size: int, share: float = 0.2) -> Supervisor:
    servers = [f"s{number}:1" for number in range(size)]
    settings = SupervisorSettings(outliers=OutlierSettings(outlier_share=share))
    return Supervisor(compile_plan(Replicate(Pool.of("main", servers), copies=2)), Random(1), settings)


def slow(server: int, turn_max_s: float = 0.01) -> Outlier:
    return Outlier(server, Reason(Cause.LATENCY), turn_max_s)


@given(st.integers(2, 12), st.floats(0, 1), st.lists(st.integers(0, 11), max_size=20))
def test_at_most_the_cap_is_out(size: int, share: float, order: list[int]) -> None:
    supervisor = supervised(size, share)
    for number, server in enumerate(order):
        supervisor.outlying(slow(server % size), 0.001 * number)
        assert size - len(supervisor.serving) <= min(size - 1, max(1, int(share * size)))


def test_an_outlier_beyond_the_cap_is_counted_as_kept() -> None:
    supervisor = supervised(4)
    assert supervisor.outlying(slow(0), 0.0)
    assert supervisor.outlying(slow(1), 0.0) == ()
    reports = supervisor.servers(0.0)
    assert reports["s0:1"].tally.ejections == {Cause.LATENCY: 1}
    assert reports["s1:1"].tally.kept == 1


def test_a_slow_server_returns_when_it_is_quick() -> None:
    supervisor = supervised(3)
    supervisor.outlying(slow(1, 0.007), 0.0)
    due = supervisor.next_wakeup()
    assert due is not None
    assert supervisor.tick(due) == (Probe(1, 0.007),)
    supervisor.probe_failed(1, due)
    due = supervisor.next_wakeup()
    assert due is not None
    assert supervisor.tick(due) == (Probe(1, 0.007),)
    supervisor.probe_answered(1, due)
    supervisor.fence_answered(1, (), due)
    assert supervisor.state(1) is State.UP
    # After another failure its speed is no question.
    supervisor.tripped(1, due)
    again = supervisor.next_wakeup()
    assert again is not None and supervisor.tick(again) == (Probe(1),)


def test_the_last_server_of_a_pool_stays() -> None:
    supervisor = supervised(2)
    supervisor.connect_failed(0, 0.0)
    supervisor.outlying(slow(1), 0.0)
    assert supervisor.serving == {1}


def flap(supervisor: Supervisor, now: float) -> tuple[float, float]:
    """Ejects the first server and lets it return. Returns how long it waited for its probe, and the time."""
    supervisor.outlying(Outlier(0, Reason(Cause.FLAPPING)), now)
    due = supervisor.next_wakeup()
    assert due is not None
    supervisor.tick(due)
    supervisor.probe_answered(0, due)
    supervisor.fence_answered(0, (), due)
    assert supervisor.state(0) is State.UP
    return due - now, due


def test_the_time_out_grows_with_each_ejection_and_falls_back_after_a_stable_time() -> None:
    supervisor = supervised(3)
    waits, now = [], 0.0
    for _ in range(8):
        wait, now = flap(supervisor, now + 2.0)
        waits.append(wait)
    settings = supervisor.settings.health
    for number, wait in enumerate(waits):
        whole = min(settings.retry_cap_s, settings.retry_base_s * settings.retry_factor**number)
        assert (1 - settings.jitter) * whole <= wait <= whole + 1e-6
    wait, _ = flap(supervisor, now + settings.flap_window_s + 1.0)
    assert wait <= settings.retry_base_s
