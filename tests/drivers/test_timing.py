"""Waiting with a limit, and being cancelled meanwhile."""

import asyncio

import pytest

from mcroute.drivers.asyncio.timing import in_time


def test_a_cancellation_is_kept_when_the_wait_ends_in_the_same_turn() -> None:
    async def main() -> None:
        failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(in_time(failing, 60))
        await asyncio.sleep(0)
        failing.set_exception(ConnectionRefusedError())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


def test_the_result_or_a_timeout() -> None:
    async def main() -> None:
        assert await in_time(asyncio.sleep(0, "done"), 60) == "done"
        with pytest.raises(asyncio.TimeoutError):
            await in_time(asyncio.Event().wait(), 0.001)

    asyncio.run(main())
