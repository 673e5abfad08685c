"""The loop: time that jumps, machines that are killed."""

from __future__ import annotations

import asyncio
import time
from random import Random

import pytest

from mcroute.simulation.loop import SimulationLoop, Stalled
from mcroute.simulation.machines import Machine
from mcroute.simulation.network import Network

from .worlds import on_a_machine


def test_time_passes_only_in_the_loop() -> None:
    async def main(loop: SimulationLoop, network: Network) -> float:
        begun_at = loop.time()
        await asyncio.sleep(3600)
        return loop.time() - begun_at

    before = time.monotonic()
    assert on_a_machine(main) == 3600
    assert time.monotonic() - before < 60


def test_calls_of_one_time_run_in_the_order_of_scheduling() -> None:
    async def main(loop: SimulationLoop, network: Network) -> list[int]:
        ran: list[int] = []
        for number in range(5):
            loop.call_at(loop.time() + 1, ran.append, number)
        loop.call_soon(ran.append, -1)
        await asyncio.sleep(2)
        return ran

    assert on_a_machine(main) == [-1, 0, 1, 2, 3, 4]


def test_a_wait_that_never_ends_is_reported() -> None:
    async def main(loop: SimulationLoop, network: Network) -> None:
        await loop.create_future()

    with pytest.raises(Stalled):
        on_a_machine(main)


def test_timeouts_of_asyncio_work() -> None:
    async def main(loop: SimulationLoop, network: Network) -> float:
        begun_at = loop.time()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(loop.create_future(), 2.5)
        return loop.time() - begun_at

    assert on_a_machine(main) == 2.5


def test_threads_are_calls() -> None:
    async def main(loop: SimulationLoop, network: Network) -> int:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: 7)

    assert on_a_machine(main) == 7


def test_an_exception_of_a_callback_is_kept() -> None:
    loop = SimulationLoop.of(Network(Random(1)))

    async def main() -> None:
        loop.call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    loop.run(main())
    [(_, error)] = loop.failures
    assert isinstance(error, ZeroDivisionError)


def test_a_killed_machine_runs_nothing_more() -> None:
    ran: list[str] = []

    async def victim(loop: SimulationLoop) -> None:
        loop.call_later(2, ran.append, "timer")
        try:
            await asyncio.sleep(3)
            ran.append("task")
        finally:
            ran.append("finally")

    async def main(loop: SimulationLoop, network: Network) -> None:
        machine = Machine("victim", "10.9.0.2")
        loop.on(machine, victim(loop))
        await asyncio.sleep(1)
        loop.kill(machine)
        await asyncio.sleep(10)
        assert ran == []

    on_a_machine(main)


def test_tasks_of_other_machines_go_on() -> None:
    async def counting(counts: list[int]) -> None:
        while True:
            counts.append(1)
            await asyncio.sleep(1)

    async def main(loop: SimulationLoop, network: Network) -> tuple[int, int]:
        machines = Machine("a", "10.9.0.2"), Machine("b", "10.9.0.3")
        counts: tuple[list[int], list[int]] = [], []
        tasks = [loop.on(machine, counting(own)) for machine, own in zip(machines, counts, strict=True)]
        await asyncio.sleep(2.5)
        loop.kill(machines[0])
        await asyncio.sleep(10)
        tasks[1].cancel()
        return len(counts[0]), len(counts[1])

    assert on_a_machine(main) == (3, 13)
