"""`version` and `stats` of each server, on separate connections, also to ejected servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ..drivers.asyncio.control import AsyncioControl
from ..drivers.asyncio.timing import in_time
from ..policy import Server
from ..runtime.interfaces import FAILURES
from .requests import stats_arguments
from .results import statistics

__all__ = ("stats_of_each", "version_of_each")

T = TypeVar("T")


async def version_of_each(
    control: AsyncioControl, servers: Sequence[Server], timeout_s: float
) -> dict[str, bytes | None]:
    """The versions by server name; None: the server did not answer in time, or the query failed."""
    return await _of_each(servers, timeout_s, control.version)


async def stats_of_each(
    control: AsyncioControl, servers: Sequence[Server], timeout_s: float, arguments: Sequence[str]
) -> dict[str, dict[bytes, Any] | None]:
    """As `version_of_each`, with values of pymemcache's types. IllegalInput: unprintable arguments."""
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
