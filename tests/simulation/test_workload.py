"""The application of a workload, and its database."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mcroute.policy import Pool, PoolRoute, Replicate, compile_plan
from mcroute.simulation.faults import Fault
from mcroute.simulation.loop import SimulationLoop
from mcroute.simulation.network import Network
from mcroute.simulation.workload import Database, Workload
from mcroute.simulation.world import Outcome, Scenario, run

from .worlds import on_a_machine

POOL = Pool.of("main", ["a.test:11211", "b.test:11211", "c.test:11211"])
SMALL = Workload(requests_per_s=100, duration_s=5, clients=5, keys=50)


def outcome(seed: int = 1, **changes: object) -> Outcome:
    scenario = Scenario(seed=seed, plan=compile_plan(Replicate(POOL, 2)), workload=SMALL)
    return run(replace(scenario, **changes))  # type: ignore[arg-type]


def requests(found: Outcome) -> list[tuple[float, str, bool]]:
    """When each request arrived, its key, and whether it is a write."""
    served = sorted(found.served, key=lambda one: one.arrived_at)
    return [(round(s.arrived_at - found.begun_at, 6), s.key, s.is_hit is None) for s in served]


def test_one_seed_has_the_same_requests_whatever_happens_to_servers() -> None:
    calm = outcome()
    faulty = outcome(
        faults=(Fault("kill", "a.test:11211", 1.0, 2.0),), plan=compile_plan(PoolRoute(POOL)), proxies=2
    )
    assert requests(calm) == requests(faulty)
    assert len(calm.served) == pytest.approx(500, rel=0.15)
    assert requests(outcome(seed=2)) != requests(calm)


def test_a_miss_loads_and_stores() -> None:
    found = outcome(workload=replace(SMALL, filled=0.0, reads=1.0, duration_s=20))
    asked: set[str] = set()
    for one in sorted(found.served, key=lambda one: one.ended_at):
        # Two clients may miss at once.
        assert one.is_hit or one.ended_at - one.arrived_at > SMALL.database_ms / 1000
        asked.add(one.key)
    misses = sum(not one.is_hit for one in found.served)
    assert len(asked) <= misses < len(asked) + 20
    assert len(found.queries) == misses


def test_a_write_goes_to_the_database_first() -> None:
    found = outcome(workload=replace(SMALL, reads=0.0))
    assert len(found.queries) == len(found.served)
    assert all(one.is_hit is None for one in found.served)
    assert min(one.ended_at - one.arrived_at for one in found.served) > SMALL.database_ms / 1000


def test_a_read_that_fails_loads_and_stores_nothing() -> None:
    """Nothing is known of what a server holds that did not answer."""
    faults = tuple(Fault("stop", server.name, 0.0, 30.0) for server in POOL.servers)
    found = outcome(workload=replace(SMALL, reads=1.0), faults=faults)
    failed = [one for one in found.served if one.has_failed]
    assert failed
    assert len(found.queries) >= len(failed)
    stores = [call for call in found.history.calls if call.kind == "set" and call.begun_at > found.begun_at]
    assert len(stores) < len(failed)


def test_keys_that_are_filled_are_hits() -> None:
    assert all(one.is_hit is not False for one in outcome().served)
    half = outcome(workload=replace(SMALL, keys=2000, zipf=0.0, filled=0.5, reads=1.0)).served
    assert 0.3 < sum(one.is_hit is True for one in half) / len(half) < 0.7


def test_the_latency_of_a_request_begins_at_its_arrival() -> None:
    """Not when a client is free: or a fault would hide the requests that wait for it."""
    slow = replace(SMALL, reads=0.0, clients=1, database_ms=20)
    times = [one.ended_at - one.arrived_at for one in outcome(workload=slow).served]
    # 100 requests a second, of 20 ms each, of one client.
    assert max(times) > 3


def test_embedded_clients_serve_too() -> None:
    found = outcome(proxies=1, embedded=1)
    assert {one.router for one in found.served} == {"proxy-1", "client-1"}


@pytest.mark.parametrize(
    ("workload", "ends"),
    [
        (Workload(database_ms=10), [(True, 0.01)] * 4),
        (Workload(database_ms=10, database_per_s=10), [(True, n / 10 + 0.01) for n in range(4)]),
        (
            Workload(database_ms=10, database_per_s=10, database_timeout_ms=150),
            [(True, 0.01), (True, 0.11), (False, 0.15), (False, 0.15)],
        ),
    ],
    ids=("any number", "a line", "a timeout"),
)  # fmt: skip
def test_the_database(workload: Workload, ends: list[tuple[bool, float]]) -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        database = Database(workload, loop.time)
        begun_at = loop.time()

        async def query() -> tuple[bool, float]:
            return await database.query(), loop.time() - begun_at

        found = await asyncio.gather(*(query() for _ in ends))
        assert [(is_done, pytest.approx(at)) for is_done, at in ends] == found
        assert database.queries == [begun_at] * 4

    on_a_machine(main)
