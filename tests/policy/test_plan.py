"""Compiled plans: children first, equal nodes shared, each route as its sentence says."""

from dataclasses import fields, replace

import pytest

from mcroute.errors import ConfigError
from mcroute.policy import (
    AllAsync,
    AllFastest,
    AllMajority,
    AllSync,
    ByCommand,
    ByPrefix,
    Error,
    Failover,
    Group,
    MissFailover,
    Null,
    Pool,
    PoolRoute,
    Replicate,
    Server,
    ServerOptions,
    Warm,
    compile_plan,
)  # fmt: skip
from mcroute.policy import nodes as n

ONE, TWO = PoolRoute(Pool.of("one", ["a:1"])), PoolRoute(Pool.of("two", ["b:1"]))
THREE = Pool.of("three", ["a:1", "b:1", "c:1"])
WARM = Warm(ONE.pool, TWO.pool)


def compiled(route, group=Group.READ):
    """The subtree for one group, with nodes instead of indices: (node without children, children...)."""
    plan = compile_plan(route)

    def tree(index):
        node = plan.nodes[index]
        if isinstance(node, n.SwitchCommand):
            return tree(node.children[group])
        if isinstance(node, n.Ask):
            return (plan.pools[node.pool].name.split("\0")[-1], node.rank)
        if isinstance(node, n.Constant):
            return node
        if isinstance(node, n.Detach):
            return ("detach", tree(node.child))
        below = [tree(child) for child in node.children]
        if isinstance(node, n.First):
            return ("first", node.failing.name, node.random_start, *below)
        if isinstance(node, n.All):
            return ("all", node.need, node.least, *below)
        return (type(node).__name__.lower(), *below)

    return tree(plan.root)


A, B = ("one", 0), ("two", 0)
R0, R1, R2 = ("three", 0), ("three", 1), ("three", 2)
EVERY = (("a:1", 0), ("b:1", 0), ("c:1", 0))


@pytest.mark.parametrize(
    ("route", "group", "expected"),
    [
        (ONE, "READ", A),
        (ONE, "FLUSH", A),
        (PoolRoute(THREE), "STORE", R0),
        (PoolRoute(THREE), "FLUSH", ("all", 3, 3, *EVERY)),
        (Failover([ONE, TWO]), "STORE", ("first", "ERROR", False, A, B)),
        (Failover([ONE, TWO]), "FLUSH", ("all", 2, 2, A, B)),
        (Failover([ONE]), "READ", A),
        (MissFailover([ONE, TWO]), "READ", ("first", "ERROR_OR_MISS", False, A, B)),
        (MissFailover([ONE, TWO]), "READ_CAS", ("first", "ERROR", False, A, B)),
        (MissFailover([ONE, TWO]), "DELETE", ("all", 2, 2, A, B)),
        (WARM, "READ", ("first", "ERROR_OR_MISS", False, A, B)),
        (WARM, "READ_CAS", ("first", "ERROR_OR_MISS", False, A, B)),
        (WARM, "READ_TOUCH", ("then", A, B)),
        (WARM, "STORE", ("then", A, B)),
        (WARM, "STORE_IF", ("then", A, B)),
        (WARM, "ARITHMETIC", ("then", A, B)),
        (WARM, "DELETE", ("all", 2, 1, A, B)),
        (WARM, "TOUCH", ("all", 2, 1, A, B)),
        (WARM, "FLUSH", ("all", 2, 2, A, B)),
        (AllSync([ONE, TWO]), "STORE", ("all", 2, 2, A, B)),
        (AllMajority([ONE, TWO, Null()]), "STORE", ("all", 2, 2, A, B, n.Constant())),
        (AllFastest([ONE, TWO]), "READ", ("all", 1, 1, A, B)),
        (AllAsync([ONE, TWO]), "STORE", ("detach", ("all", 2, 1, A, B))),
        (ByPrefix({"u:": ONE}, TWO), "READ", ("switchprefix", A, B)),
        (ByPrefix({"u:": ONE}, TWO), "FLUSH", ("all", 2, 2, A, B)),
        (ByPrefix({"u:": ONE}, ONE), "READ", A),
        (ByCommand({"delete": TWO}, ONE), "READ", A),
        (ByCommand({"delete": TWO}, ONE), "DELETE", B),
        (Null(), "READ", n.Constant()),
        (Error("no"), "READ", n.Constant("no")),
        (Replicate(THREE), "READ", ("first", "ERROR_OR_MISS", False, R0, R1)),
        (Replicate(THREE, read="random"), "READ", ("first", "ERROR_OR_MISS", True, R0, R1)),
        (Replicate(THREE), "READ_CAS", ("first", "ERROR_OR_MISS", False, R0, R1)),
        (Replicate(THREE), "READ_TOUCH", ("then", R0, R1)),
        (Replicate(THREE), "STORE_IF", ("then", R0, R1)),
        (Replicate(THREE), "ARITHMETIC", ("then", R0, R1)),
        (Replicate(THREE), "STORE", ("all", 2, 1, R0, R1)),
        (Replicate(THREE), "TOUCH", ("all", 2, 1, R0, R1)),
        (Replicate(THREE, 3, write="quorum"), "DELETE", ("all", 2, 2, R0, R1, R2)),
        (Replicate(THREE, write="first"), "STORE", ("all", 1, 1, R0, R1)),
        (Replicate(THREE, write="first"), "DELETE", ("all", 2, 1, R0, R1)),
        (Replicate(THREE, write="async"), "DELETE", ("all", 1, 1, R0, R1)),
        (Replicate(THREE), "FLUSH", ("all", 3, 3, *EVERY)),
        (Replicate(THREE, 1), "STORE_IF", R0),
    ],
)
def test_a_route_compiles_into_its_nodes(route, group, expected):
    assert compiled(route, Group[group]) == expected


