"""Missed writes belong to the place, under any name and spelling of its address."""

from __future__ import annotations

from random import Random

import pytest

from mcroute.policy import (
    Fence,
    Flush,
    HealthSettings,
    Past,
    Place,
    Plan,
    Pool,
    PoolRoute,
    Probe,
    Server,
    ServerState,
    ServerStats,
    SetState,
    State,
    Supervisor,
    SupervisorSettings,
    compile_plan,
)
from mcroute.policy.places import PlaceTable
from mcroute.policy.processes import Kinship, Seen

SETTINGS = SupervisorSettings(HealthSettings(jitter=0.0))
EJECTED, UP = ServerState.EJECTED, ServerState.UP


def at(*hosts: str, port: int = 1) -> Place:
    return frozenset((host, port) for host in hosts)


UNKNOWN = at()


def plan_of(**addresses: str) -> Plan:
    servers = tuple(Server(name, host, 1) for name, host in addresses.items())
    return compile_plan(PoolRoute(Pool("main", servers)))


def supervised(plan: Plan, **places: Place) -> Supervisor:
    return Supervisor(plan, Random(1), SETTINGS, places or None)


def returned(s: Supervisor, number: int, now: float) -> list[object]:
    """The decisions of a return in which every stage succeeds."""
    seen: list[object] = []
    decisions = list(s.tick(now))
    while decisions:
        decision = decisions.pop(0)
        if decision == Probe(number):
            decisions += s.probe_answered(number, now)
        elif isinstance(decision, Fence):
            decisions += s.fence_answered(number, (), now)
        elif isinstance(decision, Flush):
            decisions += s.flush_answered(number, ServerStats(items=0), now)
        seen.append(decision)
    return seen


def test_a_server_with_another_name_is_as_it_was_and_keeps_its_id() -> None:
    s = supervised(plan_of(a="h1", b="h2"))
    s.tripped(0, 0.0)
    s.missed_writes(0, 3, 0.0)
    s.link_lost(0, "x", 1)
    later = plan_of(z="h1", b="h2")
    assert s.continued(later) == {"z": "a", "b": "b"}
    assert s.install(later, 0.5, ids={"z": 0, "b": 1}) == (SetState(0, EJECTED),)
    s.tick(1.0)
    assert s.probe_answered(0, 1.0)[-1] == Fence(0, frozenset({"x"}))
    assert s.fence_answered(0, (), 1.0) == (Flush(0),)


@pytest.mark.parametrize("spelled", [at("127.0.0.1"), at("127.0.0.1", "::1")])
def test_another_spelling_of_the_same_address_changes_nothing(spelled: Place) -> None:
    s = supervised(plan_of(a="127.0.0.1", b="h2"), a=at("127.0.0.1"), b=at("h2"))
    s.tripped(0, 0.0)
    later = plan_of(a="localhost", b="h2")
    places = {"a": spelled, "b": at("h2")}
    assert s.continued(later, places)["a"] == "a"
    assert s.install(later, 0.5, places=places) == (SetState(0, EJECTED),)


def test_the_record_does_not_follow_a_name_to_another_address() -> None:
    s = supervised(plan_of(a="h1", b="h2"))
    s.tripped(0, 0.0)
    swapped = plan_of(a="h2", b="h1")
    assert s.continued(swapped) == {"a": "b", "b": "a"}
    s.install(swapped, 0.5, ids={"a": 1, "b": 0})
    assert {name: report.state for name, report in s.servers(0.0).items()} == {
        "a": State.UP,
        "b": State.EJECTED,
    }


def test_the_other_loopback_address_of_a_server_that_is_out_begins_out() -> None:
    s = supervised(plan_of(a="127.0.0.1", b="h2"))
    s.tripped(0, 0.0)
    later = plan_of(a="::1", b="h2")
    assert s.continued(later) == {"b": "b"}
    assert s.install(later, 0.5, ids={"a": 2, "b": 1}) == (SetState(2, EJECTED),)
    seen = returned(s, 2, 0.5)
    # A link to the former place may still have writes.
    assert Fence(2, frozenset(), awaits_departed=True) in seen
    assert seen[-2:] == [Flush(2), SetState(2, UP)]


