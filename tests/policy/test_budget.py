"""The retry budget: a share of requests plus a floor, never more than its capacity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute.policy import RetryBudget


def test_a_fifth_of_requests_may_be_retried():
    budget = RetryBudget(share=0.25, floor_per_s=0, capacity=10)
    while budget.take(0):
        pass
    budget.request(8)
    assert [budget.take(0) for _ in range(3)] == [True, True, False]


def test_time_adds_the_floor():
    budget = RetryBudget(share=0, floor_per_s=10, capacity=1)
    assert [budget.take(0), budget.take(0), budget.take(0.05), budget.take(0.1)] == [True, False, False, True]


def test_time_that_goes_backwards_adds_nothing():
    budget = RetryBudget(share=0, floor_per_s=10, capacity=1)
    assert [budget.take(5), budget.take(1), budget.take(5)] == [True, False, False]


def test_negative_values_are_refused():
    with pytest.raises(ValueError, match="at least 0"):
        RetryBudget(share=-1)


steps = st.tuples(st.sampled_from(["request", "take"]), st.floats(-1e3, 1e6))


@given(st.floats(0, 2), st.floats(0, 1e3), st.floats(0, 1e3), st.lists(steps))
def test_the_bucket_stays_within_its_bounds(share, floor, capacity, script):
    budget = RetryBudget(share, floor, capacity)
    for verb, now in script:
        if verb == "request":
            budget.request()
        else:
            budget.take(now)
        assert 0 <= budget.available(now) <= capacity
