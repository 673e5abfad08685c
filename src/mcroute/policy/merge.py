"""Which outcome is answered when copies disagree: one table, command group x outcome -> rank, least wins.

The rule behind the rows: answer what leaves the client believing the least that is false. Where a failure
may hide an executed write, it is told before failures which cannot.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from .nodes import Group, Outcome

__all__ = ("MERGE_ORDER", "merge", "merge_table")

O = Outcome  # noqa: E741  a table is read better in short words

# Failures of a read are all the same to the client; what a server itself said explains most.
_READ_FAILED = (O.REFUSED_BY_SERVER, O.TIMEOUT, O.OVERLOADED, O.LOST, O.EJECTED)
# After TIMEOUT and LOST a write may have been executed, after the others certainly not.
_WRITE_FAILED = (O.TIMEOUT, O.LOST, O.REFUSED_BY_SERVER, O.OVERLOADED, O.EJECTED)

_READ = (O.HIT, O.NUMBER, O.OK, O.STORED, O.TOUCHED, O.EXISTS, O.DELETED, O.NOT_STORED, O.NOT_FOUND, O.MISS)

# Best first; the outcomes that a group cannot have stand in the middle, so that every row is whole.
MERGE_ORDER: dict[Group, tuple[Outcome, ...]] = {
    # A copy that has the value is right and one that misses has lost it; any answer beats a failure.
    Group.READ: _READ + _READ_FAILED,
    Group.READ_CAS: _READ + _READ_FAILED,
    # Touched somewhere with a value is a hit, as for a read; but it writes, and its failures are a write's.
    Group.READ_TOUCH: _READ + _WRITE_FAILED,
    # A copy holds the value: it can be read from there. Whether enough copies do is the node's `least`.
    Group.STORE: (
        O.STORED, O.OK, O.NUMBER, O.TOUCHED, O.DELETED, O.HIT,
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        *_WRITE_FAILED,
    ),
    # A refusal beats success: an add is used as a lock and a cas as a vote, and of two clients which each won
    # one copy neither may believe that it won.
    Group.STORE_IF: (
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        O.STORED, O.OK, O.NUMBER, O.TOUCHED, O.DELETED, O.HIT,
        *_WRITE_FAILED,
    ),
    # It was there, and is gone; copies without it had nothing to delete.
    Group.DELETE: (
        O.DELETED, O.OK, O.STORED, O.HIT, O.NUMBER, O.TOUCHED,
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        *_WRITE_FAILED,
    ),
    # The copy that has a number has counted; one that has none has lost it.
    Group.ARITHMETIC: (
        O.NUMBER, O.STORED, O.HIT, O.OK, O.TOUCHED, O.DELETED,
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        *_WRITE_FAILED,
    ),
    # A copy that lives on with the new time is what a read will find.
    Group.TOUCH: (
        O.TOUCHED, O.HIT, O.STORED, O.OK, O.NUMBER, O.DELETED,
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        *_WRITE_FAILED,
    ),
    # Servers which flushed answer OK; that all of them did is the node's `least`.
    Group.FLUSH: (
        O.OK, O.STORED, O.DELETED, O.TOUCHED, O.NUMBER, O.HIT,
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        *_WRITE_FAILED,
    ),
}  # fmt: skip


@cache
def merge_table() -> tuple[tuple[int, ...], ...]:
    """The table as `Plan.merge` wants it: [group][outcome] -> rank."""
    return tuple(tuple(MERGE_ORDER[group].index(outcome) for outcome in Outcome) for group in Group)


def merge(group: Group, outcomes: Iterable[Outcome]) -> Outcome:
    """The one outcome of several that is answered. Raises ValueError for none."""
    return min(outcomes, key=MERGE_ORDER[group].index)