def test_a_server_at_the_places_of_two_earlier_ones_begins_out() -> None:
    s = supervised(plan_of(a="h1", b="h2", c="h3"))
    s.link_lost(0, "x", 1)
    later = plan_of(m="both", c="h3")
    places = {"m": at("h1", "h2"), "c": at("h3")}
    assert s.continued(later, places) == {"c": "c"}
    assert s.install(later, 0.5, ids={"m": 3, "c": 2}, places=places) == (SetState(3, EJECTED),)
    # A link that is lost while it closes is fenced too.
    s.link_lost(1, "y", 1)
    s.tick(0.5)
    assert s.probe_answered(3, 0.5)[-1] == Fence(3, frozenset({"x", "y"}), awaits_departed=True)


def test_a_server_whose_place_is_not_known_begins_out_and_is_flushed() -> None:
    s = supervised(plan_of(a="h1"))
    later = plan_of(a="h1", b="nowhere")
    places = {"a": at("h1"), "b": UNKNOWN}
    assert s.install(later, 0.5, places=places) == (SetState(1, EJECTED),)
    assert Flush(1) in returned(s, 1, 0.5)


def test_one_that_joins_while_the_place_of_another_that_is_out_is_unknown_begins_out() -> None:
    s = supervised(plan_of(a="nowhere", b="h2"), a=UNKNOWN, b=at("h2"))
    s.tripped(0, 0.0)
    places = {"a": UNKNOWN, "b": at("h2"), "c": at("h3")}
    decisions = s.install(plan_of(a="nowhere", b="h2", c="h3"), 0.5, places=places)
    assert SetState(2, EJECTED) in decisions


def test_a_server_that_left_is_known_again_by_its_place() -> None:
    s = supervised(plan_of(a="h1", b="h2"))
    s.install(plan_of(b="h2"), 1.0, ids={"b": 1})
    back = plan_of(b="h2", z="alias", y="h9")
    places = {"b": at("h2"), "z": at("h1"), "y": at("h9")}
    assert [server.name for server in s.outdated(back, places)] == ["z"]
    assert s.install(
        back, 2.0, unflushed=s.outdated(back, places), places=places, ids={"b": 1, "z": 0, "y": 2}
    ) == (
        SetState(0, EJECTED),
        SetState(2, UP),
    )


@pytest.mark.parametrize(
    ("identity", "pid", "uptime", "is_foreign"),
    [
        ("same", 1, 150, False),  # it goes on
        ("same", 2, 20, False),  # its restart
        ("same", 2, 1000, True),
        ("any", 2, 1000, False),
    ],
)
def test_the_process_of_a_returning_server_is_compared_with_the_departed_one(
    identity: str, pid: int, uptime: int, is_foreign: bool
) -> None:
    s = supervised(plan_of(a="h1", b="h2"))
    s.identified(0, Seen(ServerStats(pid=1, uptime=100), 0.0, 0.0))
    s.install(plan_of(b="h2"), 1.0, ids={"b": 1})
    members = plan_of(b="h2", z="h1").servers
    back = compile_plan(PoolRoute(Pool("main", members, identity=identity)))
    places = {"b": at("h2"), "z": at("h1")}
    [server] = s.outdated(back, places)
    seen = Seen(ServerStats(pid=pid, uptime=uptime), 50.0, 50.0)
    assert s.is_foreign(server, back, at("h1"), seen) is is_foreign
    # Servers that were not flushed by then are compared again on their return.
    s.install(back, 51.0, unflushed=[server], ids={"b": 1, "z": 0}, places=places)
    assert (s.identified(0, seen) is Kinship.FOREIGN) is is_foreign


