"""An entry of the state file: the past of a place in an earlier process of the proxy."""

from __future__ import annotations

from dataclasses import dataclass

from .places import Place
from .processes import Process

__all__ = ("Past",)


@dataclass(frozen=True, slots=True)
class Past:
    """`owes`: a server there may hold stale values. `lost` are connections whose writes it may still execute.

    `id` and `missed` are for a server of the plan: its id, and the count of missed writes that were flushed.
    `process` is the one that missed the writes since then; None if that may be several, or is not known.
    `keys` are the keys of these writes, each with whether it is in base64; None if they are not known.
    `is_outdated`: nothing is known about the last moments of the earlier process.
    """

    place: Place
    owes: bool
    lost: frozenset[str] = frozenset()
    id: int | None = None
    missed: int = 0
    process: Process | None = None
    keys: frozenset[tuple[bytes, bool]] | None = None
    is_outdated: bool = False