def children_of(node):
    return (node.child,) if isinstance(node, n.Detach) else getattr(node, "children", ())


def test_children_come_before_parents_and_equal_nodes_are_one():
    plan = compile_plan(
        Failover([Replicate(THREE), ByPrefix({"u:": Replicate(THREE)}, AllAsync([ONE, TWO]))])
    )
    assert len(set(plan.nodes)) == len(plan.nodes)
    for i, node in enumerate(plan.nodes):
        assert all(child < i for child in children_of(node))
    assert plan.root == len(plan.nodes) - 1
    assert [s.name for s in plan.servers] == ["a:1", "b:1", "c:1"]
    assert plan.server_ids == {"a:1": 0, "b:1": 1, "c:1": 2}


def test_the_longest_prefix_stands_first():
    plan = compile_plan(ByPrefix({"u": ONE, b"user:": TWO, "us": Null()}, ONE))
    switch = next(node for node in plan.nodes if isinstance(node, n.SwitchPrefix))
    assert switch.prefixes == (b"user:", b"us", b"u")


def test_parts_are_the_pools_that_nobody_named():
    plan = compile_plan(PoolRoute(THREE))
    assert [plan.pools[i].servers[0].name for i in sorted(plan.parts)] == ["a:1", "b:1", "c:1"]
    assert 0 not in plan.parts


class Canary:
    """A user's route; not hashable, as a plain dataclass is not."""

    __hash__ = None
    children = (ONE, TWO)

    def steps(self, request):
        yield


def test_a_users_route_is_one_node_with_its_children():
    route = Canary()
    plan = compile_plan(route)
    assert plan.nodes[plan.root] == n.Python(route, (0, 1))


@pytest.mark.parametrize(
    ("route", "place"),
    [
        (Replicate(THREE, 4), "route.copies"),
        (Replicate(THREE, 0), "route.copies"),
        (Replicate(Pool.of("big", [f"s{i}:1" for i in range(12)]), 9), "route.copies"),
        (Failover([]), "route"),
        (Failover([ONE, Failover([])]), "route.children[1]"),
        (ByPrefix({"a": AllSync([])}, ONE), "route.routes[b'a']"),
        (ByCommand({"delete": AllSync([])}, ONE), "route.routes[delete]"),
        (Failover([ONE, PoolRoute(Pool("x", (Server("a:1", "elsewhere"),)))]), "route.children[1]"),
        (Failover([ONE, PoolRoute(replace(ONE.pool, deadline_s=9))]), "route.children[1]"),
        (Failover([ONE, "two"]), "route.children[1]"),
        (PoolRoute("main"), "route.pool"),
        (Failover([ONE, Replicate("main")]), "route.children[1].pool"),
    ],
)
def test_a_route_that_cannot_work_is_refused_with_its_place(route, place):
    with pytest.raises(ConfigError) as caught:
        compile_plan(route)
    assert caught.value.place == place