def test_a_server_whose_address_means_another_place_now_is_flushed() -> None:
    s = supervised(plan_of(a="name", b="h2"), a=UNKNOWN, b=at("h2"))
    assert s.located(0, at("h1"), 0.0) == ()
    assert s.located(0, at("h1", "h3"), 0.0) == ()
    assert s.located(0, UNKNOWN, 0.0) == ()
    assert s.located(0, at("h5"), 0.0) == (SetState(0, EJECTED),)
    assert Flush(0) in returned(s, 0, 1.0)
    # The former place has missed the writes since then.
    later = plan_of(a="name", b="h2", c="h1")
    assert [server.name for server in s.outdated(later, {"a": at("h5"), "b": at("h2"), "c": at("h1")})] == [
        "c"
    ]
    assert s.located(0, at("h1"), 300.0) == (SetState(0, EJECTED),)


def test_places_are_found_by_any_endpoint_and_unknown_ones_always() -> None:
    table = PlaceTable()
    table.add(1, at("h1", "h2"))
    table.add(2, at("127.0.0.1"))
    table.add(3, UNKNOWN)
    assert table.near(at("h2")) == {1, 3}
    assert table.near(at("::1")) == {2, 3}
    assert table.near(at("::1", port=2)) == {3}
    assert table.near(UNKNOWN) == {1, 2, 3}
    table.remove(3)
    table.remove(1)
    assert table.near(at("h2")) == set()


def test_another_process_begins_where_the_earlier_one_ended() -> None:
    s = supervised(plan_of(a="h1", b="h2", c="h3", d="h4"))
    pasts = [
        Past(at("h1"), owes=True, lost=frozenset({"x"})),
        Past(at("h2"), owes=False, lost=frozenset({"y"})),
        Past(at("h3"), owes=False),
        Past(at("h9"), owes=False),
    ]
    assert s.recall(pasts, is_trusting=True, now=0.0) == (SetState(0, EJECTED), SetState(1, EJECTED))
    assert [s.is_only_fenced(number) for number in range(4)] == [False, True, False, False]
    seen = returned(s, 0, 0.0)
    assert Fence(0, frozenset({"x"}), awaits_departed=True) in seen
    assert Flush(0) in seen
    # The server was in service: only its writes in flight are awaited.
    assert s.probe_answered(1, 0.0)[-1] == Fence(1, frozenset({"y"}))
    assert s.fence_answered(1, (), 0.1) == (SetState(1, UP, 0),)
    # A server in no plan misses all writes from now on.
    later = plan_of(a="h1", b="h2", c="h3", d="h4", e="h9")
    assert [server.name for server in s.outdated(later)] == ["e"]


def test_servers_that_nothing_is_known_of_may_be_flushed_first() -> None:
    s = supervised(plan_of(a="h1", b="h2"))
    assert s.recall([Past(at("h1"), owes=False)], is_trusting=False, now=0.0) == (SetState(1, EJECTED),)
    assert Flush(1) in returned(s, 1, 0.0)


@pytest.mark.parametrize("pasts", [[Past(UNKNOWN, owes=True)], [Past(at("h1", "h2"), owes=True)]])
def test_a_past_that_may_be_of_any_server_is_of_all(pasts: list[Past]) -> None:
    s = supervised(plan_of(a="h1", b="h2"))
    assert s.recall(pasts, is_trusting=True, now=0.0) == (SetState(0, EJECTED), SetState(1, EJECTED))


def test_a_remembered_past_is_recalled() -> None:
    plan = plan_of(a="h1", b="h2", c="h3")
    s = supervised(plan)
    s.link_lost(1, "x", 1)
    s.tripped(0, 0.0)
    s.install(plan_of(a="h1", b="h2"), 1.0)
    assert s.remembered() == [
        Past(at("h1"), owes=True, id=0),
        Past(at("h2"), owes=True, lost=frozenset({"x"}), id=1),
        Past(at("h3"), owes=True),
    ]
    other = supervised(plan)
    assert len(other.recall(s.remembered(), is_trusting=True, now=0.0)) == 3
