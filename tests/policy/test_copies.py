"""Which servers hold the same keys by a plan: as `explain` says for each key."""

from __future__ import annotations

import pytest

from mcroute.policy import (
    ByPrefix,
    Failover,
    Pool,
    PoolRoute,
    Replicate,
    Route,
    compile_plan,
    explain,
)
from mcroute.policy.copies import Copies

MAIN = Pool.of("main", [f"10.0.0.{i}:11211" for i in range(1, 5)])
OTHER = Pool.of("other", [f"10.0.0.{i}:11211" for i in range(3, 7)], "ketama")
SPARE = Pool.of("spare", ["10.0.0.9:11211"])
KEYS = [b"%b%d" % (prefix, i) for prefix in (b"a:", b"a:b:", b"c:") for i in range(40)]
ROUTES: list[Route] = [
    Replicate(MAIN, 2),
    Replicate(MAIN, 3, "async", "random"),
    ByPrefix({"a:": Replicate(OTHER, 2), "a:b:": PoolRoute(SPARE)}, Replicate(MAIN, 2)),
]


@pytest.mark.parametrize("route", ROUTES)
def test_twins_are_the_servers_that_a_write_of_the_key_goes_to(route: Route) -> None:
    plan = compile_plan(route)
    copies = Copies(plan)
    names = [server.name for server in plan.servers]
    for key in KEYS:
        owners = explain(plan, key, "set").servers()
        for first in names:
            for second in names:
                are_twins = len(owners) > 1 and first != second and {first, second} <= set(owners)
                assert copies.between(first, second)(key) == are_twins


def test_the_twins_of_a_server_are_those_of_all_its_pools() -> None:
    copies = Copies(compile_plan(ROUTES[2]))
    names = [f"10.0.0.{i}:11211" for i in range(1, 7)]
    assert sorted(copies.twins(names[2])) == sorted({*names} - {names[2]})
    assert sorted(copies.twins(names[0])) == names[1:4]
    assert copies.twins("10.0.0.9:11211") == copies.twins("unknown") == ()


def test_pools_without_copies_have_no_twins() -> None:
    plan = compile_plan(Failover([PoolRoute(MAIN), PoolRoute(OTHER)]))
    copies = Copies(plan)
    assert all(copies.twins(server.name) == () for server in plan.servers)
    assert not any(copies.between(MAIN.servers[0].name, MAIN.servers[1].name)(key) for key in KEYS)
