"""When a flush is certain, against a model of what memcached does with times and queued LRU bumps."""

from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute.policy import (
    Flush,
    Flushing,
    FlushSettings,
    FlushStep,
    HealthSettings,
    Look,
    Pool,
    PoolRoute,
    ServerState,
    ServerStats,
    SetState,
    Supervisor,
    SupervisorSettings,
    compile_plan,
)
from mcroute.policy.flushing import is_flushed_at_once

SETTINGS = FlushSettings()
NEW = ServerStats(version="1.6.45", pid=1, uptime=100, items=7, passes=50, has_cas=True)


@pytest.mark.parametrize(
    ("changes", "is_certain"),
    [
        ({"version": "1.6.18"}, True),
        ({"version": "1.6.24"}, True),
        ({"version": "1.4.23"}, True),
        ({"version": "1.4.22"}, False),
        ({"version": "1.6.18", "has_cas": False}, False),
        ({"version": "1.6.25"}, False),
        ({"version": "2.0.0"}, False),
        ({"version": "1.6.24_5_gdeadbee"}, False),
        ({"version": ""}, False),
        ({"items": 0}, True),
        ({"version": "", "items": 0}, True),
        ({"items": None}, False),
    ],
)
def test_which_servers_are_empty_after_one_flush(changes, is_certain):
    stats = replace(NEW, **changes)
    assert is_flushed_at_once(stats) is is_certain
    assert (Flushing(SETTINGS).answered(stats, 0.0) is FlushStep.DONE) is is_certain


def test_a_flush_is_repeated_until_queued_bumps_are_carried_out_and_once_more():
    flushing = Flushing(SETTINGS)
    assert (flushing.step, flushing.delay_s) == (FlushStep.FLUSH, 0)
    assert flushing.answered(NEW, 0.0) is FlushStep.FLUSH
    assert flushing.delay_s == 1
    assert flushing.answered(replace(NEW, passes=52, uptime=101), 0.0) is FlushStep.FLUSH
    assert flushing.answered(replace(NEW, passes=53, uptime=101), 0.0) is FlushStep.FLUSH_NOW
    assert flushing.answered(replace(NEW, passes=53, uptime=101), 0.0) is FlushStep.LOOK
    # Items stored in the rest of the second of the flush are lost.
    assert flushing.answered(replace(NEW, passes=54, uptime=101), 0.0) is FlushStep.LOOK
    assert flushing.answered(replace(NEW, passes=54, uptime=102), 0.0) is FlushStep.DONE


@pytest.mark.parametrize("broken", [{"uptime": 102}, {"uptime": 99}, {"pid": 2}, {"uptime": None}])
def test_a_second_without_a_flush_or_another_process_begins_anew(broken):
    flushing = Flushing(SETTINGS)
    flushing.answered(NEW, 0.0)
    assert flushing.answered(replace(NEW, passes=60, **broken), 0.0) is FlushStep.FLUSH
    assert flushing.answered(replace(NEW, passes=62, **broken), 0.0) is FlushStep.FLUSH


def test_a_server_that_is_restarted_before_it_serves_is_flushed_again():
    flushing = Flushing(SETTINGS)
    for passes in (50, 53, 53):
        flushing.answered(replace(NEW, passes=passes), 0.0)
    assert flushing.step is FlushStep.LOOK
    assert flushing.answered(replace(NEW, pid=2, uptime=0), 0.0) is FlushStep.FLUSH


def test_without_an_lru_maintainer_nothing_is_queued():
    flushing = Flushing(SETTINGS)
    stats = replace(NEW, passes=None)
    assert [flushing.answered(stats, 0.0) for _ in range(3)] == [
        FlushStep.FLUSH, FlushStep.FLUSH_NOW, FlushStep.LOOK,
    ]  # fmt: skip


def test_a_server_without_item_times_is_flushed_for_a_while():
    flushing = Flushing(SETTINGS)
    assert flushing.answered(ServerStats(), 0.0) is FlushStep.FLUSH
    assert flushing.answered(ServerStats(), 4.9) is FlushStep.FLUSH
    assert flushing.answered(ServerStats(), 5.0) is FlushStep.FLUSH_NOW
    assert flushing.answered(ServerStats(), 5.0) is FlushStep.LOOK
    assert flushing.answered(ServerStats(), 7.0) is FlushStep.LOOK
    assert flushing.answered(ServerStats(), 7.1) is FlushStep.DONE


def test_versions_without_cas_ids_compare_whole_seconds_without_an_argument():
    flushing = Flushing(SETTINGS)
    assert flushing.answered(replace(NEW, version="1.6.18", has_cas=False), 0.0) is FlushStep.FLUSH
    assert flushing.delay_s == 0


# ---- as memcached does it ----


