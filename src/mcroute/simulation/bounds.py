"""Laws about what happened beside the values: replies, times, copies, the number of requests and of turns.

The numbers are those of docs/simulation.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ..policy import Cause, Plan
from ..policy.causes import OUTLYING
from ..policy.nodes import Ask
from .history import Call, Result
from .protocol_sender import MisplacedReply
from .violation import Violation
from .world import Outcome, Scenario

__all__ = ("other_violations",)

READS = ("get", "get_many", "gets", "gat")
# Causes that must leave one server of a pool in service.
FAILING = OUTLYING | {Cause.FAILURES, Cause.MISSED_WRITE, Cause.UNREACHABLE, Cause.LOST_WRITES, Cause.KEPT}
# A request ends within its deadline and this, in seconds.
DEADLINE_SLACK_S = 0.05
# Of each router, at each server: requests a second of its own (probes, replays), and connections a second.
OWN_REQUESTS_PER_S, CONNECTIONS_PER_S = 20, 20
# And those with which it begins, in seconds of these rates.
BEGIN_S = 2.0
# For each request that a route may send for one call: the retries' share comes on top.
RETRIES = 1.2
# Steps of the loop in one second: of an idle process, and for each call of a client.
IDLE_STEPS, STEPS_OF_CALL = 5000, 200


def other_violations(scenario: Scenario, outcome: Outcome) -> Iterator[Violation]:
    calls = outcome.history.calls
    yield from _check_replies(calls)
    yield from _check_misses(scenario, outcome)
    yield from _check_copies(scenario, outcome)
    yield from _check_deadlines(scenario, calls)
    yield from _check_pools(outcome)
    yield from _check_requests(scenario, outcome)
    yield from _check_steps(outcome)
    yield from _check_end(scenario, outcome)


# ---- replies ----


def _check_replies(calls: Iterable[Call]) -> Iterator[Violation]:
    for call in calls:
        if call.what.startswith(MisplacedReply.__name__):
            yield Violation("misplaced reply", f"{call.kind} {call.key}: {call.what}", call.key, (call,))


def _check_misses(scenario: Scenario, outcome: Outcome) -> Iterator[Violation]:
    """A read misses only if one of the key's servers, in any configuration, replied meanwhile."""
    owners: dict[str, set[str]] = {}
    for call in outcome.history.calls:
        if call.result is not Result.MISS or call.kind not in READS:
            continue
        if call.key not in owners:
            plans = (scenario.plan, *scenario.other_plans)
            owners[call.key] = {name for plan in plans for own in _owners(plan, call.key) for name in own}
        if not any(_has_replied(outcome.replied.get(name, ()), call) for name in owners[call.key]):
            text = f"{call.kind} {call.key} missed, and none of its servers replied"
            yield Violation("invented miss", text, call.key, (call,))


def _has_replied(times: Sequence[float], call: Call) -> bool:
    first = bisect_left(times, call.begun_at)
    return first < len(times) and times[first] <= call.ended_at


def _owners(plan: Plan, key: str) -> Iterator[list[str]]:
    """The names of the key's servers in each pool."""
    for index, pool in enumerate(plan.pools):
        ranks = [node.rank for node in plan.nodes if isinstance(node, Ask) and node.pool == index]
        if ranks and index not in plan.parts:
            yield [pool.servers[number].name for number in pool.ring().owners(key, max(ranks) + 1)]


def _check_copies(scenario: Scenario, outcome: Outcome) -> Iterator[Violation]:
    """At the end, the copies of a key in one pool are equal, or missing. Two routers may differ."""
    if scenario.proxies + scenario.embedded != 1 or scenario.workload is not None:
        return
    for key in dict.fromkeys(operation.key for operation in scenario.operations):
        for own in _owners(scenario.plan, key):
            stored = {outcome.contents.get(name, {}).get(key.encode()) for name in own} - {None}
            if len(stored) > 1:
                yield Violation("diverged copies", f"{key} differs between {', '.join(own)}", key)


# ---- times ----


def _check_deadlines(scenario: Scenario, calls: Iterable[Call]) -> Iterator[Violation]:
    limit_s = max(pool.deadline_s for pool in scenario.plan.pools) + DEADLINE_SLACK_S
    for call in calls:
        if call.ended_at - call.begun_at > limit_s:
            text = f"{call.kind} {call.key} took {call.ended_at - call.begun_at:.3f} s"
            yield Violation("late answer", text, call.key, (call,))


# ---- servers ----


def _check_pools(outcome: Outcome) -> Iterator[Violation]:
    for ejected in outcome.ejections:
        if ejected.serving == 0 and ejected.causes <= FAILING:
            text = f"all {ejected.size} servers of {ejected.pool} are out for {ejected.router}"
            yield Violation("empty pool", text)


def _check_requests(scenario: Scenario, outcome: Outcome) -> Iterator[Violation]:
    """The requests and connections of all routers are bounded by those of the clients, and by the time."""
    pairs = (scenario.proxies + scenario.embedded) * len(scenario.plan.servers)
    took_s = outcome.ended_at - outcome.begun_at + BEGIN_S
    asks = sum(isinstance(node, Ask) for node in scenario.plan.nodes)
    most = RETRIES * asks * len(outcome.history.calls) + OWN_REQUESTS_PER_S * took_s * pairs
    if outcome.turns > most:
        yield Violation("request storm", f"servers were asked {outcome.turns} times, at most {most:.0f}")
    most = CONNECTIONS_PER_S * took_s * pairs
    if outcome.accepts > most:
        yield Violation("request storm", f"{outcome.accepts} connections were made, at most {most:.0f}")


def _check_steps(outcome: Outcome) -> Iterator[Violation]:
    """No process runs in a loop while nothing happens."""
    calls: Counter[int] = Counter()
    for call in outcome.history.calls:
        calls.update(range(int(call.begun_at), int(call.ended_at) + 1))
    for second, steps in outcome.steps.items():
        if steps > IDLE_STEPS + STEPS_OF_CALL * calls[second]:
            yield Violation("busy loop", f"{steps} steps and {calls[second]} calls in second {second}")


def _check_end(scenario: Scenario, outcome: Outcome) -> Iterator[Violation]:
    for failure in outcome.failures:
        yield Violation("exception", failure)
    for server in outcome.unsettled:
        yield Violation("not back", f"{server} is still out {scenario.settle_s:g} s after the last fault")
