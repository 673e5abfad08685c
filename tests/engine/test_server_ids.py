"""Ids of servers, which every engine of a proxy has to give alike."""

from __future__ import annotations

from mcroute._engine.server_ids import ServerIds
from mcroute.policy import ByPrefix, Plan, Pool, PoolRoute, Server, compile_plan


def plan_of(*names: str, **options: float) -> Plan:
    servers = tuple(Server(name, "127.0.0.1", 1000 + ord(name)) for name in names)
    return compile_plan(PoolRoute(Pool("main", servers, **options)))


def numbers(known: ServerIds, plan: Plan, *free: int) -> dict[str, tuple[int, bool]]:
    return {t.name: (t.id, t.is_new) for t in known.admit(plan, lambda number: number in free)}


def test_a_server_that_stays_keeps_its_number_and_a_newcomer_takes_a_free_one() -> None:
    known = ServerIds()
    assert numbers(known, plan_of("a", "b")) == {"a": (0, True), "b": (1, True)}
    assert numbers(known, plan_of("b", "c")) == {"b": (1, False), "c": (2, True)}
    # Now nothing refers to a's number any more.
    assert numbers(known, plan_of("b", "c", "d"), 0) == {"b": (1, False), "c": (2, False), "d": (0, True)}


def test_a_server_that_comes_back_gets_its_id_unless_it_was_reused() -> None:
    known = ServerIds()
    numbers(known, plan_of("a", "b"))
    numbers(known, plan_of("b"))
    assert numbers(known, plan_of("a", "b")) == {"a": (0, False), "b": (1, False)}


def test_tags_are_the_same_in_every_engine_and_stay() -> None:
    first, second = ServerIds(), ServerIds()
    tags = {t.name: t.cas_tag for t in first.admit(plan_of("a", "b", "c"), lambda _: False)}
    assert len(set(tags.values())) == 3
    for name in "cba":
        second.admit(plan_of(name), lambda _: False)
    assert {t.name: t.cas_tag for t in second.admit(plan_of("a", "b", "c"), lambda _: False)} == tags


def test_an_admitted_server_has_the_options_of_all_its_pools() -> None:
    servers = (Server("a", "127.0.0.1", 1),)
    hasty = Pool("hasty", servers, trip_after=9, reply_timeout_s=0.1)
    strict = Pool("strict", servers, trip_after=2, reply_timeout_s=0.7)
    plan = compile_plan(ByPrefix({b"x:": PoolRoute(hasty)}, default=PoolRoute(strict)))
    (server,) = ServerIds().admit(plan, lambda _: False)
    assert server.options is plan.server_options["a"]


def test_a_server_that_was_renamed_keeps_its_number() -> None:
    known = ServerIds()
    first, later = plan_of("a", "b"), plan_of("b", "c")
    numbers(known, first)
    identity = {server.name: (server.name, server.address) for server in (*first.servers, *later.servers)}
    admitted = known.admit(later, lambda _: False, {identity["c"]: identity["a"]})
    assert {t.name: (t.id, t.is_new) for t in admitted} == {"b": (1, False), "c": (0, False)}


def test_two_servers_may_swap_names_and_a_number_in_the_way_stays_somebodys() -> None:
    known = ServerIds()
    numbers(known, plan_of("a", "b", "c"))
    a, b, c = ((name, ("127.0.0.1", 1000 + ord(name))) for name in "abc")
    admitted = known.admit(plan_of("b", "c"), lambda _: False, {b: c, c: b})
    assert {t.name: (t.id, t.is_new) for t in admitted} == {"b": (2, False), "c": (1, False)}
    # `a` is removed, and `b` gets its name: a's former id is reused when it is free.
    admitted = known.admit(plan_of("a", "c"), lambda _: False, {a: b})
    assert {t.name: (t.id, t.is_new) for t in admitted} == {"a": (2, False), "c": (1, False)}
    assert numbers(known, plan_of("a", "c", "d"), 0)["d"] == (0, True)
