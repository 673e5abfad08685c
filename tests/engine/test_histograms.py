"""Histograms: a bucket for every duration, and what can be read back from them."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from fractions import Fraction

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


# Microseconds, by the layout's definition alone.
EXACT = [*range(1, 16), *(eighth << shift for shift in range(1, 23) for eighth in range(8, 16)), 1 << 26]


def nearest(micros: int) -> float:
    """The double that is nearest to so many microseconds, found without an operation on doubles."""
    exact = Fraction(micros, 10**6)
    shift = 53
    while exact * 2**shift >= 2**53:
        shift -= 1
    while exact * 2**shift < 2**52:
        shift += 1
    return math.ldexp(round(exact * 2**shift), -shift)


def test_bounds_are_the_doubles_that_are_nearest_to_their_microseconds():
    assert len(BOUNDS) == len(EXACT) + 1
    for bound, micros in zip(BOUNDS, EXACT, strict=False):
        assert Fraction(bound) == Fraction(nearest(micros))


def test_every_bound_and_its_neighbours_are_in_their_buckets():
    tick = 2.0**-37
    for number, bound in enumerate(BOUNDS[:-1]):
        assert [bucket_of(each) for each in (bound, math.nextafter(bound, math.inf), bound - 2 * tick)] == [
            number + 1,
            number + 1,
            number,
        ]


@given(st.one_of(durations, st.sampled_from(EXACT).map(nearest)), st.integers(-3, 3))
def test_a_bucket_is_the_one_of_exact_integers(seconds, steps):
    for _ in range(abs(steps)):
        seconds = math.nextafter(seconds, math.copysign(math.inf, steps))
    # To the next tick, then down to the microsecond.
    ticks = Fraction(seconds) * 2**37 // 1 + 1
    micros = ticks * 10**6 // 2**37 if seconds > 0 else 0
    expected = bisect_right(EXACT, micros) if seconds < LARGEST else len(EXACT)
    assert bucket_of(seconds) == expected


@given(durations)
def test_a_duration_is_below_its_bound_and_not_below_the_one_before(seconds):
    bucket = bucket_of(seconds)
    assert seconds < BOUNDS[bucket]
    assert bucket == 0 or seconds >= BOUNDS[bucket - 1] - 2.0**-37


@pytest.mark.parametrize("seconds", [-1.0, -1e-12, 0.0])
def test_time_that_seems_to_go_back_is_no_time(seconds):
    assert bucket_of(seconds) == 0


@pytest.mark.parametrize("seconds", [LARGEST, 1e9, math.inf, math.nan])
def test_an_endless_latency_has_a_bucket(seconds):
    assert bucket_of(seconds) == len(BOUNDS) - 1


@given(st.lists(st.floats(8e-6, LARGEST * 0.99), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_near_the_value_itself(seconds, share):
    exact = sorted(seconds)[math.ceil(share * len(seconds)) - 1]
    assert latencies(*seconds).quantile(share) == pytest.approx(exact, rel=0.0625, abs=1e-6)


@given(st.lists(durations), st.lists(durations))
def test_a_sum_of_histograms_equals_one_that_counts_both(one, other):
    both = latencies(*one) + latencies(*other)
    assert both.counts == latencies(*one, *other).counts
    assert both.sum_s == pytest.approx(sum(one) + sum(other))
    assert both.count == len(one) + len(other)


@given(st.lists(durations), st.integers(0, 25))
def test_latencies_below_a_bound_are_counted_exactly(seconds, power):
    bound = 2**power / 1e6
    below = sum((Fraction(each) * 2**37 // 1 + 1) * 10**6 // 2**37 < 2**power for each in seconds)
    assert latencies(*seconds).below(bound) == below


def test_nothing_has_no_quantile():
    assert (Latencies().quantile(0.99), Latencies().count) == (0.0, 0)
    assert latencies(100).quantile(0.5) == LARGEST
