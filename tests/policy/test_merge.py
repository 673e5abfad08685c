"""The merging table: whole, and right where copies disagree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcroute.policy import Group, Outcome, merge, merge_table, missed_table
from mcroute.policy.merge import MERGE_ORDER, MISSED_WRITE


def test_every_row_ranks_every_outcome_once():
    assert list(MERGE_ORDER) == list(Group)
    for row in merge_table():
        assert sorted(row) == list(range(len(Outcome)))


@pytest.mark.parametrize(
    ("group", "outcomes", "answer"),
    [
        ("READ", "MISS HIT", "HIT"),
        ("READ", "TIMEOUT MISS", "MISS"),
        ("READ_CAS", "EJECTED HIT", "HIT"),
        ("STORE", "TIMEOUT STORED", "STORED"),
        ("STORE", "REFUSED_BY_SERVER STORED", "STORED"),
        ("STORE", "REFUSED_BY_SERVER TIMEOUT", "TIMEOUT"),
        ("STORE", "EJECTED LOST", "LOST"),
        ("STORE_IF", "STORED NOT_STORED", "NOT_STORED"),
        ("STORE_IF", "STORED EXISTS", "EXISTS"),
        ("STORE_IF", "STORED LOST", "STORED"),
        ("DELETE", "NOT_FOUND DELETED", "DELETED"),
        ("DELETE", "NOT_FOUND TIMEOUT", "NOT_FOUND"),
        ("ARITHMETIC", "NOT_FOUND NUMBER", "NUMBER"),
        ("TOUCH", "NOT_FOUND TOUCHED EJECTED", "TOUCHED"),
        ("FLUSH", "LOST OK", "OK"),
    ],
)
def test_the_answer_of_disagreeing_copies(group, outcomes, answer):
    assert merge(Group[group], [Outcome[o] for o in outcomes.split()]) is Outcome[answer]


@given(st.sampled_from(Group), st.lists(st.sampled_from(Outcome), min_size=1))
def test_the_order_of_replies_does_not_matter_and_any_answer_beats_failure(group, outcomes):
    answer = merge(group, outcomes)
    assert answer is merge(group, reversed(outcomes))
    assert (answer >= Outcome.REFUSED_BY_SERVER) == all(o >= Outcome.REFUSED_BY_SERVER for o in outcomes)


@pytest.mark.parametrize("group", list(Group))
def test_the_outcomes_by_which_a_copy_has_missed_a_write(group):
    missed = {outcome for outcome in Outcome if missed_table()[group] >> outcome & 1}
    assert missed == MISSED_WRITE[group]
    assert missed >= {Outcome.EJECTED, Outcome.LOST, Outcome.OVERLOADED}
    assert Outcome.TIMEOUT not in missed
    assert (Outcome.REFUSED_BY_SERVER in missed) == (group is Group.DELETE)
    assert all(outcome >= Outcome.REFUSED_BY_SERVER for outcome in missed)
