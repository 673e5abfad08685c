"""Which servers stand in for others, and which pools may lose their last server."""

import pytest

from mcroute.errors import ConfigError
from mcroute.policy import (
    AllFastest,
    AllMajority,
    AllSync,
    ByCommand,
    Failover,
    Group,
    MissFailover,
    Pool,
    PoolRoute,
    Replicate,
    Warm,
    compile_plan,
    explain,
)
from mcroute.policy import nodes as n
from mcroute.policy.standins import pools_with_standins, standins

MAIN = Pool.of("main", ["a:1", "b:1", "c:1"])
GUTTER = Pool.of("gutter", ["g:1", "h:1"])
SPARE = Pool.of("spare", ["s:1"])
ROUTE = Failover([PoolRoute(MAIN), PoolRoute(GUTTER)], ttl_max_s=10)


def test_only_the_later_children_have_short_lifetimes():
    plan = compile_plan(ROUTE)
    asks = {node.pool: node for node in plan.nodes if isinstance(node, n.Ask) and node.pool not in plan.parts}
    assert asks == {0: n.Ask(0), 1: n.CappedAsk(1, ttl_max_s=10)}
    assert {type(node) for node in plan.nodes} >= {n.Gutter}
    assert standins(plan) == {"g:1": 10, "h:1": 10}


def test_without_a_lifetime_the_plan_is_as_before():
    plan = compile_plan(Failover([PoolRoute(MAIN), PoolRoute(GUTTER)]))
    assert {type(node) for node in plan.nodes} == {n.Ask, n.First, n.All, n.SwitchCommand}
    assert standins(plan) == {} and pools_with_standins(plan) == frozenset()


def test_the_shortest_of_nested_lifetimes_holds():
    inner = Failover([PoolRoute(GUTTER), PoolRoute(SPARE)], ttl_max_s=60)
    plan = compile_plan(Failover([PoolRoute(MAIN), inner], ttl_max_s=10))
    assert standins(plan) == {"g:1": 10, "h:1": 10, "s:1": 10}
    plan = compile_plan(Failover([inner, PoolRoute(MAIN)], ttl_max_s=10))
    assert standins(plan) == {"s:1": 60, "a:1": 10, "b:1": 10, "c:1": 10}


@pytest.mark.parametrize("standin", [Replicate(GUTTER), Warm(GUTTER, SPARE)])
def test_no_key_is_refilled_on_a_stand_in(standin):
    plan = compile_plan(Failover([Replicate(MAIN), standin], ttl_max_s=10))
    firsts = [node for node in plan.nodes if type(node) is n.First]
    kinds = {type(plan.nodes[child]): node.refills for node in firsts for child in node.children}
    assert kinds == {n.Ask: True, n.CappedAsk: False}


def test_a_flush_has_no_lifetime():
    plan = compile_plan(ROUTE)
    root = plan.nodes[plan.root]
    flushed = [plan.nodes[index] for index in plan.nodes[root.children[Group.FLUSH]].children]
    assert all(isinstance(node, n.All) for node in flushed)


@pytest.mark.parametrize(
    ("route", "pools"),
    [
        (ROUTE, {"main", "gutter"}),
        (Failover([Replicate(MAIN), Replicate(GUTTER)], ttl_max_s=10), {"main", "gutter"}),
        (ByCommand({"delete": PoolRoute(GUTTER)}, default=ROUTE), {"main"}),
        (ByCommand({"delete": PoolRoute(SPARE)}, default=ROUTE), {"main", "gutter"}),
        (Failover([PoolRoute(MAIN), PoolRoute(GUTTER)]), set()),
        (MissFailover([PoolRoute(MAIN), PoolRoute(GUTTER)]), set()),
        (Warm(GUTTER, SPARE), {"gutter", "spare"}),
        (AllMajority(map(PoolRoute, (MAIN, GUTTER, SPARE))), {"main", "gutter", "spare"}),
        (AllMajority(map(PoolRoute, (MAIN, GUTTER))), set()),
        (AllSync([PoolRoute(MAIN), PoolRoute(GUTTER)]), set()),
        (
            ByCommand(
                {"read": AllFastest([PoolRoute(MAIN), PoolRoute(SPARE)])},
                default=AllSync([PoolRoute(MAIN), PoolRoute(SPARE)]),
            ),
            set(),
        ),
        (Replicate(MAIN, copies=3, write="quorum"), set()),
    ],
)
def test_a_pool_has_stand_ins_if_every_key_has(route, pools):
    assert pools_with_standins(compile_plan(route)) == pools


@pytest.mark.parametrize(
    "make",
    [
        lambda: Failover([PoolRoute(MAIN)], ttl_max_s=10),
        lambda: Failover([PoolRoute(MAIN), PoolRoute(GUTTER)], ttl_max_s=-1),
        lambda: Failover([PoolRoute(MAIN), PoolRoute(GUTTER)], ttl_max_s=30 * 24 * 3600 + 1),
    ],
)
def test_a_lifetime_that_makes_no_sense_is_refused_with_its_place(make):
    with pytest.raises(ConfigError, match=r"Failover\.ttl_max_s"):
        make()


def test_an_explanation_shows_the_lifetime():
    text = str(explain(compile_plan(ROUTE), b"k", "set"))
    assert "one after the other until no error; the later ones only stand in" in text
    assert "of gutter), which keeps values for 10 s at most" in text
