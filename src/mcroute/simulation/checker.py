"""Checks what clients read. Every value names its write, so one pass over each key is enough.

The numbers are those of docs/simulation.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

from ..policy import Limits
from .bounds import other_violations
from .history import Call, Result, first_count, read_value
from .violation import Violation
from .world import Outcome, Scenario

__all__ = ("Violation", "violations")

READS = ("get", "get_many", "gets", "gat")
WRITES = ("set", "add", "replace", "cas")
# A second-grained lifetime may end one second late; more for the time that a request takes.
TTL_SLACK_S = 1.1
# A reload takes no longer, in seconds.
RELOAD_MAX_S = 10.0
# Another router that copies a key sees within two hold-offs that its source has changed (decision 0021).
COPIED_MAX_S = 2 * Limits().refill_hold_off_s + 1.0


def violations(scenario: Scenario, outcome: Outcome) -> list[Violation]:
    """All violations of laws that the scenario is not exempt from, those of values first."""
    found: list[Violation] = []
    run = _Run(
        _reloads(scenario, outcome),
        [(outcome.begun_at + f.at_s, outcome.begun_at + f.at_s + f.for_s) for f in scenario.faults],
        COPIED_MAX_S if scenario.proxies + scenario.embedded > 1 else 0.0,
    )
    by_key: defaultdict[str, list[Call]] = defaultdict(list)
    for call in outcome.history.calls:
        by_key[call.key].append(call)
    for key, calls in by_key.items():
        if calls[0].operation.is_counter:
            found += _check_counter(key, calls)
        else:
            found += _Key(key, calls, run).check()
    found += other_violations(scenario, outcome)
    return [violation for violation in found if violation.law not in scenario.exempt]


def _reloads(scenario: Scenario, outcome: Outcome) -> dict[str, list[float]]:
    """The times, by router, from which other servers may own a key."""
    reloads: defaultdict[str, list[float]] = defaultdict(list)
    for fault in scenario.faults:
        if fault.kind == "reload":
            begins_at = outcome.begun_at + fault.at_s
            reloads[fault.target] += (begins_at, begins_at + fault.for_s)
    return reloads


class _Run(NamedTuple):
    """What the laws of values need to know of a run.

    These are the times of other configurations, by router; begin and end of each fault; and for how long
    after a write an older value may be read that another router has copied.
    """

    reloads: Mapping[str, list[float]]
    faults: list[tuple[float, float]]
    copied_s: float


class _Key:
    """The calls of one key."""

    def __init__(self, key: str, calls: list[Call], run: _Run) -> None:
        self.key = key
        self.run = run
        self.calls = calls
        self.writes = {call.operation.number: call for call in calls if call.kind in WRITES}
        # Calls after which no earlier value may be read, by router, in the order of their ends.
        self.settled: defaultdict[str, list[Call]] = defaultdict(list)
        for call in calls:
            if _is_settled(call):
                self.settled[call.router].append(call)
        for own in self.settled.values():
            own.sort(key=attrgetter("ended_at"))
        # The latest begin among the settled calls up to each, so that one lookup finds a witness.
        self._latest = {router: list(_running_latest(own)) for router, own in self.settled.items()}

    def check(self) -> Iterator[Violation]:
        for call in self.calls:
            if call.kind in READS and call.result is Result.OK:
                yield from self._check_read(call)
        yield from self._check_tokens()

    def _check_read(self, read: Call) -> Iterator[Violation]:
        named = read_value(read.value)
        if named is None:
            yield Violation("torn value", f"{self.key} read as {read.value[:60]!r}", self.key, (read,))
            return
        key, number = named
        write = self.writes.get(number)
        if key != self.key or write is None:
            yield Violation(
                "wrong value", f"{self.key} read with the value of {key} #{number}", self.key, (read,)
            )
            return
        yield from self._check_age(read, write)
        yield from self._check_lifetime(read, write)

    def _check_age(self, read: Call, write: Call) -> Iterator[Violation]:
        """Whether a later write through the same router was acknowledged before the read began."""
        settled = self.settled[read.router]
        before = bisect_left(settled, read.begun_at, key=attrgetter("ended_at"))
        if before == 0:
            return
        later = self._latest[read.router][before - 1]
        if later is write or later.begun_at <= write.ended_at:
            return
        # Another router's write may be late at a server that only that router knows to be behind. A key may
        # move with a configuration, and back: docs/operations.md, "A reload does not move values".
        has_moved = any(
            write.begun_at - RELOAD_MAX_S < time < later.ended_at
            for time in self.run.reloads.get(read.router, ())
        )
        may_be_copied = read.begun_at < later.ended_at + self.run.copied_s
        if write.router == read.router and not has_moved and not may_be_copied:
            yield Violation(
                "stale value",
                f"{self.key} read with the value of #{write.operation.number} after {later.kind} "
                f"#{later.operation.number} was acknowledged",
                self.key,
                (write, later, read),
            )

    def _check_lifetime(self, read: Call, write: Call) -> Iterator[Violation]:
        if not write.operation.ttl_s:
            return
        extended = [c for c in self.calls if c.kind in ("gat", "touch") and c.begun_at < read.ended_at]
        # A call that failed may have been executed late, and its lifetime begins then.
        if any(not c.operation.ttl_s or c.result is Result.FAILED for c in (write, *extended)):
            return
        ends = [self._executed_at(c) + c.operation.ttl_s for c in (write, *extended)]
        if read.begun_at > max(ends) + TTL_SLACK_S:
            yield Violation("expired value", f"{self.key} read after its lifetime", self.key, (write, read))

    def _executed_at(self, call: Call) -> float:
        """The latest time at which a copy may have executed the call: after the faults that held it up."""
        ends = (ends for begins, ends in self.run.faults if begins <= call.ended_at and ends >= call.begun_at)
        return max((call.ended_at, *ends))

    def _check_tokens(self) -> Iterator[Violation]:
        """Of the compare-and-swaps whose gets saw one value, at most one succeeds.

        A memcached that was restarted gives the numbers of its earlier tokens again: those are others.
        """
        winners: defaultdict[tuple[str, int], list[Call]] = defaultdict(list)
        for call in self.calls:
            if call.kind != "cas" or call.result is not Result.OK:
                continue
            others = winners[call.router, call.token]
            for other in others:
                if other.seen_at < call.ended_at and call.seen_at < other.ended_at:
                    text = f"two cas of {self.key} succeeded with the token {call.token}"
                    yield Violation("token used twice", text, self.key, (other, call))
            others.append(call)


def _is_settled(call: Call) -> bool:
    """Whether earlier values must not be read any more once the call has ended."""
    if call.kind in WRITES:
        return call.result is Result.OK
    return call.kind == "delete" and call.result in (Result.OK, Result.MISS)


def _running_latest(calls: Iterable[Call]) -> Iterator[Call]:
    """For each call, the one among it and those before that began last."""
    latest: Call | None = None
    for call in calls:
        if latest is None or call.begun_at > latest.begun_at:
            latest = call
        yield latest


def _check_counter(key: str, calls: list[Call]) -> Iterator[Violation]:
    """A number that was read or returned is the counter's: not above its increments that began before."""
    begun, first = sorted(call.begun_at for call in calls if call.kind == "incr"), first_count(key)
    for call in calls:
        if call.result is Result.OK and call.value:
            most = bisect_left(begun, call.ended_at)
            if not call.value.strip().isdigit() or not 0 <= int(call.value) - first <= most:
                text = f"{key} is {call.value[:30]!r} after {most} increments from {first} on"
                yield Violation("invented count", text, key, (call,))
