"""Histograms: a bucket for every duration, and what can be read back from them."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute._engine.histograms import BOUNDS, bucket_of
from mcroute._engine.snapshots import Latencies

LARGEST = 2**26 / 1e6
durations = st.floats(0, 2 * LARGEST)


def latencies(*seconds: float) -> Latencies:
    counts: dict[int, int] = {}
    for each in seconds:
        counts[bucket_of(each)] = counts.get(bucket_of(each), 0) + 1
    return Latencies(counts, sum(seconds))


def test_bounds_rise_by_at_most_an_eighth():
    finite = BOUNDS[:-1]
    assert (finite[0], finite[-1], BOUNDS[-1]) == (1e-6, LARGEST, math.inf)
    for below, above in itertools.pairwise(finite):
        assert 0 < above - below <= max(1.000001e-6, below / 8 * 1.000001)


@pytest.mark.parametrize("micros", [2**n for n in range(26)])
def test_powers_of_two_are_bounds(micros):
    bucket = bucket_of(micros / 1e6)
    assert BOUNDS[bucket - 1] == micros / 1e6
    assert bucket_of((micros - 0.5) / 1e6) == bucket - 1


@given(durations)
def test_a_duration_is_below_its_bound_and_not_below_the_one_before(seconds):
    bucket = bucket_of(seconds)
    # The microsecond that a bound stands for is rounded as the duration is.
    assert seconds < BOUNDS[bucket] * (1 + 1e-12)
    assert bucket == 0 or seconds >= BOUNDS[bucket - 1] * (1 - 1e-12)


@pytest.mark.parametrize("seconds", [-1.0, -1e-12, 0.0])
def test_time_that_seems_to_go_back_is_no_time(seconds):
    assert bucket_of(seconds) == 0


@pytest.mark.parametrize("seconds", [LARGEST, 1e9, math.inf, math.nan])
def test_what_takes_forever_has_a_bucket(seconds):
    assert bucket_of(seconds) == len(BOUNDS) - 1


@given(st.lists(st.floats(8e-6, LARGEST * 0.99), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_near_the_value_itself(seconds, share):
    exact = sorted(seconds)[math.ceil(share * len(seconds)) - 1]
    assert latencies(*seconds).quantile(share) == pytest.approx(exact, rel=0.0625, abs=1e-6)


@given(st.lists(durations), st.lists(durations))
def test_a_sum_is_what_one_would_have_counted(one, other):
    both = latencies(*one) + latencies(*other)
    assert both.counts == latencies(*one, *other).counts
    assert both.sum_s == pytest.approx(sum(one) + sum(other))
    assert both.count == len(one) + len(other)


@given(st.lists(durations), st.integers(0, 25))
def test_what_is_below_a_bound_is_counted_exactly(seconds, power):
    bound = 2**power / 1e6
    below = sum(int(each * 1e6) < 2**power for each in seconds)
    assert latencies(*seconds).below(bound) == below


def test_nothing_has_no_quantile():
    assert (Latencies().quantile(0.99), Latencies().count) == (0.0, 0)
    assert latencies(100).quantile(0.5) == LARGEST
