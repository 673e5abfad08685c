"""The system that a driver runs on, beside its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ...runtime.interfaces import Clock
from .clock import AsyncioClock
from .lookups import Lookups, process_lookups

__all__ = ("Environment",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The clock and the lookups of names that drivers get. A simulation has its own.

    Connections, timers, threads and listening sockets come from the event loop. So a driver on another loop
    and in another environment meets no part of the real system.
    """

    clock: Callable[[asyncio.AbstractEventLoop], Clock] = AsyncioClock
    """Makes the clock of a loop."""

    lookups: Callable[[], Lookups] = process_lookups
    """Returns the lookups that a new driver uses."""
