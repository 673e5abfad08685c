"""Waits with a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ("in_time",)

T = TypeVar("T")


async def in_time(awaitable: Awaitable[T], seconds: float | None) -> T:
    """Like asyncio.wait_for, but a cancelled call always ends as cancelled. Raises TimeoutError; None is no
    timeout.

    Until Python 3.12, wait_for drops its own cancellation if the awaited object ends in the same turn.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait((task,), timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if task.cancelled():
        # asyncio's own TimeoutError is another class until Python 3.11.
        raise TimeoutError
    return task.result()
