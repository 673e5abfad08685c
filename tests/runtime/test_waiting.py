"""Slots and tasks over a driver's futures: who enters when, also if somebody is cancelled on the way."""

from __future__ import annotations

import asyncio

import pytest

from mcroute.drivers.asyncio.clock import AsyncioClock
from mcroute.runtime.waiting import Slots, ended, together


def running_clock() -> AsyncioClock:
    return AsyncioClock(asyncio.get_running_loop())


async def turn(count: int = 1) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_slots_are_entered_in_order_and_by_no_more_than_there_are() -> None:
    async def run() -> None:
        slots = Slots(running_clock(), 2)
        inside: list[int] = []
        entered: list[int] = []

        async def visit(number: int) -> None:
            async with slots:
                inside.append(number)
                entered.append(number)
                assert len(inside) <= 2
                await turn(3)
                inside.remove(number)

        await asyncio.gather(*map(visit, range(7)))
        assert entered == list(range(7))

    asyncio.run(run())


@pytest.mark.parametrize("is_freed_first", [False, True])
def test_a_slot_that_a_cancelled_task_would_have_had_is_the_next_ones(is_freed_first: bool) -> None:
    async def run() -> None:
        slots = Slots(running_clock(), 1)
        leaves = asyncio.Event()
        entered: list[str] = []

        async def visit(name: str) -> None:
            async with slots:
                entered.append(name)
                await leaves.wait()

        first, second, third = (asyncio.create_task(visit(name)) for name in "abc")
        await turn()
        if is_freed_first:
            leaves.set()
            # The first task has released its slot; the second one has the slot, but does not run yet.
            await turn(2)
        second.cancel()
        leaves.set()
        await asyncio.wait((first, second, third))
        assert second.cancelled() == ("b" not in entered)
        assert entered[-1] == "c"

    asyncio.run(run())


def test_tasks_are_awaited_with_any_outcome_for_a_limited_time() -> None:
    async def run() -> None:
        clock = running_clock()

        async def fail() -> None:
            raise OSError("in vain")

        failing, lasting = clock.start(fail()), clock.start(asyncio.sleep(1000))
        await ended(clock, [failing])
        assert isinstance(failing.exception(), OSError)
        await ended(clock, [failing, lasting], 0.001)
        assert not lasting.done()
        lasting.cancel()
        await ended(clock, [failing, lasting])
        assert lasting.cancelled()
        await ended(clock, [])

    asyncio.run(run())


def test_results_come_in_order_and_a_cancelled_group_leaves_no_task() -> None:
    async def run() -> None:
        clock = running_clock()
        left: list[int] = []

        async def number(delay: int) -> int:
            try:
                await turn(delay)
                return delay
            finally:
                left.append(delay)

        assert await together(clock, map(number, (3, 1, 2))) == [3, 1, 2]
        assert left == [1, 2, 3]
        group = asyncio.create_task(together(clock, map(number, (1000, 2000))))
        await turn(2)
        group.cancel()
        with pytest.raises(asyncio.CancelledError):
            await group
        assert left[3:] == [1000, 2000]

    asyncio.run(run())
