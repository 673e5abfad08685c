"""A server's record: the table, the growing wait, the memory of flapping."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute.policy.health import TRANSITIONS, Event, Health, HealthSettings, State

SETTINGS = HealthSettings(jitter=0.0)


def run(health, *script, settings=SETTINGS):
    for event, now in script:
        health = health.after(event, now, settings, Random(1))
    return health


def returned_at(now):
    """Events of a whole return."""
    stages = (Event.RETRY_DUE, Event.PROBE_ANSWERED, Event.FENCED, Event.FLUSH_NEEDED, Event.FLUSHED)
    return [(event, now) for event in stages]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_state_meets_every_event_as_the_table_says(state, event):
    before = Health(state)
    after = run(before, (event, 5.0))
    assert after.state is TRANSITIONS[state].get(event, state)
    assert after is before or after.since == 5.0


def test_a_trip_takes_a_server_out_from_everywhere_but_ejected():
    for state in set(State) - {State.EJECTED}:
        assert TRANSITIONS[state][Event.TRIPPED] is State.EJECTED


def test_the_wait_grows_up_to_its_cap():
    health = run(Health(), (Event.TRIPPED, 0.0))
    waits = []
    for _ in range(7):
        waits.append(health.due_at - health.since)
        health = run(health, (Event.RETRY_DUE, health.due_at), (Event.PROBE_FAILED, health.due_at))
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_a_server_that_fails_soon_after_its_return_waits_longer():
    health = run(Health(), (Event.TRIPPED, 0.0), *returned_at(1.0), (Event.TRIPPED, 2.0))
    assert health.due_at - health.since == 2.0


def test_a_return_that_lasts_is_forgiven():
    health = run(Health(), (Event.TRIPPED, 0.0), *returned_at(1.0), (Event.TRIPPED, 100.0))
    assert health.due_at - health.since == 1.0


def test_only_ejections_and_returns_are_changes():
    assert Health().changed_at is None
    tripped = run(Health(), (Event.TRIPPED, 1.0))
    again = run(tripped, (Event.RETRY_DUE, 2.0), (Event.PROBE_FAILED, 3.0), (Event.RETRY_DUE, 4.0))
    assert (again.since, again.changed_at) == (4.0, 1.0)
    held = run(tripped, *returned_at(5.0)[:-1], (Event.HELD, 5.0))
    assert (held.state, held.changed_at) == (State.EJECTED, 1.0)
    assert run(tripped, *returned_at(6.0)).changed_at == 6.0


def test_a_very_long_row_of_failures_does_not_overflow():
    assert HealthSettings(jitter=0).retry_delay(100_000, Random(1)) == 30.0


@given(st.integers(0, 10_000), st.integers())
def test_the_jitter_only_shortens_and_at_most_by_its_share(attempt, seed):
    full = SETTINGS.retry_delay(attempt, Random(seed))
    assert full / 2 <= HealthSettings(jitter=0.5).retry_delay(attempt, Random(seed)) <= full


@given(st.lists(st.tuples(st.sampled_from(Event), st.floats(0, 10)), max_size=60))
def test_no_script_leaves_the_table(script):
    health, now = Health(), 0.0
    for event, passed in script:
        now += passed
        before, health = health, health.after(event, now, SETTINGS, Random(0))
        assert health is before or health.state is TRANSITIONS[before.state][event]
        # Every server that is not UP has a due time: none stays out for ever, unless it is taken down.
        if event is not Event.TAKEN_DOWN:
            assert before.due_at is None or (health.due_at is None) == (health.state is State.UP)
