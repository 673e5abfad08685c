"""The plans that the fuzzed engine runs: every kind of node, over three servers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from mcroute.policy import (
    AllAsync,
    AllFastest,
    AllMajority,
    AllSync,
    Ask,
    AskAll,
    ByCommand,
    ByPrefix,
    Error,
    Failover,
    MissFailover,
    Null,
    Outcome,
    Pool,
    PoolRoute,
    Replicate,
    Reply,
    Request,
    Route,
    Server,
    Wait,
    compile_plan,
)

SERVERS = 3
DEADLINE_S = 1.0
HEDGE_AFTER_S = 0.02


def _pool(first: int, size: int, links: int = 1, hedge_after_s: float = 0.0) -> Pool:
    servers = tuple(Server(f"s{i}", "127.0.0.1", 1000 + i) for i in range(first, first + size))
    name = f"p{first}{size}" + "h" * (hedge_after_s > 0)
    return Pool(name, servers, deadline_s=DEADLINE_S, links=links, hedge_after_s=hedge_after_s)


class Patient:
    """A route of a user's own: one child, then a moment, then both."""

    def __init__(self, first: Route, second: Route) -> None:
        self.children = (first, second)

    def steps(self, request: Request) -> Generator[Any, Any, Reply | Outcome]:
        reply = yield Ask(0)
        if reply.outcome < Outcome.REFUSED_BY_SERVER:
            return reply
        yield Wait(0.01)
        for reply in (yield AskAll((0, 1), need=1)):
            if reply is not None and reply.outcome < Outcome.REFUSED_BY_SERVER:
                return reply
        return Outcome.LOST


def _routes() -> list[Route]:
    whole = _pool(0, SERVERS, links=2)
    hedged = _pool(0, SERVERS, links=2, hedge_after_s=HEDGE_AFTER_S)
    one, two, three = (PoolRoute(_pool(i, 1)) for i in range(SERVERS))
    return [
        PoolRoute(whole),
        Replicate(whole, copies=2),
        Replicate(whole, copies=3, write="quorum", read="random"),
        Replicate(whole, copies=2, write="first"),
        Replicate(whole, copies=2, write="async", read="random"),
        Failover([one, two, three]),
        MissFailover([one, two, three]),
        AllSync([one, two, three]),
        AllMajority([one, two, three]),
        AllFastest([one, two, three]),
        AllAsync([one, PoolRoute(whole)]),
        ByPrefix({"a:": Null(), "b:": Error("closed")}, Replicate(whole, copies=2)),
        ByCommand({"delete": AllSync([one, two]), "store": MissFailover([three, one])}, PoolRoute(whole)),
        Patient(PoolRoute(whole), Failover([two, three])),
        Replicate(hedged, copies=2),
        Replicate(hedged, copies=3, read="random"),
        AllFastest([Replicate(hedged, copies=2), one]),
        Patient(Replicate(hedged, copies=2), one),
    ]


PLANS = [compile_plan(route, hedge_share=1.0) for route in _routes()]
