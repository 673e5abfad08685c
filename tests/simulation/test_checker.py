"""The checker: each law, broken and kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from mcroute.policy import Cause, Pool, Replicate, compile_plan
from mcroute.simulation.checker import violations
from mcroute.simulation.history import Call, History, Operation, Result, read_value, write_value
from mcroute.simulation.world import Ejected, Outcome, Scenario

SERVERS = ["a:1", "b:1", "c:1"]
PLAN = compile_plan(Replicate(Pool.of("main", SERVERS), copies=2))
SCENARIO = Scenario(seed=1, plan=PLAN, operations=(Operation(1, 0, 0.0, "set", "k"),))
# Servers that reply all the time.
REPLIED = {server: [number / 20 for number in range(2000)] for server in SERVERS}
OK, MISS, FAILED, DECLINED = Result.OK, Result.MISS, Result.FAILED, Result.DECLINED


def call(
    number: int, kind: str, begun: float, ended: float, result: Result = OK, *, router: str = "p",
    ttl: int = 0, of: int = -1, token: int = 0, key: str = "k", value: bytes = b"", seen: float = 0.0,
    what: str = "",
) -> Call:  # fmt: skip
    """`of` is the write whose value was read."""
    value = write_value(key, of) if of >= 0 else value
    operation = Operation(number, 0, begun, kind, key, ttl)
    return Call(operation, kind, key, router, begun, ended, result, value, token, seen, what)


def outcome(*calls: Call, **parts: object) -> Outcome:
    history = History()
    for each in sorted(calls, key=lambda each: each.ended_at):
        history.add_call(each)
    whole = Outcome(history, Counter(), 0.0, 100.0, unsettled=[], failures=[], ejections=[], contents={})
    whole.replied = REPLIED
    return replace(whole, **parts)  # type: ignore[arg-type]


COUNT = "count-0"
SHORT = call(1, "set", 1, 1.1, ttl=2)
SET1, SET2 = call(1, "set", 1, 1.1), call(2, "set", 2, 2.1)


@pytest.mark.parametrize(
    ("calls", "law"),
    [
        ([SET1, SET2, call(3, "get", 3, 3.1, of=2)], ""),
        ([SET1, SET2, call(3, "get", 3, 3.1, of=1)], "stale value"),
        # The read began before the second write was acknowledged.
        ([SET1, SET2, call(3, "get", 2.05, 2.5, of=1)], ""),
        # The writes overlap: either may be last.
        ([SET1, call(2, "set", 1.05, 2.1), call(3, "get", 3, 3.1, of=1)], ""),
        # A write that failed may have happened, and settles nothing.
        ([SET1, call(2, "set", 2, 2.1, FAILED), call(3, "get", 3, 3.1, of=1)], ""),
        ([SET1, call(2, "set", 2, 2.1, FAILED), call(3, "get", 3, 3.1, of=2)], ""),
        ([call(1, "set", 1, 1.1, FAILED), SET2, call(3, "get", 3, 3.1, of=1)], "stale value"),
        ([SET1, call(2, "delete", 2, 2.1), call(3, "get", 3, 3.1, of=1)], "stale value"),
        ([SET1, call(2, "delete", 2, 2.1, MISS), call(3, "gets", 3, 3.1, of=1)], "stale value"),
        ([SET1, call(2, "delete", 2, 2.1, FAILED), call(3, "get", 3, 3.1, of=1)], ""),
        ([SET1, call(2, "add", 2, 2.1, DECLINED), call(3, "get", 3, 3.1, of=1)], ""),
        # Another router acknowledged the second write, or the first.
        ([SET1, call(2, "set", 2, 2.1, router="q"), call(3, "get", 3, 3.1, of=1)], ""),
        ([call(1, "set", 1, 1.1, router="q"), SET2, call(3, "get", 3, 3.1, of=1)], ""),
        # A long write that began before a short one settles nothing that the short one does not.
        ([SET1, SET2, call(4, "set", 1.6, 2.5), call(3, "get", 3, 3.1, of=1)], "stale value"),
        ([SET1, call(3, "get", 3, 3.1, value=write_value("k", 1)[:-1] + b"!")], "torn value"),
        ([SET1, call(3, "get", 3, 3.1, value=b"")], "torn value"),
        ([SET1, call(3, "get", 3, 3.1, value=write_value("other", 1))], "wrong value"),
        ([SET1, call(3, "get", 3, 3.1, of=9)], "wrong value"),
        ([call(1, "set", 1, 1.1, ttl=2), call(3, "get", 3.5, 3.6, of=1)], ""),
        ([call(1, "set", 1, 1.1, ttl=2), call(3, "get", 4.5, 4.6, of=1)], "expired value"),
        ([SHORT, call(2, "touch", 2, 2.1, ttl=9), call(3, "get", 9, 9.1, of=1)], ""),
        ([SHORT, call(2, "gat", 2, 2.1, ttl=0, of=1), call(3, "get", 99, 99.1, of=1)], ""),
        ([call(n, "cas", 2, 2.1 + n / 10, token=7, seen=1.0) for n in (1, 2)], "token used twice"),
        ([call(1, "cas", 2, 2.1, token=7, seen=1.0), call(2, "cas", 4, 4.1, token=7, seen=3.0)], ""),
        ([call(1, "cas", 2, 2.1, token=7, seen=1), call(2, "cas", 2, 2.1, DECLINED, token=7, seen=1)], ""),
        ([call(1, "incr", 1, 1.1, key=COUNT, value=b"1")], ""),
        ([call(1, "incr", 1, 1.1, key=COUNT, value=b"2")], "invented count"),
        # The numbers of counters name them.
        ([call(1, "incr", 1, 1.1, key="count-2", value=b"2000001")], ""),
        ([call(1, "incr", 1, 1.1, key="count-2", value=b"1")], "invented count"),
        ([call(1, "incr", 1, 1.1, FAILED, key=COUNT), call(2, "get", 2, 2.1, key=COUNT, value=b"1")], ""),
        ([call(1, "get", 1, 9, MISS)], "late answer"),
        ([call(1, "get", 1, 1.1, FAILED, what="MisplacedReply: STORED answers get")], "misplaced reply"),
        ([call(1, "get", 1, 1.1, FAILED, what="ErrorReply: SERVER_ERROR timeout")], ""),
    ],
)  # fmt: skip
def test_a_history(calls: list[Call], law: str) -> None:
    found = violations(SCENARIO, outcome(*calls))
    assert [violation.law for violation in found] == ([law] if law else [])


def ejected(serving: int, *causes: Cause) -> Ejected:
    return Ejected(1.0, "p", "main", serving, 3, frozenset(causes))


@pytest.mark.parametrize(
    ("parts", "law"),
    [
        ({"ejections": [ejected(1, Cause.FAILURES)]}, ""),
        ({"ejections": [ejected(0, Cause.FAILURES, Cause.UNREACHABLE)]}, "empty pool"),
        # A proxy that has just begun fences all servers.
        ({"ejections": [ejected(0, Cause.FAILURES, Cause.RECALLED)]}, ""),
        ({"unsettled": ["cache-1 for p"]}, "not back"),
        ({"contents": {server: {b"k": b"v"} for server in SERVERS}}, ""),
        ({"contents": {server: {b"k": server.encode()} for server in SERVERS}}, "diverged copies"),
        ({"turns": 2 * 20 * 3 * 52}, "request storm"),
        ({"accepts": 2 * 20 * 3 * 52}, "request storm"),
        ({"accepts": 20, "turns": 100}, ""),
        ({"steps": {7: 400, 8: 4000}}, ""),
        ({"steps": {7: 40_000}}, "busy loop"),
        ({"failures": ["in a callback: KeyError()"]}, "exception"),
    ],
)
def test_the_rest_of_an_outcome(parts: dict[str, object], law: str) -> None:
    assert [violation.law for violation in violations(SCENARIO, outcome(**parts))] == ([law] if law else [])


def test_a_miss_comes_from_a_server_of_the_key() -> None:
    missed = call(1, "get", 1, 1.1, MISS)
    [owner, copy] = (SERVERS[number] for number in PLAN.pools[0].ring().owners("k", 2))
    [other] = set(SERVERS) - {owner, copy}
    for replied, laws in [
        ({owner: [1.05]}, []),
        ({copy: [0.5, 1.0, 2.0]}, []),
        ({owner: [0.9], copy: [1.2]}, ["invented miss"]),
        ({other: [1.05]}, ["invented miss"]),
    ]:
        found = violations(SCENARIO, outcome(missed, replied=replied))
        assert [violation.law for violation in found] == laws


def test_two_routers_may_write_in_two_orders() -> None:
    contents = {server: {b"k": server.encode()} for server in SERVERS}
    assert not violations(replace(SCENARIO, proxies=2), outcome(contents=contents))


def test_laws_that_a_route_does_not_promise() -> None:
    calls = SET1, SET2, call(3, "get", 3, 3.1, of=1)
    assert not violations(replace(SCENARIO, exempt=frozenset({"stale value"})), outcome(*calls))


@pytest.mark.parametrize("size", [0, 10, 100, 5000])
def test_values_name_their_writes(size: int) -> None:
    value = write_value("some-key", 42, size)
    assert read_value(value) == ("some-key", 42)
    assert len(value) >= size
    for cut in (0, 1, len(value) // 2, len(value) - 1):
        assert read_value(value[:cut]) is None
