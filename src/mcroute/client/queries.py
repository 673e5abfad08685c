"""What a client asks each server about itself: on connections of their own, which no ejection delays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ..drivers.asyncio import control
from ..drivers.asyncio.timing import in_time
from ..policy import Server
from ..runtime.interfaces import FAILURES
from .requests import stats_arguments
from .results import statistics

__all__ = ("stats_of_each", "version_of_each")

T = TypeVar("T")


async def version_of_each(servers: Sequence[Server], timeout_s: float) -> dict[str, bytes | None]:
    """By server name; None: it did not answer in time."""
    return await _of_each(servers, timeout_s, control.version)


async def stats_of_each(
    servers: Sequence[Server], timeout_s: float, arguments: Sequence[str]
) -> dict[str, dict[bytes, Any] | None]:
    """By server name, values converted as pymemcache does. Raises IllegalInput for unprintable arguments."""
    words = stats_arguments(arguments)

    async def ask(server: Server) -> dict[bytes, Any]:
        return statistics(await control.stats(server, words))

    return await _of_each(servers, timeout_s, ask)


async def _of_each(
    servers: Sequence[Server], timeout_s: float, ask: Callable[[Server], Awaitable[T]]
) -> dict[str, T | None]:
    async def one(server: Server) -> T | None:
        try:
            return await in_time(ask(server), timeout_s)
        except FAILURES:
            return None

    answers = await asyncio.gather(*(one(server) for server in servers))
    return dict(zip((server.name for server in servers), answers, strict=True))
