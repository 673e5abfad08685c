"""Explanations: the servers in their order, and why."""

import pytest

from mcroute.policy import ByPrefix, Error, Failover, Pool, PoolRoute, Replicate, compile_plan, explain

MAIN, SPARE = PoolRoute(Pool.of("main", ["a:1"])), PoolRoute(Pool.of("spare", ["b:1"]))


def test_an_explanation_reads_like_the_policy():
    plan = compile_plan(ByPrefix({"u:": Failover([MAIN, SPARE])}, Error("unknown key")))
    assert str(explain(plan, b"u:1", ejected={"a:1"})).splitlines() == [
        "get u:1",
        "  prefix u:",
        "    one after the other until no error",
        "      ask a:1 (owner of main) - ejected, not asked",
        "      ask b:1 (owner of spare)",
    ]
    assert explain(plan, b"u:1").servers() == ("a:1", "b:1")
    assert explain(plan, b"u:1", ejected={"a:1"}).servers() == ("b:1",)
    assert explain(plan, b"x").servers() == ()


def test_a_flush_reaches_every_server():
    plan = compile_plan(PoolRoute(Pool.of("main", ["a:1", "b:1"])))
    assert explain(plan, b"", "flush_all").servers() == ("a:1", "b:1")


def test_a_command_that_is_not_routed_is_refused():
    with pytest.raises(ValueError, match="quit"):
        explain(compile_plan(MAIN), b"k", "quit")


def test_copies_follow_the_ring():
    pytest.importorskip("mcroute._ring")
    pool = Pool.of("main", ["a:1", "b:1", "c:1"])
    plan = compile_plan(Replicate(pool, 2))
    seen = {explain(plan, b"key%d" % i, "set").servers() for i in range(100)}
    assert {pair[0] for pair in seen} == {"a:1", "b:1", "c:1"}
    assert all(len(set(pair)) == 2 for pair in seen)
    reads = explain(plan, b"key1", "get")
    assert reads.servers() == explain(plan, b"key1", "set").servers()
