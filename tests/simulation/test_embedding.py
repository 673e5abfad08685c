"""Simulations for tests of other programs: the fixtures, and what they return."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import mcroute.simulation
from mcroute.drivers.asyncio.control import AsyncioControl
from mcroute.errors import ConfigError
from mcroute.policy import Failover, Pool, PoolRoute, Replicate
from mcroute.simulation import Fault, Operation, Simulated, Simulation, Workload, simulate
from mcroute.simulation.faults import FAULTS

from .worlds import look_instead, take_only

SERVERS = ["a.test:11211", "b.test:11211", "c.test:11211"]
ROUTE = Replicate(Pool.of("main", SERVERS), copies=2)
SMALL = Workload(requests_per_s=50, duration_s=8, clients=4, keys=30)


# ---- a route under faults ----


def test_a_route_under_a_fault(simulated: Callable[..., Simulated]) -> None:
    outcome = simulated(ROUTE, faults=[Fault("kill", SERVERS[0], at_s=2, for_s=2)], workload=SMALL)
    outcome.check()
    assert outcome.violations() == []
    [effect] = outcome.report().faults[0].effects
    assert effect.out_after_s is not None and effect.out_after_s < 0.1
    assert effect.back_after_s is not None
    assert len(outcome.history.calls) > 300


def test_operations_of_ones_own() -> None:
    kinds = ("set", "get", "delete", "get")
    operations = [Operation(number, 0, number / 10, kind, "k") for number, kind in enumerate(kinds)]
    outcome = simulate(ROUTE, operations=operations)
    assert [call.result.value for call in outcome.history.calls] == ["ok", "ok", "ok", "miss"]
    with pytest.raises(ValueError, match="no workload"):
        outcome.report()


def test_routes_of_several_pools_are_simulated() -> None:
    pools = (Pool.of("one", SERVERS[:1]), Pool.of("two", SERVERS[1:]))
    outcome = simulate(
        Failover([PoolRoute(pool) for pool in pools]),
        workload=SMALL,
        faults=[Fault("stop", SERVERS[0], 1, 3)],
        proxies=1,
        embedded=1,
    )
    assert {one.router for one in outcome.outcome.served} == {"proxy-1", "client-1"}
    assert all(effect.server == SERVERS[0] for effect in outcome.report().faults[0].effects)


def test_a_reload_of_another_route() -> None:
    smaller = Replicate(Pool.of("main", [*SERVERS[:2], "new.test:11211"]), copies=2)
    outcome = simulate(
        ROUTE, workload=SMALL, faults=[Fault("reload", "proxy-1", 2, 3)], other_routes=[smaller]
    )
    outcome.check()
    assert "new.test:11211" in outcome.outcome.contents


def test_a_broken_law_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncioControl, "flush", look_instead)
    monkeypatch.setattr(AsyncioControl, "delete", take_only)
    workload = Workload(requests_per_s=200, duration_s=10, keys=200, zipf=0.0, reads=0.8)
    faults = [Fault("kill-warm", SERVERS[0], 1, 2), Fault("kill", SERVERS[1], 7, 2)]
    with pytest.raises(AssertionError, match="stale value"):
        simulate(ROUTE, workload=workload, faults=faults).check()


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("kil", SERVERS[0], 1, 1), "there is kill, "),
        (Fault("kill", "d.test:11211", 1, 1), "there is a.test:11211, "),
        (Fault("reload", SERVERS[0], 1, 1), "no target"),
    ],
)
def test_mistakes_of_faults(fault: Fault, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        simulate(ROUTE, faults=[fault])


def test_mistakes_of_routes() -> None:
    with pytest.raises(ValueError, match="neither"):
        simulate(ROUTE, proxies=0)
    with pytest.raises(ConfigError, match="no unix sockets"):
        Simulation(PoolRoute(Pool.of("main", ["unix:/tmp/x"])))


# ---- coroutines of one's own ----


def test_a_client_survives_a_server(simulation: Callable[..., Simulation]) -> None:
    async def main(simulation: Simulation) -> float:
        async with simulation.client() as client:
            for number in range(50):
                await client.set(f"k{number}", b"x")
            simulation.servers[SERVERS[0]].kill()
            begun_at = simulation.loop.time()
            for number in range(50):
                assert await client.get(f"k{number}") == b"x"
            return simulation.loop.time() - begun_at

    assert simulation(ROUTE).run(main) < 0.2


def test_injected_faults_end() -> None:
    async def main(simulation: Simulation) -> list[str]:
        seen = []
        async with simulation.client() as client:
            fault = simulation.inject("stop", SERVERS[0], for_s=2)
            assert fault.for_s == 2
            for _ in range(60):
                try:
                    await client.get("k")
                except OSError as error:
                    seen.append(type(error).__name__)
                await asyncio.sleep(1)
        return seen

    simulation = Simulation(PoolRoute(Pool.of("main", SERVERS[:1])))
    assert len(simulation.run(main)) < 10
    assert simulation.servers[SERVERS[0]].is_up


def test_one_seed_is_one_run() -> None:
    async def main(simulation: Simulation) -> list[float]:
        times = []
        async with simulation.client() as client:
            for _ in range(20):
                await client.get("k")
                times.append(simulation.loop.time())
        return times

    assert Simulation(ROUTE, seed=3).run(main) == Simulation(ROUTE, seed=3).run(main)
    assert Simulation(ROUTE, seed=3).run(main) != Simulation(ROUTE, seed=4).run(main)


@pytest.mark.parametrize("kind", [name for name, kind in FAULTS.items() if not kind.of_routers])
def test_every_kind_can_be_injected(kind: str) -> None:
    async def main(simulation: Simulation) -> bytes | None:
        async with simulation.client() as client:
            await client.set("k", b"x")
            simulation.inject(kind, SERVERS[0], for_s=1.0)
            await asyncio.sleep(60)
            await client.set("k", b"y")
            found: bytes | None = await client.get("k")
            return found

    assert Simulation(ROUTE).run(main) == b"y"


def test_exceptions_are_raised() -> None:
    async def fails(simulation: Simulation) -> None:
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        Simulation(ROUTE).run(fails)

    async def loses_one(simulation: Simulation) -> None:
        simulation.loop.call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        Simulation(ROUTE).run(loses_one)


def test_faults_of_routers_cannot_be_injected() -> None:
    async def main(simulation: Simulation) -> None:
        simulation.inject("reload", SERVERS[0], for_s=1)

    with pytest.raises(ValueError, match="no target"):
        Simulation(ROUTE).run(main)


def test_a_name_that_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'simulat'"):
        mcroute.simulation.simulat  # noqa: B018


# ---- the plugin ----


def test_the_tests_of_the_page_pass(pytester: pytest.Pytester) -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(snippets) == 2
    pytester.makepyfile(**{f"test_{number}": code for number, code in enumerate(snippets)})
    result = pytester.runpytest_subprocess("-W", "error", "-p", "mcroute.simulation.fixtures")
    result.assert_outcomes(passed=2)


def test_the_plugin_loads_nothing_before_it_is_asked(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import sys

        def pytest_collection_finish():
            assert "mcroute.simulation.fixtures" in sys.modules
            assert "asyncio" not in sys.modules or "mcroute.simulation.loop" not in sys.modules
    """)
    pytester.makepyfile("""
        from mcroute.policy import Pool, PoolRoute

        ROUTE = PoolRoute(Pool.of("main", ["a.test:11211"]))

        def test_a_route(simulated):
            simulated(ROUTE).check()

        def test_a_program(simulation):
            async def main(simulation):
                async with simulation.client() as client:
                    return await client.get("k")

            assert simulation(ROUTE).run(main) is None
    """)
    pytester.runpytest_subprocess("-W", "error", "-p", "mcroute.simulation.fixtures").assert_outcomes(
        passed=2
    )
