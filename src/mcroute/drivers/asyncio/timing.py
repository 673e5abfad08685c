"""Waiting for at most so long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ("in_time",)

T = TypeVar("T")


async def in_time(awaitable: Awaitable[T], seconds: float | None) -> T:
    """asyncio.wait_for, but cancelled it always ends so. Raises TimeoutError; None is for ever.

    Until Python 3.12 that one forgets its own cancellation when what it waits for ends in the same turn.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait((task,), timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if task.cancelled():
        # asyncio's own is another class until Python 3.11.
        raise TimeoutError
    return task.result()
