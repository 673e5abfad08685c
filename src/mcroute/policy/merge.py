"""The outcome to answer when copies disagree: one table, command group x outcome -> rank, least wins.

The rule behind the rows: the client should believe as little as possible that is false. A failure
that may hide an executed write wins over failures that cannot.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from .nodes import Group, Outcome

__all__ = ("MERGE_ORDER", "MISSED_WRITE", "merge", "merge_table", "missed_table")

O = Outcome  # noqa: E741  a table is read better in short words

# Failures of a read are equivalent for the client; a server's own words explain most.
_READ_FAILED = (O.REFUSED_BY_SERVER, O.TIMEOUT, O.OVERLOADED, O.LOST, O.EJECTED)
# After TIMEOUT and LOST a write may have been executed; after the others it was not.
_WRITE_FAILED = (O.TIMEOUT, O.LOST, O.REFUSED_BY_SERVER, O.OVERLOADED, O.EJECTED)

_READ = (O.HIT, O.NUMBER, O.OK, O.STORED, O.TOUCHED, O.EXISTS, O.DELETED, O.NOT_STORED, O.NOT_FOUND, O.MISS)

# Best first; outcomes that a group cannot have are in the middle, so that every row is complete.
MERGE_ORDER: dict[Group, tuple[Outcome, ...]] = {
    # A copy that has the value is right, a copy that misses has lost it; any answer beats a failure.
    Group.READ: _READ + _READ_FAILED,
    Group.READ_CAS: _READ + _READ_FAILED,
    # A touched value is a hit, as for a read; but the command writes, and its failures are a write's.
    Group.READ_TOUCH: _READ + _WRITE_FAILED,
    # A copy holds the value, and reads find it there. The node's `least` decides whether enough copies do.
    Group.STORE: (
        O.STORED, O.OK, O.NUMBER, O.TOUCHED, O.DELETED, O.HIT,
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        *_WRITE_FAILED,
    ),
    # A refusal beats success: clients use an add as a lock and a cas as a vote. Of two clients that each won
    # one copy, neither may believe that it won.
    Group.STORE_IF: (
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        O.STORED, O.OK, O.NUMBER, O.TOUCHED, O.DELETED, O.HIT,
        *_WRITE_FAILED,
    ),
    # The key existed, and is deleted; copies without it had nothing to delete.
    Group.DELETE: (
        O.DELETED, O.OK, O.STORED, O.HIT, O.NUMBER, O.TOUCHED,
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        *_WRITE_FAILED,
    ),
    # The copy that has a number has counted; a copy without it has lost the number.
    Group.ARITHMETIC: (
        O.NUMBER, O.STORED, O.HIT, O.OK, O.TOUCHED, O.DELETED,
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        *_WRITE_FAILED,
    ),
    # Reads will find the copy with the new time.
    Group.TOUCH: (
        O.TOUCHED, O.HIT, O.STORED, O.OK, O.NUMBER, O.DELETED,
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        *_WRITE_FAILED,
    ),
    # Flushed servers answer OK; the node's `least` requires all of them.
    Group.FLUSH: (
        O.OK, O.STORED, O.DELETED, O.TOUCHED, O.NUMBER, O.HIT,
        O.EXISTS, O.NOT_STORED, O.NOT_FOUND, O.MISS,
        *_WRITE_FAILED,
    ),
}  # fmt: skip


# Not done: the copy holds an older value than a copy that did the write.
_NOT_DONE = frozenset({O.EJECTED, O.LOST, O.OVERLOADED})

# The outcomes of a write that cost a copy its trust: the supervisor puts it in order before it serves again.
# Not TIMEOUT: such a write stands on the link, before all later requests. Not a refused store: the engine
# deletes the value, or the request is at fault. But a server that refuses a delete by SERVER_ERROR keeps
# the value.
MISSED_WRITE: dict[Group, frozenset[Outcome]] = {
    group: _NOT_DONE | {O.REFUSED_BY_SERVER} if group is Group.DELETE else _NOT_DONE for group in Group
}


@cache
def missed_table() -> tuple[int, ...]:
    """The table for `Plan.missed`: [group] -> a bit for each outcome in MISSED_WRITE."""
    return tuple(sum(1 << outcome for outcome in MISSED_WRITE[group]) for group in Group)


@cache
def merge_table() -> tuple[tuple[int, ...], ...]:
    """The table for `Plan.merge`: [group][outcome] -> rank."""
    return tuple(tuple(MERGE_ORDER[group].index(outcome) for outcome in Outcome) for group in Group)


def merge(group: Group, outcomes: Iterable[Outcome]) -> Outcome:
    """The one of several outcomes that is answered. Raises ValueError for none."""
    return min(outcomes, key=MERGE_ORDER[group].index)
