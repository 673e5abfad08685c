"""Which keys of a dump are kept, how fast they are copied, and which servers are cold."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute.policy import (
    HealthSettings,
    Plan,
    Pool,
    Replicate,
    Seen,
    Server,
    ServerStats,
    State,
    Supervisor,
    compile_plan,
)
from mcroute.policy.dumps import DumpedKey
from mcroute.policy.warming import ColdServers, Dumps, Pace, Selection
from mcroute.policy.warming_settings import WarmingSettings


def lines(keys: Iterable[tuple[int, int]]) -> list[bytes]:
    return [b"key=k%d exp=-1 la=%d cas=1 fetch=no cls=1 size=60" % key for key in keys]


def read(dumps: Dumps, dump: list[bytes]) -> list[DumpedKey]:
    """One reading."""
    selection = dumps.begin()
    for line in dump:
        if selection.wants(line) and (key := dumps.key_of(line)) is not None:
            selection.offer(key)
    return selection.take()


# ---- readings of a dump


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 20))
def test_the_keys_used_last_are_kept_and_come_first(times: list[int], room: int) -> None:
    selection = Selection(room)
    for i, used_at in enumerate(times):
        selection.offer(DumpedKey(b"k%d" % i, False, used_at))
    kept = [key.used_at for key in selection.take()]
    assert kept == sorted(times, reverse=True)[:room]
    assert selection.left_out == max(0, len(times) - room)
    assert len(selection) == 0


@given(st.integers(0, 400), st.integers(5, 100), st.integers(0, 99))
def test_all_readings_together_have_every_key(count: int, room: int, seed: int) -> None:
    dumps, rng = Dumps(room), Random(seed)
    found: set[bytes] = set()
    readings = 0
    while not dumps.is_optional:
        # Clients read keys in between, and the order of a dump is any.
        dump = lines((i, rng.randrange(1000)) for i in rng.sample(range(count), count))
        kept = read(dumps, dump)
        assert len(kept) <= room
        found |= {key.key for key in kept}
        dumps.finished()
        readings += 1
    assert len(found) == count
    # A slice with more keys than room is read again, in parts.
    assert readings <= 4 + 6 * -(-count // room)


def test_a_reading_that_is_broken_off_begins_anew() -> None:
    dumps = Dumps(3)
    keys = [(i, i) for i in range(20)]
    assert [key.used_at for key in read(dumps, lines(keys))] == [19, 18, 17]
    dumps.finished()
    first = read(dumps, lines(keys[:5]))
    assert len(first) < len(read(dumps, lines(keys)))


def test_keys_in_base64_are_read_last_where_the_server_tells_them() -> None:
    dumps = Dumps(3)
    assert (dumps.name, dumps.is_optional) == (b"metadump hash", False)
    dumps.finished()
    assert (dumps.name, dumps.is_optional, dumps.is_over) == (b"mgdump hash", True, False)
    assert read(dumps, [b"mg a", b"mg YWI= b", b"mg YSBi b"]) == [DumpedKey(b"YWI=", True, 0)]
    dumps.finished()
    assert dumps.is_over


# ---- pace


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50)), min_size=1, max_size=50))
def test_no_more_units_are_begun_than_the_pace_allows(steps: list[tuple[float, int]]) -> None:
    pace, now, begun = Pace(100), 10.0, 0
    for pause_s, count in steps:
        now += pause_s
        now += pace.delay(now, count)
        assert begun <= (now - 10.0) * 100 + 1e-6
        begun += count


def test_pauses_between_attempts_grow_and_are_random() -> None:
    settings, rng = WarmingSettings(again_s=1, again_max_s=8), Random(1)
    for attempt, most in enumerate((1, 2, 4, 8, 8, 8)):
        delays = {settings.again_delay(attempt, rng) for _ in range(50)}
        assert most / 2 <= min(delays) < max(delays) <= most
    assert settings.again_delay(10_000, rng) <= 8


# ---- cold servers


def test_a_server_is_cold_until_it_is_warmed() -> None:
    cold = ColdServers()
    assert not cold
    cold.emptied(3)
    first = cold.serial(3)
    assert list(cold) == [3]
    assert first > 0
    cold.emptied(3)
    assert cold.serial(3) != first
    cold.emptied(4)
    cold.retain({4, 5})
    assert list(cold) == [4]
    cold.warmed(4)
    cold.warmed(4)
    assert cold.serial(4) == 0
    assert not cold


def plan_of(*numbers: int, identity: str = "same") -> Plan:
    servers = tuple(Server(f"s{i}", f"10.0.0.{i}", 11211) for i in numbers)
    return compile_plan(Replicate(Pool("main", servers, identity=identity), 2))


def stats(pid: int, uptime: int, *, items: int = 0, keeps_items: bool = False) -> ServerStats:
    return ServerStats("1.6.18", pid, uptime, items, 5, has_cas=True, keeps_items=keeps_items)


@pytest.mark.parametrize(
    ("later", "identity", "is_cold"),
    [
        (stats(1, 110), "same", False),
        (stats(2, 5), "same", True),
        # Others may have filled it already.
        (stats(2, 5, items=1000), "same", True),
        (stats(2, 5, keeps_items=True), "same", False),
        # A foreign process is not used, or has items of its own.
        (stats(2, 9999), "same", False),
        (stats(2, 9999), "any", False),
        (stats(2, 5), "any", False),
    ],
)
def test_a_restarted_process_is_cold(later: ServerStats, identity: str, is_cold: bool) -> None:
    supervisor = Supervisor(plan_of(1, 2, 3, identity=identity), Random(1))
    supervisor.identified(0, Seen(stats(1, 100), 100.0, 100.0))
    assert not supervisor.cold
    supervisor.identified(0, Seen(later, 110.0, 110.0))
    assert list(supervisor.cold) == [0] * is_cold
    supervisor.identified(0, Seen(later, 110.0, 110.0))
    assert list(supervisor.cold) == [0] * is_cold


def test_a_flushed_server_is_cold() -> None:
    supervisor = Supervisor(plan_of(1, 2, 3), Random(1))
    supervisor.settings = supervisor.settings.__class__(HealthSettings(jitter=0.0))
    supervisor.identified(0, Seen(stats(1, 100), 0.0, 0.0))
    supervisor.missed_writes(0, 5, 1.0, is_named=False)
    supervisor.tripped(0, 1.0)
    supervisor.tick(5.0)
    supervisor.probe_answered(0, 5.1)
    supervisor.fence_answered(0, (), 5.2)
    assert supervisor.state(0) is State.FLUSHING
    assert not supervisor.cold
    supervisor.flush_answered(0, stats(1, 105), 5.3)
    assert supervisor.state(0) is State.UP
    assert list(supervisor.cold) == [0]


def test_a_server_that_was_flushed_before_it_joins_again_is_cold() -> None:
    whole = plan_of(1, 2, 3)
    supervisor = Supervisor(whole, Random(1))
    supervisor.install(plan_of(1, 2), 1.0)
    back = supervisor.outdated(whole)
    assert [server.name for server in back] == ["s3"]
    supervisor.install(whole, 2.0)
    assert list(supervisor.cold) == [whole.server_ids["s3"]]
    supervisor.install(plan_of(1, 2), 3.0)
    assert not supervisor.cold
    supervisor.install(whole, 4.0, unflushed=back)
    assert not supervisor.cold
