"""When reads are hedged: a percentile of the pool's replies, which one slow server does not move."""

from collections.abc import Mapping

import pytest

from mcroute._engine.histograms import BOUNDS, bucket_of
from mcroute.errors import ConfigError
from mcroute.policy import HedgedPool, HedgeTimes, Pool, Replicate, Server, compile_plan, explain

FLOOR_S = 0.002
FAST, SLOW = bucket_of(0.004), bucket_of(0.1)
FAST_S = BOUNDS[FAST]


def pool(size: int = 3, **options: float) -> Pool:
    options.setdefault("hedge_after_s", FLOOR_S)
    return Pool("main", tuple(Server(f"s{i}", "127.0.0.1", 1000 + i) for i in range(size)), **options)


def look(times: HedgeTimes, replies: Mapping[int, Mapping[int, int]], **options: float) -> dict[int, float]:
    return times.look(replies, [HedgedPool(pool(**options), (0, 1, 2))])


def test_the_time_is_the_percentile_of_the_replies() -> None:
    replies = {0: {FAST: 94, SLOW: 6}, 1: {FAST: 94, SLOW: 6}, 2: {FAST: 94, SLOW: 6}}
    assert look(HedgeTimes(BOUNDS), replies, hedge_percentile=94) == dict.fromkeys(range(3), FAST_S)
    assert look(HedgeTimes(BOUNDS), replies) == dict.fromkeys(range(3), BOUNDS[SLOW])


def test_a_slow_server_does_not_raise_the_time() -> None:
    replies = {0: {SLOW: 100}, 1: {FAST: 100}, 2: {FAST: 100}}
    assert look(HedgeTimes(BOUNDS), replies) == dict.fromkeys(range(3), FAST_S)


@pytest.mark.parametrize(
    ("bucket", "options", "expected"),
    [
        (bucket_of(0.0001), {}, FLOOR_S),
        (bucket_of(30.0), {}, 0.5),  # the reply timeout
        (FAST, {"hedge_percentile": 0.0}, FLOOR_S),
        (FAST, {"hedge_after_s": 0.02}, 0.02),
    ],
)
def test_the_time_has_bounds(bucket: int, options: dict[str, float], expected: float) -> None:
    replies = {server: {bucket: 100} for server in range(3)}
    assert look(HedgeTimes(BOUNDS), replies, **options) == dict.fromkeys(range(3), expected)


def test_few_replies_prove_nothing() -> None:
    times = HedgeTimes(BOUNDS)
    assert look(times, {0: {FAST: 49}}) == {}
    assert look(times, {0: {FAST: 50}}) == dict.fromkeys(range(3), FAST_S)


def test_a_fixed_time_needs_no_replies() -> None:
    assert look(HedgeTimes(BOUNDS), {}, hedge_percentile=0) == dict.fromkeys(range(3), FLOOR_S)


def test_only_changes_are_told_and_only_later_replies_count() -> None:
    times = HedgeTimes(BOUNDS)
    look(times, {0: {FAST: 1000}})
    assert look(times, {0: {FAST: 2000}}) == {}
    assert look(times, {0: {FAST: 2000, SLOW: 60}}) == dict.fromkeys(range(3), BOUNDS[SLOW])


def test_a_server_that_no_pool_hedges_any_more_is_told_so() -> None:
    times = HedgeTimes(BOUNDS)
    look(times, {0: {FAST: 100}})
    assert times.look({}, []) == dict.fromkeys(range(3), 0.0)
    assert times.look({}, []) == {}


def test_another_server_under_the_id_begins_without_a_time() -> None:
    times = HedgeTimes(BOUNDS)
    look(times, {0: {FAST: 100}, 1: {FAST: 100}})
    times.reset(0)
    assert look(times, {1: {FAST: 100}}) == {0: FAST_S}


def test_a_server_of_two_pools_has_the_lesser_time() -> None:
    pools = [
        HedgedPool(pool(hedge_after_s=0.05, hedge_percentile=0), (0, 1)),
        HedgedPool(pool(hedge_after_s=0.01, hedge_percentile=0), (1, 2)),
    ]
    assert HedgeTimes(BOUNDS).look({}, pools) == {0: 0.05, 1: 0.01, 2: 0.01}


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"hedge_after_s": -1.0}, "pools.main.hedge_after_s"),
        ({"hedge_after_s": float("nan")}, "pools.main.hedge_after_s"),
        ({"hedge_percentile": 101.0}, "pools.main.hedge_percentile"),
    ],
)
def test_bad_options_are_named(options: dict[str, float], place: str) -> None:
    with pytest.raises(ConfigError, match=place):
        pool(**options)


def test_the_share_is_one_of_requests() -> None:
    with pytest.raises(ConfigError, match=r"retry\.hedge_share"):
        compile_plan(Replicate(pool()), hedge_share=1.1)


def test_explain_says_that_reads_are_hedged() -> None:
    assert "until a hit, hedged" in str(explain(compile_plan(Replicate(pool())), b"k"))
    assert "hedged" not in str(explain(compile_plan(Replicate(pool())), b"k", "gets"))
    assert "hedged" not in str(explain(compile_plan(Replicate(pool(hedge_after_s=0.0))), b"k"))