@dataclass
class Memcached:
    """Items by their times, as 1.6.25 and later flush them; others read while we flush."""

    clock: int = 100
    passes: int = 0
    times: dict[int, int] = field(default_factory=dict)
    queued: set[int] = field(default_factory=set)
    oldest_live: int = -1

    def lives(self, item: int) -> bool:
        return item in self.times and not self.times[item] <= self.oldest_live <= self.clock

    def flush(self, delay_s: int) -> None:
        self.oldest_live = self.clock + delay_s - 1

    def read(self, item: int, is_queued: bool) -> None:
        if not self.lives(item):
            # The item is unlinked: its queued bump has no effect.
            self.times.pop(item, None)
        elif is_queued:
            # Only items of COLD are queued, and no item moves there in the second of its last bump.
            if self.times[item] < self.clock:
                self.queued.add(item)
        else:
            self.times[item] = self.clock

    def maintain(self) -> None:
        self.passes += 1
        for item in self.queued & self.times.keys():
            self.times[item] = self.clock
        self.queued.clear()

    def stats(self) -> ServerStats:
        return replace(NEW, uptime=self.clock, passes=self.passes)


def flushed(server: Memcached, events: list[tuple[str, int]]) -> None:
    """Runs a flush to its end; between its steps happens what the events say, reads by others too."""
    flushing, happening = Flushing(SETTINGS), iter(events)
    while flushing.step is not FlushStep.DONE:
        if flushing.step is not FlushStep.LOOK:
            server.flush(flushing.delay_s)
        flushing.answered(server.stats(), 0.0)
        name, item = next(happening, ("both", 0))
        if name in ("tick", "both"):
            server.clock += 1
        if name in ("pass", "both"):
            server.maintain()
        if name in ("bump", "queue"):
            server.read(item, name == "queue")


EVENTS = st.lists(
    st.tuples(st.sampled_from(["", "tick", "pass", "both", "bump", "queue"]), st.integers(0, 5))
)


@given(EVENTS, st.dictionaries(st.integers(0, 5), st.integers(90, 100)), st.sets(st.integers(0, 5)), EVENTS)
def test_no_item_from_before_is_ever_read_again(events, times, queued, later):
    server = Memcached(times=dict(times), queued=queued & times.keys())
    flushed(server, events)
    for name, item in later:
        server.clock += name in ("tick", "both")
        if name in ("pass", "both"):
            server.maintain()
        if name in ("bump", "queue"):
            server.read(item, name == "queue")
        assert not any(map(server.lives, range(6)))


def test_one_flush_leaves_a_bumped_item_alive_in_that_model():
    bumped, queued = Memcached(times={0: 100}), Memcached(times={0: 90}, queued={0})
    for server in (bumped, queued):
        server.flush(0)
        server.clock += 1
        server.maintain()
        assert server.lives(0)


# ---- in a return ----


def flushing_supervisor():
    plan = compile_plan(PoolRoute(Pool.of("main", ["s0:1", "s1:1"])))
    s = Supervisor(plan, Random(1), SupervisorSettings(HealthSettings(jitter=0.0), panic_share=1.0))
    s.tripped(0, 0.0)
    s.missed_writes(0, 1, 0.0)
    s.tick(1.0)
    s.probe_answered(0, 1.0)
    assert s.fence_answered(0, (), 1.0) == (Flush(0),)
    return s


def test_a_return_sends_the_commands_of_a_flush():
    s = flushing_supervisor()
    assert s.flush_answered(0, NEW, 1.0) == ()
    assert s.next_wakeup() == 1.25
    assert s.tick(1.25) == (Flush(0, 1),)
    # A second answer to one question is ignored.
    assert s.flush_answered(0, replace(NEW, passes=53), 1.25) == (Flush(0, 1),)
    assert s.flush_answered(0, replace(NEW, passes=53), 1.25) == ()
    assert s.tick(1.5) == (Look(0),)
    assert s.flush_answered(0, replace(NEW, passes=53, uptime=101), 1.5) == (SetState(0, ServerState.UP),)
    assert s.servers(0.0)["s0:1"].tally.flushes == 1


def test_a_flush_that_never_gets_certain_ends_the_stage():
    s = flushing_supervisor()
    now = 1.0
    while not (decisions := s.flush_answered(0, NEW, now)):
        now = s.next_wakeup()
        assert s.tick(now) == (Flush(0, 1),)
    assert decisions == (SetState(0, ServerState.EJECTED),)
    assert now == pytest.approx(1.0 + SETTINGS.timeout_s, abs=0.3)


def test_a_link_that_is_lost_between_two_flushes_sends_the_server_back():
    s = flushing_supervisor()
    s.flush_answered(0, NEW, 1.0)
    s.tick(1.25)
    s.link_lost(0, "late", 1)
    assert s.flush_answered(0, NEW, 1.25) == (SetState(0, ServerState.EJECTED),)