@pytest.mark.parametrize(
    "make",
    [
        lambda: Replicate(THREE, write="some"),
        lambda: Replicate(THREE, read="last"),
        lambda: ByPrefix({"": ONE}, TWO),
        lambda: ByCommand({"frobnicate": ONE}, TWO),
        lambda: ByCommand({"read": ONE, "READ": TWO}, TWO),
        lambda: Error("two\r\nlines"),
        lambda: Failover(ONE),
        lambda: compile_plan(ONE, retry_share=-1),
    ],
)
def test_a_route_that_makes_no_sense_cannot_be_made(make):
    with pytest.raises(ConfigError):
        make()


def kinds_of_keys(route):
    plan = compile_plan(route)
    return {type(plan.nodes[index]) for index in plan.nodes_of_keys()}


def test_a_flush_of_all_servers_is_no_way_of_a_key():
    assert kinds_of_keys(PoolRoute(THREE)) == {n.SwitchCommand, n.Ask}
    assert n.All in kinds_of_keys(Replicate(THREE, copies=2))
    assert n.Detach in kinds_of_keys(AllAsync((ONE, TWO)))


@pytest.mark.parametrize(
    ("option", "first", "second", "holds"),
    [
        ("connect_timeout_s", 0.1, 0.7, 0.1),
        ("reply_timeout_s", 0.7, 0.1, 0.1),
        ("trip_after", 9, 2, 2),
        ("links", 1, 4, 4),
        ("value_max", 1 << 20, 1 << 22, 1 << 22),
        ("identity", "same", "any", "any"),
    ],
)
def test_a_server_of_several_pools_has_one_value_of_each_option(option, first, second, holds):
    pools = [
        Pool.of("one", ["a:1", "b:1"], **{option: first}),
        Pool.of("two", ["b:1", "c:1"], **{option: second}),
    ]
    for one, two in (pools, pools[::-1]):
        options = compile_plan(ByPrefix({"x:": PoolRoute(one)}, default=Replicate(two))).server_options
        found = {name: getattr(options[name], option) for name in options}
        assert found == {"a:1": first, "b:1": holds, "c:1": second}


def test_each_option_of_servers_is_in_the_table_above():
    (table,) = (m for m in test_a_server_of_several_pools_has_one_value_of_each_option.pytestmark)
    assert {row[0] for row in table.args[1]} == {option.name for option in fields(ServerOptions)}


def test_servers_of_the_same_pools_share_one_value():
    options = compile_plan(PoolRoute(THREE)).server_options
    assert options["a:1"] is options["b:1"] is options["c:1"]


def test_reads_of_copies_and_of_a_cold_pool_refill_what_they_missed():
    for route in (Replicate(THREE), Replicate(THREE, read="random"), WARM):
        plan = compile_plan(route)
        for group in (Group.READ, Group.READ_CAS):
            root = plan.nodes[plan.root]
            assert plan.nodes[root.children[group]].refills
    for route in (MissFailover([ONE, TWO]), Failover([ONE, TWO])):
        assert not any(getattr(node, "refills", False) for node in compile_plan(route).nodes)


@pytest.mark.parametrize(
    ("cold", "warm", "why"),
    [
        (ONE.pool, ONE.pool, "route.warm: server a:1 is in the pool one too"),
        (Pool.of("one", ["x:1", "a:1"]), Pool.of("two", ["a:1", "b:1"]), "server a:1 is in the pool one too"),
        (ONE, TWO.pool, "route.cold"),
        (ONE.pool, TWO, "route.warm"),
    ],
)
def test_the_pools_of_a_warm_route_have_no_servers_in_common(cold, warm, why):
    with pytest.raises(ConfigError, match=why):
        compile_plan(Warm(cold, warm))
