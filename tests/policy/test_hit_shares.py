"""A server whose hits fall against its peers' is reported, once, and only then."""

from __future__ import annotations

import pytest

from mcroute.policy import Counts, HitsFell, HitShares

POOLS = [(0, 1, 2)]
ALL = {0, 1, 2}


class World:
    """Counters of three servers, which grow by a second's reads."""

    def __init__(self) -> None:
        self.shares = HitShares()
        self.now = 0.0
        self.counts = {server: Counts() for server in ALL}
        self.shares.look(self.counts, POOLS, ALL, self.now)

    def second(
        self, *hits: int, reads: int = 100, serving: frozenset[int] | set[int] = ALL
    ) -> list[HitsFell]:
        self.now += 1
        for server, more in enumerate(hits):
            own = self.counts[server]
            self.counts[server] = own._replace(hits=own.hits + more, misses=own.misses + reads - more)
        return self.shares.look(self.counts, POOLS, serving, self.now)


@pytest.fixture
def world() -> World:
    world = World()
    for _ in range(5):
        assert world.second(90, 92, 94) == []
    return world


def test_a_server_that_loses_its_items_is_reported_once(world: World) -> None:
    [fell] = world.second(3, 92, 94)
    assert (fell.server, fell.share, fell.reads, fell.others) == (0, 0.03, 100, 0.92)
    assert str(fell) == "3% of 100 reads, the others' 92%, before 90%"
    assert all(world.second(hits, 92, 94) == [] for hits in range(3, 90))


def test_a_second_loss_is_reported_again(world: World) -> None:
    assert world.second(3, 92, 94)
    for _ in range(20):
        assert world.second(90, 92, 94) == []
    assert world.second(3, 92, 94)


def test_servers_that_lose_their_items_together_are_not_reported(world: World) -> None:
    """A client's flush_all, or another workload."""
    assert world.second(3, 2, 4) == []


def test_a_server_that_never_had_more_hits_is_not_reported() -> None:
    world = World()
    assert all(world.second(10, 92, 94) == [] for _ in range(10))


def test_few_reads_prove_nothing(world: World) -> None:
    world.now += 1
    assert world.second(0, 0, 0, reads=10) == []


def test_few_reads_are_collected(world: World) -> None:
    found = [fell for _ in range(9) for fell in world.second(0, 9, 9, reads=10)]
    assert [fell.server for fell in found] == [0]


def test_a_server_that_was_out_of_service_begins_anew(world: World) -> None:
    """It returns empty, and its return was logged."""
    world.second(0, 92, 94, serving={1, 2})
    assert all(world.second(3, 92, 94) == [] for _ in range(10))


def test_another_server_under_the_id_begins_anew(world: World) -> None:
    world.shares.reset(0)
    assert all(world.second(3, 92, 94) == [] for _ in range(10))


def test_a_server_without_peers_is_not_reported() -> None:
    shares, counts = HitShares(), Counts()
    for second in range(9):
        assert shares.look({0: counts}, [(0,)], {0}, float(second)) == []
        counts = counts._replace(hits=counts.hits + (90 if second < 6 else 0), misses=counts.misses + 100)
